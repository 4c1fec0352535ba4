//! A namespace of its own for each test, deleted afterwards whatever the test's result.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Result, anyhow};
use futures::FutureExt;
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use serde_json::json;

use crate::cluster::Cluster;

static COUNT: AtomicU32 = AtomicU32::new(0);

/// Runs a test body in a fresh namespace on the cluster. When the body fails or panics, what the namespace holds is
/// printed before it is deleted, since nothing of it can be looked at later.
///
/// # Errors
/// The cluster cannot be reached, or what the body says.
///
/// # Panics
/// As the body does.
pub async fn with_namespace(purpose: &str, body: impl AsyncFnOnce(Cluster, String) -> Result<()>) -> Result<()> {
    let cluster = Cluster::connect().await?;
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("e2e-{purpose}-{}-{number}", std::process::id());
    let namespaces: Api<Namespace> = Api::all(cluster.client.clone());
    namespaces.create(&PostParams::default(), &serde_json::from_value(json!({"metadata": {"name": name}}))?).await?;

    let result = AssertUnwindSafe(body(cluster.clone(), name.clone())).catch_unwind().await;
    if !matches!(result, Ok(Ok(()))) {
        print_content(&cluster, &name).await;
    }
    let deleted = namespaces.delete(&name, &DeleteParams::background()).await;
    match result {
        Ok(Ok(())) => deleted.map(|_| ()).map_err(|error| anyhow!("failed to delete namespace {name}: {error}")),
        Ok(failed) => failed,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

async fn print_content(cluster: &Cluster, namespace: &str) {
    for kinds in ["pods,services,endpointslices", "ldeploy,lrs,deployments,replicasets", "events"] {
        match cluster.run_kubectl(&["-n", namespace, "get", kinds, "-o", "wide", "--ignore-not-found"]).await {
            Ok(text) => eprintln!("--- {kinds} of {namespace}\n{text}"),
            Err(error) => eprintln!("--- {kinds} of {namespace}: {error:#}"),
        }
    }
}
