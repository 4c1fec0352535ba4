//! The nodes of the cluster: their names, and whether they are Ready.

use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::ListParams;

use crate::cluster::Cluster;
use crate::wait::{self, Seen};

const CONTROL_PLANE_LABEL: &str = "node-role.kubernetes.io/control-plane";

/// The names of the worker nodes, sorted.
///
/// # Errors
/// The API server does not answer.
pub async fn workers(cluster: &Cluster) -> Result<Vec<String>> {
    names(cluster, &format!("!{CONTROL_PLANE_LABEL}")).await
}

/// The name of the control plane's node.
///
/// # Errors
/// The API server does not answer, or no node has the role.
pub async fn control_plane(cluster: &Cluster) -> Result<String> {
    names(cluster, CONTROL_PLANE_LABEL).await?.into_iter().next().context("no node has the control plane's role")
}

/// Waits until a node's Ready condition is, or is no longer, `True`.
///
/// # Errors
/// It does not get there within `limit`.
pub async fn wait_ready(cluster: &Cluster, name: &str, ready: bool, limit: Duration) -> Result<()> {
    let nodes: Api<Node> = Api::all(cluster.client.clone());
    let wanted = if ready { "Ready" } else { "NotReady" };
    wait::until(&format!("node {name} to be {wanted}"), limit, async || {
        let node = nodes.get(name).await?;
        Ok(Seen::when(is_ready(&node) == ready, format!("{name} is {}", if ready { "NotReady" } else { "Ready" })))
    })
    .await
}

fn is_ready(node: &Node) -> bool {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.is_some_and(|all| all.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True"))
}

async fn names(cluster: &Cluster, selector: &str) -> Result<Vec<String>> {
    let nodes: Api<Node> = Api::all(cluster.client.clone());
    let list = nodes.list(&ListParams::default().labels(selector)).await?;
    let mut names: Vec<String> = list.items.into_iter().filter_map(|node| node.metadata.name).collect();
    names.sort();
    Ok(names)
}
