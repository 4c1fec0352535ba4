//! The programs the cluster is made of, built from pinned Go modules into the user's cache.
//!
//! A program's folder is named by a digest of everything that decides its bytes, and it gets its final name only when
//! it is complete, so what is there is right. It does not fetch binaries from anywhere.

mod build;
mod catalogue;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};

pub use self::catalogue::Tool;

/// The version of Kubernetes that all programs of the `kubernetes` set are.
pub const KUBERNETES_VERSION: &str = "v1.37.0";

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

/// A file of a module that a set pins, from Go's module cache.
pub fn module_folder(set: &str, module: &str) -> Result<PathBuf> {
    build::Builder::new()?.module_folder(set, module)
}
