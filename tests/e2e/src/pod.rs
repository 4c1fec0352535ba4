//! Pods that the tests start and look at: agnhost as web server or shell, on a node of choice.

use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::Api;
use kube::api::{DeleteParams, ListParams, PostParams};
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::wait::{self, Seen};

/// The image of the web servers and shells; `cargo xtask images` loads it.
pub const AGNHOST: &str = "registry.k8s.io/e2e-test-images/agnhost:2.66.1";

/// The same program under the name of an older version, for rollouts that change the image.
pub const AGNHOST_OLDER: &str = "registry.k8s.io/e2e-test-images/agnhost:2.55";

const START_LIMIT: Duration = Duration::from_secs(90);

/// A container that answers HTTP on port 8080, is Ready only while it does, and goes on serving for some seconds
/// after its deletion was asked for, since the nodes learn of the deletion a little later.
#[must_use]
pub fn web_container(image: &str) -> Value {
    json!({
        "name": "web",
        "image": image,
        "args": ["netexec", "--http-port=8080", "--udp-port=-1"],
        "ports": [{"containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/hostname", "port": 8080}, "periodSeconds": 1},
        "lifecycle": {"preStop": {"sleep": {"seconds": 8}}},
    })
}

/// Creates a web server pod on a node, labelled `app: <name>`, and waits until it is Ready.
///
/// # Errors
/// It is refused, or not Ready in time.
pub async fn start_web(cluster: &Cluster, namespace: &str, name: &str, node: &str) -> Result<()> {
    let mut container = web_container(AGNHOST);
    container["lifecycle"] = Value::Null;
    start(cluster, namespace, name, node, container).await
}

/// Creates a pod of one container on a node, labelled `app: <name>`, and waits until it is Ready.
///
/// # Errors
/// It is refused, or not Ready in time.
pub async fn start(cluster: &Cluster, namespace: &str, name: &str, node: &str, container: Value) -> Result<()> {
    let pod = json!({
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"nodeName": node, "terminationGracePeriodSeconds": 1, "containers": [container]},
    });
    create(cluster, namespace, &pod).await?;
    wait_ready(cluster, namespace, name).await
}

/// Creates a pod.
///
/// # Errors
/// It is refused.
pub async fn create(cluster: &Cluster, namespace: &str, pod: &Value) -> Result<()> {
    pods(cluster, namespace).create(&PostParams::default(), &serde_json::from_value(pod.clone())?).await?;
    Ok(())
}

/// Asks for the deletion of a pod.
///
/// # Errors
/// There is none of this name.
pub async fn delete(cluster: &Cluster, namespace: &str, name: &str) -> Result<()> {
    pods(cluster, namespace).delete(name, &DeleteParams::default()).await?;
    Ok(())
}

/// Waits until a pod is Ready.
///
/// # Errors
/// It is not within 90 s.
pub async fn wait_ready(cluster: &Cluster, namespace: &str, name: &str) -> Result<()> {
    let pods = pods(cluster, namespace);
    wait::until(&format!("pod {name} to be Ready"), START_LIMIT, async || {
        let pod = pods.get(name).await?;
        Ok(Seen::when(is_ready(&pod), describe(&pod)))
    })
    .await
}

/// Creates a Service on port 80 for the pods labelled `app: <name>`; gives its cluster IP.
///
/// # Errors
/// It is refused.
pub async fn expose(cluster: &Cluster, namespace: &str, name: &str) -> Result<String> {
    let service = json!({
        "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8080}]},
    });
    let services: Api<Service> = Api::namespaced(cluster.client.clone(), namespace);
    let created = services.create(&PostParams::default(), &serde_json::from_value(service)?).await?;
    created.spec.and_then(|spec| spec.cluster_ip).context("the API server gave the Service no cluster IP")
}

/// Runs a program in a pod by `kubectl exec`; gives what it printed.
///
/// # Errors
/// It fails.
pub async fn exec(cluster: &Cluster, namespace: &str, name: &str, program: &[&str]) -> Result<String> {
    let mut arguments = vec!["-n", namespace, "exec", name, "--"];
    arguments.extend(program);
    cluster.run_kubectl(&arguments).await
}

/// The pods of a namespace with a label, sorted by name.
///
/// # Errors
/// The API server does not answer.
pub async fn list(cluster: &Cluster, namespace: &str, selector: &str) -> Result<Vec<Pod>> {
    let mut list = pods(cluster, namespace).list(&ListParams::default().labels(selector)).await?.items;
    list.sort_by(|left, right| left.metadata.name.cmp(&right.metadata.name));
    Ok(list)
}

/// The API of a namespace's pods.
#[must_use]
pub fn pods(cluster: &Cluster, namespace: &str) -> Api<Pod> {
    Api::namespaced(cluster.client.clone(), namespace)
}

/// Whether the pod's Ready condition is `True`.
#[must_use]
pub fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.is_some_and(|all| all.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True"))
}

/// Whether the pod's deletion has been asked for.
#[must_use]
pub fn is_terminating(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_some()
}

/// How often its first container was started again.
#[must_use]
pub fn restarts(pod: &Pod) -> i32 {
    let statuses = pod.status.as_ref().and_then(|status| status.container_statuses.as_ref());
    statuses.and_then(|all| all.first()).map_or(0, |container| container.restart_count)
}

/// The node a pod runs on, or nothing while it has none.
#[must_use]
pub fn node(pod: &Pod) -> &str {
    pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or_default()
}

/// The pod's name.
#[must_use]
pub fn name(pod: &Pod) -> &str {
    pod.metadata.name.as_deref().unwrap_or_default()
}

/// One line on the state of a pod, for errors: phase, readiness, why a container waits.
#[must_use]
pub fn describe(pod: &Pod) -> String {
    let status = pod.status.as_ref();
    let phase = status.and_then(|status| status.phase.as_deref()).unwrap_or("no phase");
    let waiting = status
        .and_then(|status| status.container_statuses.as_ref())
        .into_iter()
        .flatten()
        .filter_map(|container| container.state.as_ref()?.waiting.as_ref()?.reason.clone())
        .collect::<Vec<_>>()
        .join(", ");
    let terminating = if is_terminating(pod) { ", terminating" } else { "" };
    format!("{} is {phase} on {:?}, ready: {}{terminating} {waiting}", name(pod), node(pod), is_ready(pod))
}
