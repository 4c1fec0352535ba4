//! A namespace of its own for each test, deleted afterwards whatever the test's result.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Result, anyhow};
use futures::FutureExt;
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use serde_json::json;

use crate::cluster::Cluster;
use crate::wait::{self, Seen};

/// The controller that makes it may have to become the leader first.
const ACCOUNT_LIMIT: Duration = Duration::from_secs(60);
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

    // A pod that comes before the ServiceAccount that it runs as is refused.
    let accounts: Api<ServiceAccount> = Api::namespaced(cluster.client.clone(), &name);
    let prepared = wait::until("the namespace's ServiceAccount", ACCOUNT_LIMIT, async || {
        Ok(Seen::when(accounts.get_opt("default").await?.is_some(), "there is none"))
    });
    let result = match prepared.await {
        Ok(()) => AssertUnwindSafe(body(cluster.clone(), name.clone())).catch_unwind().await,
        Err(error) => Ok(Err(error)),
    };
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
    for kinds in ["pods,services,endpointslices", "ldeploy,lrs", "deployments,replicasets", "events"] {
        match cluster.run_kubectl(&["-n", namespace, "get", kinds, "-o", "wide", "--ignore-not-found"]).await {
            Ok(text) => eprintln!("--- {kinds} of {namespace}\n{text}"),
            Err(error) => eprintln!("--- {kinds} of {namespace}: {error:#}"),
        }
    }
}
