//! Static binaries of this workspace: they run in an empty image, and on this machine as well.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use super::OPERATORS;
use crate::{paths, process};

const LIMIT: Duration = Duration::from_secs(40 * 60);

/// A program that Cargo built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    name: String,
    file: PathBuf,
}

/// Builds every program that goes into an image of its own.
pub fn static_programs() -> Result<Vec<Program>> {
    let mut packages: Vec<&str> =
        OPERATORS.iter().flat_map(|operator| ["--package", operator, "--bin", operator]).collect();
    packages.extend(["--package", "e2e", "--bin", "request_counter"]);
    let log = paths::logs()?.join("images.log");
    // A file of this process: another workspace may be building its images at the same time.
    let report = paths::logs()?.join(format!("images-{}.json", std::process::id()));
    // Cargo's report on standard output goes there, its words for people on standard error to the log.
    let script = r#"report="$1"; shift; exec "$@" > "$report""#;
    let mut build = Command::new("sh");
    build
        .args(["-c", script, "sh"])
        .arg(&report)
        .args(["cargo", "build", "--release", "--message-format=json-render-diagnostics", "--target"])
        .arg(target())
        .args(packages)
        .current_dir(paths::workspace_root()?)
        .env("RUSTFLAGS", "-C target-feature=+crt-static");
    // Set by the Cargo that runs xtask, and wrong for the packages built here.
    for variable in ["CARGO_MANIFEST_DIR", "CARGO_ENCODED_RUSTFLAGS"] {
        build.env_remove(variable);
    }
    let built = process::run("build the static binaries", &mut build, &log, LIMIT);
    let text = std::fs::read_to_string(&report).context("failed to read Cargo's report");
    let _ = std::fs::remove_file(&report);
    built?;
    Ok(programs(&text?))
}

/// One of the programs, by name.
pub fn find<'a>(programs: &'a [Program], name: &str) -> Result<&'a Path> {
    programs
        .iter()
        .find(|program| program.name == name)
        .map(|program| program.file.as_path())
        .with_context(|| format!("Cargo built no binary {name}; see the log {}", shown_log()))
}

fn shown_log() -> String {
    paths::logs().map(|folder| folder.join("images.log").display().to_string()).unwrap_or_default()
}

fn target() -> String {
    format!("{}-unknown-linux-gnu", std::env::consts::ARCH)
}

fn programs(report: &str) -> Vec<Program> {
    report
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["reason"] == "compiler-artifact")
        .filter_map(|message| {
            let name = message["target"]["name"].as_str()?.to_owned();
            Some(Program { name, file: message["executable"].as_str()?.into() })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_artifacts_with_an_executable_are_programs() {
        let report = concat!(
            r#"{"reason":"compiler-artifact","target":{"name":"serde"},"executable":null}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"name":"deployment-lite"},"executable":"/t/deployment-lite"}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
        );
        let found = programs(report);
        assert_eq!(found.len(), 1);
        assert_eq!(find(&found, "deployment-lite").unwrap(), Path::new("/t/deployment-lite"));
        assert!(find(&found, "serde").is_err());
    }
}
