//! The negative control: without Kubernetes' own Deployment and ReplicaSet controllers nothing of theirs moves. So
//! what upstream's suite sees moving is their work, and later ours.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::cluster::Cluster;
use e2e::wait::{self, Seen};
use e2e::{command, namespace, node, pod};
use serde_json::{Value, json};

const OFF: &str = "-deployment-controller,-replicaset-controller";
const MANIFEST: &str = "/etc/kubernetes/manifests/kube-controller-manager.yaml";
/// The new process waits for the lease of the old one, which may have to run out.
const RESTART_LIMIT: Duration = Duration::from_secs(120);
const MOVE_LIMIT: Duration = Duration::from_secs(90);
const QUIET: Duration = Duration::from_secs(3);

#[tokio::test]
async fn without_its_controllers_no_deployment_and_no_replica_set_moves() -> Result<()> {
    namespace::with_namespace("no-controllers", async |cluster, namespace| {
        let control_plane = node::control_plane(&cluster).await?;
        switch(&cluster, &control_plane, false).await?;
        let result = nothing_moves(&cluster, &namespace).await;
        // On again before the result is looked at: the cluster must not stay without them.
        switch(&cluster, &control_plane, true).await?;
        result?;
        // What did not move moves now, so nothing but the controllers was missing.
        wait::until("both to move with their controllers", MOVE_LIMIT, async || {
            let (deployment, replica_set) = (
                status(&cluster, &namespace, "deployment/still").await?,
                status(&cluster, &namespace, "replicaset/alone").await?,
            );
            let is_done = deployment["readyReplicas"] == 2 && replica_set["readyReplicas"] == 2;
            Ok(Seen::when(is_done, format!("{deployment}, {replica_set}")))
        })
        .await
    })
    .await
}

async fn nothing_moves(cluster: &Cluster, namespace: &str) -> Result<()> {
    let object = |kind: &str, name: &str, more: Value| {
        let mut spec = json!({
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"terminationGracePeriodSeconds": 1, "containers": [{"name": "web", "image": pod::AGNHOST, "args": ["pause"]}]},
            },
        });
        if let (Some(spec), Value::Object(more)) = (spec.as_object_mut(), more) {
            spec.extend(more);
        }
        json!({"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name}, "spec": spec})
    };
    let objects = json!({"apiVersion": "v1", "kind": "List", "items": [
        object("Deployment", "still", json!({"replicas": 2})),
        object("ReplicaSet", "alone", json!({"replicas": 2})),
        // Another controller of the same process: when its object has moved, the others have had their time.
        object("DaemonSet", "moving", json!({})),
    ]});
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), objects.to_string())?;
    let path = file.path().to_str().context("a temporary file with a strange name")?;
    cluster.run_kubectl(&["-n", namespace, "apply", "-f", path]).await?;

    wait::until("the DaemonSet to run on every worker", MOVE_LIMIT, async || {
        let moving = status(cluster, namespace, "daemonset/moving").await?;
        Ok(Seen::when(moving["numberReady"] == 3, moving.to_string()))
    })
    .await?;
    wait::throughout("standstill", QUIET, async || {
        let deployment = status(cluster, namespace, "deployment/still").await?;
        let replica_set = status(cluster, namespace, "replicaset/alone").await?;
        let pods = pod::list(cluster, namespace, "app in (still, alone)").await?.len();
        let sets = cluster.run_kubectl(&["-n", namespace, "get", "replicasets", "-o", "name"]).await?;
        let is_still = deployment["observedGeneration"].is_null()
            && replica_set["observedGeneration"].is_null()
            && pods == 0
            && sets.trim() == "replicaset.apps/alone";
        Ok(Seen::when(is_still, format!("Deployment {deployment}, ReplicaSet {replica_set}, {pods} pods, sets {sets}")))
    })
    .await
}

/// Rewrites the static pod of the controller manager and waits until the new one leads.
async fn switch(cluster: &Cluster, control_plane: &str, is_on: bool) -> Result<()> {
    let (from, to) = if is_on {
        (format!(",{OFF}"), String::new())
    } else {
        ("bootstrapsigner,tokencleaner".to_owned(), format!("bootstrapsigner,tokencleaner,{OFF}"))
    };
    // The kubelet watches the folder: the file is changed in one step, by a rename from outside of it.
    let script = r#"sed "s/$1/$2/" "$3" > /etc/kubernetes/changed && mv /etc/kubernetes/changed "$3""#;
    let former = leader(cluster).await?;
    cluster.run_on_node(control_plane, &["sh", "-c", script, "sh", &from, &to, MANIFEST]).await?;
    let manifest = cluster.run_on_node(control_plane, &["cat", MANIFEST]).await?;
    ensure!(manifest.contains(OFF) != is_on, "the manifest of the controller manager did not change");
    wait::until("the changed controller manager to lead", RESTART_LIMIT, async || {
        let leader = leader(cluster).await?;
        Ok(Seen::when(leader != former && !leader.is_empty(), format!("{leader} leads, as before")))
    })
    .await
}

async fn leader(cluster: &Cluster) -> Result<String> {
    let path = "jsonpath={.spec.holderIdentity}";
    cluster.run_kubectl(&["-n", "kube-system", "get", "lease", "kube-controller-manager", "-o", path]).await
}

async fn status(cluster: &Cluster, namespace: &str, object: &str) -> Result<Value> {
    let mut get = cluster.kubectl();
    get.args(["-n", namespace, "get", object, "-o", "json"]);
    let object: Value = serde_json::from_str(&command::succeed(&mut get, command::USUAL_LIMIT).await?)?;
    Ok(object["status"].clone())
}
