//! The programs the cluster is made of, built from pinned Go modules into the user's cache.
//!
//! A program's folder is named by a digest of everything that decides its bytes, and it gets its final name only when
//! it is complete, so what is there is right. It does not fetch binaries from anywhere.

mod build;
mod catalogue;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, anyhow};

pub use self::catalogue::Tool;
use crate::process;

/// The version of Kubernetes that all programs of the `kubernetes` set are.
pub const KUBERNETES_VERSION: &str = "v1.37.0";

/// The version of kind that its set pins.
const KIND_VERSION: &str = "v0.33.0";

/// Where the programs asked for lie.
#[derive(Clone, Debug, Default)]
pub struct ToolBox {
    programs: BTreeMap<&'static str, PathBuf>,
}

impl ToolBox {
    /// The file of a program, which must have been asked for in [`ensure`].
    pub fn path(&self, name: &str) -> Result<&Path> {
        self.programs
            .get(name)
            .map(PathBuf::as_path)
            .ok_or_else(|| anyhow!("{name} was not asked for: a mistake in xtask"))
    }
}

/// Builds what is missing of these programs, and says where they are.
pub fn ensure(tools: &[Tool]) -> Result<ToolBox> {
    let mut programs = BTreeMap::new();
    let builder = build::Builder::new()?;
    for tool in tools {
        programs.insert(tool.name(), builder.ensure(*tool)?);
    }
    Ok(ToolBox { programs })
}

/// The same, but takes kind and kubectl from `PATH` where they are of exactly the pinned version.
///
/// So a machine with Docker and a registry needs no Go.
pub fn find_or_ensure(tool: Tool) -> Result<ToolBox> {
    let (arguments, expected): (&[&str], String) = match tool {
        Tool::Kind => (&["version"], format!("kind {KIND_VERSION} ")),
        Tool::Kubectl => {
            (&["version", "--client", "--output", "json"], format!("\"gitVersion\": \"{KUBERNETES_VERSION}\""))
        }
        _ => return ensure(&[tool]),
    };
    if let Some(program) = process::find_program(tool.name()) {
        let mut command = Command::new(&program);
        command.args(arguments);
        let said = process::output("ask a program for its version", &mut command, Duration::from_secs(10));
        if said.is_ok_and(|text| text.contains(&expected)) {
            return Ok(ToolBox { programs: BTreeMap::from([(tool.name(), program)]) });
        }
    }
    ensure(&[tool])
}

/// A file of a module that a set pins, from Go's module cache.
pub fn module_folder(set: &str, module: &str) -> Result<PathBuf> {
    build::Builder::new()?.module_folder(set, module)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_versions_named_here_are_the_pinned_ones() {
        let sets = Path::new(env!("CARGO_MANIFEST_DIR")).join("cluster-tools");
        let module = |set: &str| std::fs::read_to_string(sets.join(set).join("go.mod")).expect("go.mod");
        assert!(module("kind").contains(&format!("require sigs.k8s.io/kind {KIND_VERSION}\n")));
        assert!(module("kubernetes").contains(&format!("require k8s.io/kubernetes {KUBERNETES_VERSION}\n")));
    }
}
