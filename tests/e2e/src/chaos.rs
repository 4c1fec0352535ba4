//! Harm done on purpose to processes. Harm to nodes is `xtask cluster node …`, see [`crate::xtask::Xtask::node`].

use anyhow::{Context, Result};

use crate::cluster::Cluster;
use crate::pod;

/// Sends a signal to the first process of a pod's first container, from its node: nothing in the cluster is asked, so
/// no grace period applies and the kubelet learns of it only when the process is gone.
///
/// # Errors
/// The pod has no running container, or its node has no such process.
pub async fn signal_pod(cluster: &Cluster, namespace: &str, name: &str, signal: &str) -> Result<()> {
    let pod = pod::pods(cluster, namespace).get(name).await?;
    let process = ContainerProcess::find(cluster, &pod).await?;
    process.signal(cluster, signal).await
}

/// The process of a running container, found ahead so that the signal itself takes no more than one command.
#[derive(Clone, Debug)]
pub struct ContainerProcess {
    node: String,
    id: String,
}

impl ContainerProcess {
    /// Finds the first process of a pod's first container.
    ///
    /// # Errors
    /// The pod has no running container.
    pub async fn find(cluster: &Cluster, pod: &k8s_openapi::api::core::v1::Pod) -> Result<Self> {
        let statuses = pod.status.as_ref().and_then(|status| status.container_statuses.as_ref());
        let container = statuses
            .and_then(|all| all.first())
            .and_then(|status| status.container_id.as_deref())
            .and_then(|id| id.strip_prefix("containerd://"))
            .with_context(|| format!("no container runs in {}", pod::describe(pod)))?;
        let node = pod::node(pod).to_owned();
        let template = ["inspect", "--output", "go-template", "--template", "{{.info.pid}}", container];
        let id = cluster.run_on_node(&node, &[&["crictl"], &template[..]].concat()).await?;
        Ok(Self { node, id: id.trim().to_owned() })
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// It is gone already.
    pub async fn signal(&self, cluster: &Cluster, signal: &str) -> Result<()> {
        cluster.run_on_node(&self.node, &["kill", "-s", signal, &self.id]).await?;
        Ok(())
    }
}
