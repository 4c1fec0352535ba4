//! Where things are kept: the workspace, the user's cache and the user's state.
//!
//! The cache holds what is dear to make and safe to lose (programs, node image, Docker's image store); the state holds
//! what says which clusters exist and how to reach them.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

const APPLICATION: &str = "operator-lite";

/// The program that runs, even if Cargo has put another in its place since.
pub const OWN_PROGRAM: &str = "/proc/self/exe";

/// The folder of the workspace's Cargo.toml.
pub fn workspace_root() -> Result<PathBuf> {
    // Cargo names the package it runs, which for a test is another package of this workspace.
    let named = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let here = env::current_dir().ok();
    let built = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    for start in [named, here, Some(built)].into_iter().flatten() {
        for folder in start.ancestors() {
            if folder.join("xtask/cluster-tools").is_dir() {
                return Ok(folder.to_path_buf());
            }
        }
    }
    bail!("not inside the workspace: no folder above this one holds xtask/cluster-tools")
}

/// What is dear to make and safe to lose: `$XDG_CACHE_HOME/operator-lite`.
pub fn cache() -> Result<PathBuf> {
    base("XDG_CACHE_HOME", ".cache")
}

/// What exists now: `$XDG_STATE_HOME/operator-lite`.
pub fn state() -> Result<PathBuf> {
    base("XDG_STATE_HOME", ".local/state")
}

/// Log files of work that belongs to no cluster.
pub fn logs() -> Result<PathBuf> {
    Ok(state()?.join("logs"))
}

/// Everything known about one cluster.
pub fn cluster(name: &str) -> Result<PathBuf> {
    check_name(name)?;
    Ok(state()?.join("clusters").join(name))
}

/// The lock of one cluster.
pub fn cluster_lock(name: &str) -> Result<PathBuf> {
    check_name(name)?;
    Ok(state()?.join("locks").join(format!("cluster-{name}")))
}

/// A name becomes part of paths that are removed with all below them, so nothing but a plain one may pass.
fn check_name(name: &str) -> Result<()> {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_good = name.bytes().all(is_plain) && name.bytes().next().is_some_and(|first| first.is_ascii_lowercase());
    // Node names are the cluster's name and a suffix, and must fit into 63 characters.
    if !is_good || name.len() > 40 || name.ends_with('-') {
        bail!("{name:?} is no name for a cluster: use up to 40 lower-case letters, digits and hyphens, a letter first");
    }
    Ok(())
}

/// Everything about the private Docker daemon that is not an image.
pub fn private_docker() -> Result<PathBuf> {
    Ok(state()?.join("docker"))
}

/// Makes a folder and all above it.
pub fn make(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("failed to make the folder {}", folder.display()))
}

fn base(variable: &str, fallback: &str) -> Result<PathBuf> {
    let chosen = env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    match (chosen, env::var_os("HOME")) {
        (Some(path), _) => Ok(path.join(APPLICATION)),
        (None, Some(home)) => Ok(PathBuf::from(home).join(fallback).join(APPLICATION)),
        (None, None) => bail!("neither {variable} nor HOME is set: no place for files of {APPLICATION}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_docker_or_kubernetes_would_refuse_are_refused_here() {
        for good in ["operator-lite", "a", "trial2"] {
            check_name(good).expect(good);
        }
        for bad in ["", "2a", "Ab", "a_b", "a/b", "..", "a-", &"a".repeat(41)] {
            check_name(bad).expect_err(bad);
            cluster(bad).expect_err(bad);
            cluster_lock(bad).expect_err(bad);
        }
    }
}
