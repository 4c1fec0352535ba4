//! deployment-lite in the place of the built-in controllers, besides what upstream's suite sees of it.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::audit::{self, Request};
use e2e::cluster::Cluster;
use e2e::wait::{self, Seen};
use e2e::{namespace, pod};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::Api;
use kube::api::PostParams;
use serde_json::{Value, json};

const QUIET: Duration = Duration::from_secs(10);
const REST_LIMIT: Duration = Duration::from_secs(60);
/// Without a write for so long it has come to rest.
const REST: SignedDuration = SignedDuration::from_secs(3);

#[tokio::test]
async fn a_finished_deployment_is_looked_at_without_a_write() -> Result<()> {
    namespace::with_namespace("finished", async |cluster, namespace| {
        let deployments: Api<Deployment> = Api::namespaced(cluster.client.clone(), &namespace);
        let begun = audit::now();
        // The one without replicas has a status of nothing but zeros, which the API server leaves out.
        for (name, replicas) in [("web", 2), ("none", 0)] {
            deployments.create(&PostParams::default(), &serde_json::from_value(web(name, replicas))?).await?;
            let rolled_out = ["-n", &namespace, "rollout", "status", &format!("deployment/{name}"), "--timeout=55s"];
            cluster.run_kubectl(&rolled_out).await?;
        }
        wait::until("the last writes", REST_LIMIT, async || {
            let late = writes(&cluster, &namespace, audit::now() - REST).await?;
            Ok(Seen::when(late.is_empty(), format!("{} writes just now", late.len())))
        })
        .await?;
        let needed = writes(&cluster, &namespace, begun).await?;
        ensure!(needed.len() >= 8, "only {} writes are in the log, so it shows nothing", needed.len());

        // Each label lets a controller look at its object again.
        let labelled = audit::now();
        for kinds in ["deployments,replicasets", "pods"] {
            cluster.run_kubectl(&["-n", &namespace, "label", kinds, "--all", "seen=again"]).await?;
        }
        wait::throughout("a look without a write", QUIET, async || {
            let writes = writes(&cluster, &namespace, labelled).await?;
            Ok(Seen::when(
                writes.is_empty(),
                format!("{:#?}", writes.iter().map(Request::describe).collect::<Vec<_>>()),
            ))
        })
        .await?;
        // The templates have the server's defaults on both sides, so that they are equal and no second set is made.
        let sets = cluster.run_kubectl(&["-n", &namespace, "get", "replicasets", "-o", "name"]).await?;
        ensure!(sets.lines().count() == 2, "{sets}");
        Ok(())
    })
    .await
}

/// What deployment-lite wrote in a namespace. A write that changes nothing is among it, which no resourceVersion tells.
async fn writes(cluster: &Cluster, namespace: &str, from: Timestamp) -> Result<Vec<Request>> {
    let mut requests = audit::requests_since(cluster, from).await?;
    requests.retain(|request| request.is_write() && request.namespace.as_deref() == Some(namespace));
    Ok(requests)
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
                "spec": {
                    "containers": [{"name": "web", "image": pod::AGNHOST, "args": ["pause"]}],
                    "terminationGracePeriodSeconds": 1,
                },
            },
        },
    })
}
