//! `cargo xtask manifests`: what an operator installs, written from its own code.
//!
//! Each operator prints its CRDs and its manifests; here they become `crds/<group>_<plural>.yaml` and the kustomize
//! bases `operators/<name>/deploy/` and the like. With `--check` nothing is written, and a difference fails.

mod document;
pub mod install;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use self::document::Document;
use crate::{paths, process, progress};

const BUILD_LIMIT: Duration = Duration::from_secs(30 * 60);
const HEADING: &str = "# Written by `cargo xtask manifests` from the operator's code; a change here is lost.\n";

/// A way to install an operator.
#[derive(Clone, Copy, Debug)]
pub struct Installation {
    /// The package.
    pub operator: &'static str,
    /// The folder of its kustomize base, below the operator's own.
    folder: &'static str,
    /// Flags of the operator's own, which make it what it is.
    pub flags: &'static [&'static str],
}

/// deployment-lite beside the built-in controllers, with kinds of its own.
pub const DEPLOYMENT_LITE: Installation = Installation { operator: "deployment-lite", folder: "deploy", flags: &[] };

/// deployment-lite in the place of the built-in controllers.
pub const DEPLOYMENT_LITE_BUILTIN: Installation =
    Installation { operator: "deployment-lite", folder: "deploy-builtin", flags: &["--api=builtin"] };

/// All of them.
const INSTALLATIONS: [Installation; 2] = [DEPLOYMENT_LITE, DEPLOYMENT_LITE_BUILTIN];

/// What `manifests` can be told.
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// Write nothing; fail if a file differs from what the code says.
    #[arg(long)]
    check: bool,
}

impl Installation {
    fn base(&self) -> PathBuf {
        Path::new("operators").join(self.operator).join(self.folder)
    }
}

/// Runs the verb.
pub fn run(arguments: &Arguments) -> Result<()> {
    let root = paths::workspace_root()?;
    let mut wanted = BTreeMap::new();
    for installation in &INSTALLATIONS {
        wanted.extend(files_of(installation)?);
    }
    let found = generated(&root)?;
    let differing = differences(&wanted, &found);
    if differing.is_empty() {
        progress::say(format!("✓ {} generated files are up to date", wanted.len()));
        return Ok(());
    }
    let list = differing.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
    if arguments.check {
        bail!(
            "these generated files differ from the operators' code: {list}; run `cargo xtask manifests` and commit them"
        );
    }
    for path in &differing {
        let file = root.join(path);
        match wanted.get(path) {
            Some(content) => {
                paths::make(file.parent().unwrap_or(&root))?;
                std::fs::write(&file, content)
            }
            None => std::fs::remove_file(&file),
        }
        .with_context(|| format!("failed to update {}", file.display()))?;
    }
    progress::say(format!("✓ updated {list}"));
    Ok(())
}

/// The generated files of one installation, by their path in the workspace.
fn files_of(installation: &Installation) -> Result<BTreeMap<PathBuf, String>> {
    let operator = installation.operator;
    let mut files = BTreeMap::new();
    for crd in document::split(&print(installation, "crds")?) {
        let name = crd.name().with_context(|| format!("{operator} crds printed a document without a name"))?;
        let (plural, group) = name.split_once('.').with_context(|| format!("{name} is not <plural>.<group>"))?;
        files.insert(PathBuf::from(format!("crds/{group}_{plural}.yaml")), format!("{HEADING}{}\n", crd.text()));
    }
    let folder = installation.base();
    let documents = document::split(&print(installation, "manifests")?);
    let mut names: Vec<String> = Vec::new();
    for document in &documents {
        let kind =
            document.kind().with_context(|| format!("{operator} manifests printed a document without a kind"))?;
        let name = format!("{}.yaml", document::file_stem(kind));
        let content = files.entry(folder.join(&name)).or_insert_with(|| HEADING.to_owned());
        if names.contains(&name) {
            content.push_str("---\n");
        } else {
            names.push(name);
        }
        content.push_str(document.text());
        content.push('\n');
    }
    files.insert(folder.join("kustomization.yaml"), kustomization(&names));
    Ok(files)
}

fn kustomization(names: &[String]) -> String {
    let resources: String = names.iter().map(|name| format!("  - {name}\n")).collect();
    format!("{HEADING}apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n{resources}")
}

/// What an operator prints; its development build, so that this needs no second build of everything.
fn print(installation: &Installation, verb: &str) -> Result<String> {
    let Installation { operator, flags, .. } = *installation;
    let mut command = Command::new("cargo");
    command.args(["run", "--quiet", "--package", operator, "--bin", operator, "--", verb]).args(flags);
    command.current_dir(paths::workspace_root()?);
    process::output(&format!("run `{operator} {verb} {}`", flags.join(" ")), &mut command, BUILD_LIMIT)
}

/// Every file that is in the places where generated files lie.
fn generated(root: &Path) -> Result<BTreeMap<PathBuf, String>> {
    let mut files = BTreeMap::new();
    for folder in std::iter::once(PathBuf::from("crds")).chain(INSTALLATIONS.iter().map(Installation::base)) {
        let Ok(entries) = std::fs::read_dir(root.join(&folder)) else { continue };
        for entry in entries.flatten().filter(|entry| entry.path().extension().is_some_and(|end| end == "yaml")) {
            let content = std::fs::read_to_string(entry.path())
                .with_context(|| format!("failed to read {}", entry.path().display()))?;
            files.insert(folder.join(entry.file_name()), content);
        }
    }
    Ok(files)
}

fn differences(wanted: &BTreeMap<PathBuf, String>, found: &BTreeMap<PathBuf, String>) -> Vec<PathBuf> {
    let changed = wanted.iter().filter(|(path, content)| found.get(*path) != Some(content)).map(|(path, _)| path);
    let left_over = found.keys().filter(|path| !wanted.contains_key(*path));
    changed.chain(left_over).cloned().collect()
}

/// The text of all documents after each other, for `kubectl apply -f -`.
fn join(documents: &[Document]) -> String {
    documents.iter().map(Document::text).collect::<Vec<_>>().join("\n---\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(list: &[(&str, &str)]) -> BTreeMap<PathBuf, String> {
        list.iter().map(|(path, content)| (PathBuf::from(path), (*content).to_owned())).collect()
    }

    #[test]
    fn a_changed_a_missing_and_a_left_over_file_differ() {
        let wanted = files(&[("crds/a.yaml", "1"), ("crds/b.yaml", "1"), ("crds/c.yaml", "1")]);
        let found = files(&[("crds/a.yaml", "1"), ("crds/b.yaml", "2"), ("crds/d.yaml", "1")]);
        let differing = differences(&wanted, &found);
        assert_eq!(differing, ["crds/b.yaml", "crds/c.yaml", "crds/d.yaml"].map(PathBuf::from));
    }

    #[test]
    fn a_kustomization_names_its_files_in_order() {
        let text = kustomization(&["namespace.yaml".into(), "deployment.yaml".into()]);
        assert!(text.ends_with("resources:\n  - namespace.yaml\n  - deployment.yaml\n"), "{text}");
    }
}
