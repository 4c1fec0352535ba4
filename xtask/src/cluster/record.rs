//! What is remembered of a cluster between two commands, as JSON in its state folder.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::paths;

/// A cluster as the state folder knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The cluster's name.
    pub name: String,
    /// Whether it lives in the private Docker daemon rather than in the user's.
    pub is_private: bool,
    /// False from the first change until all nodes were Ready: then the rest of an interrupted run is removed.
    pub is_complete: bool,
    /// The node image.
    pub image: String,
    /// The API server's port on the loopback address.
    pub api_port: u16,
    /// The Docker network.
    pub network: String,
    /// The network's range.
    pub subnet: String,
    /// How many nodes besides the control plane.
    pub workers: u32,
    /// Whether Deployments and ReplicaSets are left to an operator.
    pub controllers_off: bool,
    /// The digest of what kind was asked for; empty in records of versions that kept none.
    #[serde(default)]
    pub configuration: String,
    /// The nodes, control plane first.
    pub nodes: Vec<Node>,
}

/// One node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// The container's and the Kubernetes node's name.
    pub name: String,
    /// Its address in the Docker network, kept over restarts.
    pub address: String,
    /// The range of its pods.
    pub pod_range: String,
}

impl Record {
    /// Reads the record of a cluster; none if there is none or it cannot be understood, which means an unfinished one.
    #[must_use]
    pub fn read(name: &str) -> Option<Self> {
        let text = fs::read_to_string(file(name).ok()?).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Every cluster that has a record.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let Ok(folder) = paths::state().map(|state| state.join("clusters")) else { return Vec::new() };
        let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
        entries.flatten().filter_map(|entry| Self::read(entry.file_name().to_str()?)).collect()
    }

    /// Writes the record so that a reader sees either the old or the new one.
    pub fn write(&self) -> Result<()> {
        let path = file(&self.name)?;
        paths::make(&paths::cluster(&self.name)?)?;
        let temporary = path.with_extension("json.new");
        let text = serde_json::to_string_pretty(self).context("failed to describe the cluster")?;
        fs::write(&temporary, text)
            .and_then(|()| fs::rename(&temporary, &path))
            .with_context(|| format!("failed to write {}", path.display()))
    }
}

fn file(name: &str) -> Result<PathBuf> {
    Ok(paths::cluster(name)?.join("cluster.json"))
}
