//! Whether a cluster can be used: all nodes Ready, and names resolve.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use serde_json::Value;

use super::Cluster;
use super::record::Record;
use crate::{process, progress};

const LIMIT: Duration = Duration::from_secs(240);
const QUICK: Duration = Duration::from_secs(10);

/// Waits until the whole cluster can be used.
pub(super) fn wait(cluster: &Cluster, record: &Record) -> Result<()> {
    let step = progress::step("waiting for all nodes to be Ready and for DNS");
    process::wait_for("a healthy cluster", LIMIT, || {
        let found = check(cluster, record);
        if let Err(complaint) = &found {
            step.detail(complaint);
        }
        found
    })?;
    step.done();
    Ok(())
}

/// Whether the cluster can be used right now.
pub(super) fn is_healthy(cluster: &Cluster, record: &Record) -> bool {
    check(cluster, record).is_ok()
}

/// Waits until Kubernetes says of these nodes that they are Ready, by heartbeats from after this call.
///
/// A node that was away keeps its old word until the controller notices or its kubelet reports.
pub(super) fn wait_for_nodes(cluster: &Cluster, names: &[&str]) -> Result<()> {
    let heartbeats = || {
        let leases = get(cluster, &["--namespace", "kube-node-lease", "get", "leases", "--output", "json"])?;
        let items = leases["items"].as_array().map(Vec::as_slice).unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let pairs = items.iter().map(|lease| (text(&lease["metadata"]["name"]), text(&lease["spec"]["renewTime"])));
        Ok::<BTreeMap<String, String>, String>(pairs.collect())
    };
    let before = process::wait_for("the API server", LIMIT, heartbeats)?;
    process::wait_for(&format!("{} to be Ready", names.join(", ")), LIMIT, || {
        let now = heartbeats()?;
        let nodes = nodes(cluster)?;
        for name in names {
            if before.get(*name) == now.get(*name) {
                return Err(format!("the kubelet of {name} has not reported yet"));
            }
            if !nodes.iter().any(|(node, is_ready)| node == name && *is_ready) {
                return Err(format!("{name} is NotReady"));
            }
        }
        Ok(())
    })
}

/// Names of the nodes and whether each is Ready.
pub(super) fn nodes(cluster: &Cluster) -> Result<Vec<(String, bool)>, String> {
    let list = get(cluster, &["get", "nodes", "--output", "json"])?;
    let items = list["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    let name = |node: &Value| node["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    Ok(items.iter().map(|node| (name(node), is_ready(node))).collect())
}

fn check(cluster: &Cluster, record: &Record) -> Result<(), String> {
    let nodes = nodes(cluster)?;
    let waiting: Vec<&str> = nodes.iter().filter(|(_, ready)| !ready).map(|(name, _)| name.as_str()).collect();
    if !waiting.is_empty() || nodes.len() != record.workers as usize + 1 {
        return Err(format!("{} of {} nodes are Ready", nodes.len() - waiting.len(), record.workers + 1));
    }
    if record.controllers_off {
        return Ok(());
    }
    let dns = get(cluster, &["--namespace", "kube-system", "get", "deployment", "coredns", "--output", "json"])?;
    let (ready, wanted) = (dns["status"]["readyReplicas"].as_u64().unwrap_or(0), dns["spec"]["replicas"].as_u64());
    if Some(ready) == wanted { Ok(()) } else { Err(format!("{ready} replicas of CoreDNS are ready")) }
}

fn get(cluster: &Cluster, arguments: &[&str]) -> Result<Value, String> {
    let mut command = cluster.kubectl();
    command.arg("--request-timeout=8s").args(arguments);
    let text = process::output("ask the API server", &mut command, QUICK).map_err(|error| error.to_string())?;
    serde_json::from_str(&text).map_err(|error| error.to_string())
}

fn is_ready(node: &Value) -> bool {
    let conditions = node["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    conditions.iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn unknown_is_not_ready() {
        let node = |status: &str| json!({"status": {"conditions": [{"type": "Ready", "status": status}]}});
        assert!(is_ready(&node("True")));
        assert!(!is_ready(&node("Unknown")));
        assert!(!is_ready(&json!({})));
    }
}
