//! deployment-lite itself: its replicas, under the names that its manifests give them.

use std::time::Duration;

use anyhow::Result;
use k8s_openapi::api::core::v1::Pod;

use crate::cluster::Cluster;
use crate::wait::{self, Seen};
use crate::{lease, pod};

/// The name of its Lease.
pub const LEASE: &str = "deployment-lite";

/// As whom it asks the API server.
pub const USER: &str = "system:serviceaccount:operator-lite-system:deployment-lite";

const SELECTOR: &str = "app.kubernetes.io/name=deployment-lite";

/// Its pods, sorted by name.
///
/// # Errors
/// The API server does not answer.
pub async fn pods(cluster: &Cluster) -> Result<Vec<Pod>> {
    pod::list(cluster, lease::OPERATOR_NAMESPACE, SELECTOR).await
}

/// Waits until two replicas of it are ready; gives them.
///
/// # Errors
/// They are not within 120 s.
pub async fn wait_for_two_ready(cluster: &Cluster) -> Result<Vec<Pod>> {
    wait::until("two ready replicas of the operator", Duration::from_secs(120), async || {
        let pods = pods(cluster).await?;
        let ready: Vec<Pod> =
            pods.iter().filter(|pod| pod::is_ready(pod) && !pod::is_terminating(pod)).cloned().collect();
        Ok(match ready.len() {
            2 => Seen::Done(ready),
            _ => Seen::NotYet(format!("{:?}", pods.iter().map(pod::describe).collect::<Vec<_>>())),
        })
    })
    .await
}
