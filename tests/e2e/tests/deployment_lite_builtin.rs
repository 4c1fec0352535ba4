//! deployment-lite in the place of the built-in controllers, besides what upstream's suite sees of it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::cluster::Cluster;
use e2e::wait::{self, Seen};
use e2e::{namespace, pod};
use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use kube::api::PostParams;
use serde_json::{Value, json};

const QUIET: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_finished_deployment_is_looked_at_without_a_write() -> Result<()> {
    namespace::with_namespace("finished", async |cluster, namespace| {
        // The one without replicas has a status of nothing but zeros, which the API server leaves out.
        let deployments: Api<Deployment> = Api::namespaced(cluster.client.clone(), &namespace);
        for (name, replicas) in [("web", 2), ("none", 0)] {
            deployments.create(&PostParams::default(), &serde_json::from_value(web(name, replicas))?).await?;
            let rolled_out = ["-n", &namespace, "rollout", "status", &format!("deployment/{name}"), "--timeout=55s"];
            cluster.run_kubectl(&rolled_out).await?;
        }
        let before = writes(&cluster).await?;
        // Each label lets controllers look at their object again, and is one write itself.
        cluster.run_kubectl(&["-n", &namespace, "label", "deployments,replicasets", "--all", "seen=again"]).await?;
        cluster.run_kubectl(&["-n", &namespace, "label", "pods", "--all", "seen=again"]).await?;
        wait::throughout("no write but those of the labels", QUIET, async || {
            let since = writes(&cluster).await? - before;
            Ok(Seen::when(since == 4, format!("{since} writes instead of 4")))
        })
        .await?;
        // The templates have the server's defaults on both sides, so that they are equal and no second set is made.
        let sets = cluster.run_kubectl(&["-n", &namespace, "get", "replicasets", "-o", "name"]).await?;
        ensure!(sets.lines().count() == 2, "{sets}");
        Ok(())
    })
    .await
}

fn web(name: &str, replicas: i32) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [pod::web_container(pod::AGNHOST)], "terminationGracePeriodSeconds": 1},
            },
        },
    })
}

/// How many requests the API server has had that write Deployments and ReplicaSets. One that changes nothing counts,
/// too, which no resourceVersion would tell.
async fn writes(cluster: &Cluster) -> Result<u64> {
    let metrics = cluster.run_kubectl(&["get", "--raw", "/metrics"]).await?;
    let requests = metrics.lines().filter(|line| line.starts_with("apiserver_request_total{"));
    let mut sum = 0;
    for line in requests.filter(|line| is_write(line)) {
        let (_, count) = line.rsplit_once(' ').context("a metric without a value")?;
        sum += count.parse::<f64>()? as u64;
    }
    ensure!(sum > 0, "the API server does not count its requests as this test reads them");
    Ok(sum)
}

fn is_write(line: &str) -> bool {
    let has_any =
        |label: &str, values: &[&str]| values.iter().any(|value| line.contains(&format!("{label}=\"{value}\"")));
    has_any("group", &["apps"])
        && has_any("resource", &["deployments", "replicasets"])
        && !has_any("verb", &["GET", "LIST", "WATCH", "WATCHLIST"])
}
