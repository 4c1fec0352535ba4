//! Builds one program with Go, once for each digest of its inputs, whoever else may be building.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::{KUBERNETES_VERSION, Tool};
use crate::{digest, paths, process, progress};

const LIMIT: Duration = Duration::from_secs(45 * 60);

pub(super) struct Builder {
    sets: PathBuf,
    cache: PathBuf,
    go_version: String,
}

impl Builder {
    pub(super) fn new() -> Result<Self> {
        if process::find_program("go").is_none() {
            bail!("Go is not installed and the cluster's programs are built with it: see https://go.dev/dl");
        }
        let mut command = Command::new("go");
        command.arg("version");
        Ok(Self {
            sets: paths::workspace_root()?.join("xtask/cluster-tools"),
            cache: paths::cache()?.join("tools"),
            go_version: process::output("ask Go for its version", &mut command, Duration::from_secs(30))?,
        })
    }

    pub(super) fn ensure(&self, tool: Tool) -> Result<PathBuf> {
        let folder = self.cache.join(format!("{}-{}", tool.set(), self.key(tool)?));
        let program = folder.join(tool.name());
        if program.is_file() {
            return Ok(program);
        }
        paths::make(&folder)?;
        let lock_path = self.cache.join(format!("{}.lock", tool.set()));
        let lock = File::create(&lock_path).with_context(|| format!("failed to open {}", lock_path.display()))?;
        if lock.try_lock().is_err() {
            progress::say(format!("waiting for another build of the {} programs", tool.set()));
            lock.lock().with_context(|| format!("failed to lock {}", lock_path.display()))?;
        }
        if !program.is_file() {
            self.build(tool, &folder, &program)?;
        }
        Ok(program)
    }

    pub(super) fn module_folder(&self, set: &str, module: &str) -> Result<PathBuf> {
        let mut command = Command::new("go");
        command.current_dir(self.sets.join(set)).args(["mod", "download", "-json", module]);
        let limit = Duration::from_secs(600);
        let text = process::output(&format!("fetch the module {module}"), &mut command, limit)?;
        let description: serde_json::Value = serde_json::from_str(&text).context("failed to read Go's answer")?;
        match description["Dir"].as_str() {
            Some(folder) => Ok(PathBuf::from(folder)),
            None => bail!("Go did not say where it put the module {module}: {text}"),
        }
    }

    fn build(&self, tool: Tool, folder: &Path, program: &Path) -> Result<()> {
        let step = progress::step(format!("building {}", tool.name()));
        let temporary = folder.join(format!(".{}.building", tool.name()));
        let mut command = process::bound("go");
        command.current_dir(self.sets.join(tool.set())).env("CGO_ENABLED", "0");
        command.args(arguments(tool)).arg("-o").arg(&temporary).arg(tool.package());
        let log = paths::logs()?.join(format!("build-{}.log", tool.name()));
        process::run(&format!("build {}", tool.name()), &mut command, &log, LIMIT)?;
        fs::rename(&temporary, program).with_context(|| format!("failed to put {} in place", program.display()))?;
        step.done();
        Ok(())
    }

    fn key(&self, tool: Tool) -> Result<String> {
        let set = self.sets.join(tool.set());
        let read = |name: &str| {
            let path = set.join(name);
            fs::read(&path).with_context(|| format!("failed to read {}", path.display()))
        };
        Ok(key(&read("go.mod")?, &read("go.sum")?, &self.go_version, &arguments(tool)))
    }
}

fn key(module: &[u8], sums: &[u8], go_version: &str, arguments: &[String]) -> String {
    // Not the program's own name or verb: all programs of a set with the same flags share a folder.
    let flags = arguments.iter().filter(|argument| argument.starts_with("-s ") || argument.contains("no_"));
    let flags = flags.cloned().collect::<Vec<_>>().join(" ");
    digest::short(&[module, sums, go_version.as_bytes(), flags.as_bytes()])
}

fn arguments(tool: Tool) -> Vec<String> {
    let (major, minor) = KUBERNETES_VERSION.trim_start_matches('v').split_once('.').unwrap_or_default();
    let minor = minor.split('.').next().unwrap_or_default();
    let version = "k8s.io/component-base/version";
    let linker = format!(
        "-s -w -X {version}.gitVersion={KUBERNETES_VERSION} -X {version}.gitMajor={major} -X {version}.gitMinor={minor}"
    );
    let mut list = match tool.is_test() {
        true => vec!["test".to_owned(), "-c".to_owned()],
        false => vec!["build".to_owned()],
    };
    // A stamp of this repository's commit would make every commit a new program.
    list.extend(["-buildvcs=false", "-trimpath", "-tags", tool.tags(), "-ldflags", &linker].map(str::to_owned));
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_changes_with_each_input() {
        let flags = arguments(Tool::Kubectl);
        let first = key(b"module", b"sums", "go1.26", &flags);
        assert_eq!(first, key(b"module", b"sums", "go1.26", &arguments(Tool::Kubelet)));
        assert_ne!(first, key(b"module2", b"sums", "go1.26", &flags));
        assert_ne!(first, key(b"module", b"sums2", "go1.26", &flags));
        assert_ne!(first, key(b"module", b"sums", "go1.27", &flags));
        assert_ne!(first, key(b"module", b"sums", "go1.26", &arguments(Tool::Ctr)));
        assert_ne!(key(b"ab", b"c", "", &flags), key(b"a", b"bc", "", &flags));
    }

    #[test]
    fn every_program_is_pinned_by_its_set() {
        let sets = Path::new(env!("CARGO_MANIFEST_DIR")).join("cluster-tools");
        for tool in Tool::ALL {
            let list = fs::read_to_string(sets.join(tool.set()).join("tools.go")).expect("tools.go");
            assert!(list.contains(&format!("\"{}\"", tool.package())), "{}", tool.name());
        }
    }
}
