//! Whether one pod reaches another: the first asks the second by HTTP, told to do so through the API server.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::cluster::Cluster;
use crate::wait::{self, Seen};

/// A Service refuses for about a second after its creation, a route takes a moment to come back.
const LIMIT: Duration = Duration::from_secs(30);

/// What one look from a pod of [`crate::pod::start_web`] at a host gave: the JSON of agnhost's `dial`.
///
/// # Errors
/// The asking pod itself cannot be reached.
pub async fn ask(cluster: &Cluster, namespace: &str, from: &str, host: &str, port: u16) -> Result<String> {
    let path = format!(
        "/api/v1/namespaces/{namespace}/pods/{from}:8080/proxy/dial?host={host}&port={port}&request=hostname&protocol=http&tries=1"
    );
    cluster.run_kubectl(&["get", "--raw", &path]).await
}

/// Waits until a host answers a pod; gives the name of the pod that answered.
///
/// # Errors
/// It does not within 30 s.
pub async fn from_pod(cluster: &Cluster, namespace: &str, from: &str, host: &str, port: u16) -> Result<String> {
    wait::until(&format!("an answer of {host}:{port} to pod {from}"), LIMIT, async || {
        let answer = ask(cluster, namespace, from, host, port).await?;
        let parsed: Value = serde_json::from_str(&answer).with_context(|| format!("not JSON: {answer}"))?;
        Ok(match parsed["responses"][0].as_str() {
            Some(name) => Seen::Done(name.to_owned()),
            None => Seen::NotYet(answer),
        })
    })
    .await
}
