//! LiteDeployments as a user handles them: JSON in, status out.

use std::time::Duration;

use anyhow::Result;
use kube::Api;
use kube::api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::pod;
use crate::wait::{self, Seen};

/// The API of a namespace's LiteDeployments.
#[must_use]
pub fn api(cluster: &Cluster, namespace: &str) -> Api<DynamicObject> {
    api_of(cluster, namespace, "LiteDeployment", "litedeployments")
}

/// The API of a namespace's LiteReplicaSets.
#[must_use]
pub fn replica_sets(cluster: &Cluster, namespace: &str) -> Api<DynamicObject> {
    api_of(cluster, namespace, "LiteReplicaSet", "litereplicasets")
}

fn api_of(cluster: &Cluster, namespace: &str, kind: &str, plural: &str) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("apps.operator-lite.dev", "v1alpha1", kind);
    Api::namespaced_with(cluster.client.clone(), namespace, &ApiResource::from_gvk_with_plural(&kind, plural))
}

/// A LiteDeployment of web servers labelled `app: <name>`.
#[must_use]
pub fn web(name: &str, replicas: i32) -> Value {
    json!({
        "apiVersion": "apps.operator-lite.dev/v1alpha1",
        "kind": "LiteDeployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [pod::web_container(pod::AGNHOST_OLDER)], "terminationGracePeriodSeconds": 20},
            },
        },
    })
}

/// The patch that rolls out a new version: another image.
#[must_use]
pub fn new_version() -> Value {
    json!({"spec": {"template": {"spec": {"containers": [pod::web_container(pod::AGNHOST)]}}}})
}

/// Creates a LiteDeployment.
///
/// # Errors
/// It is refused.
pub async fn create(cluster: &Cluster, namespace: &str, object: &Value) -> Result<()> {
    api(cluster, namespace).create(&PostParams::default(), &serde_json::from_value(object.clone())?).await?;
    Ok(())
}

/// Deletes a LiteDeployment; what it owns goes later.
///
/// # Errors
/// There is none of this name.
pub async fn delete(cluster: &Cluster, namespace: &str, name: &str) -> Result<()> {
    api(cluster, namespace).delete(name, &DeleteParams::default()).await?;
    Ok(())
}

/// Merges a change into a LiteReplicaSet, past the LiteDeployment that owns it.
///
/// # Errors
/// It is refused.
pub async fn change_replica_set(cluster: &Cluster, namespace: &str, name: &str, change: &Value) -> Result<()> {
    replica_sets(cluster, namespace).patch(name, &PatchParams::default(), &Patch::Merge(change)).await?;
    Ok(())
}

/// Merges a change into a LiteDeployment; gives the generation that it has then.
///
/// # Errors
/// It is refused.
pub async fn change(cluster: &Cluster, namespace: &str, name: &str, change: &Value) -> Result<i64> {
    let changed = api(cluster, namespace).patch(name, &PatchParams::default(), &Patch::Merge(change)).await?;
    Ok(changed.metadata.generation.unwrap_or_default())
}

/// Waits until the status says that the newest generation is rolled out completely and available.
///
/// # Errors
/// It does not within `limit`.
pub async fn wait_complete(cluster: &Cluster, namespace: &str, name: &str, limit: Duration) -> Result<()> {
    let objects = api(cluster, namespace);
    wait::until(&format!("LiteDeployment {name} to be rolled out"), limit, async || {
        let object = objects.get(name).await?;
        let generation = object.metadata.generation.unwrap_or_default();
        let status = &object.data["status"];
        let done = is_complete(&object.data["spec"], status, generation);
        Ok(Seen::when(done, format!("generation {generation}, status {status}")))
    })
    .await
}

/// Waits until a namespace has so many LiteDeployments and all of them are complete.
///
/// # Errors
/// They are not within `limit`.
pub async fn wait_all_complete(cluster: &Cluster, namespace: &str, count: usize, limit: Duration) -> Result<()> {
    let objects = api(cluster, namespace);
    wait::until(&format!("{count} LiteDeployments to be rolled out"), limit, async || {
        let list = objects.list(&ListParams::default()).await?;
        let complete = list.items.iter().filter(|object| {
            let generation = object.metadata.generation.unwrap_or_default();
            is_complete(&object.data["spec"], &object.data["status"], generation)
        });
        let complete = complete.count();
        Ok(Seen::when(complete == count && list.items.len() == count, format!("{complete} are")))
    })
    .await
}

/// Whether a status tells of a finished rollout of this generation.
fn is_complete(spec: &Value, status: &Value, generation: i64) -> bool {
    let count = |field: &str| status[field].as_i64().unwrap_or(0);
    let wanted = spec["replicas"].as_i64().unwrap_or(1);
    let finished = condition(status, "Progressing").is_some_and(|found| found["reason"] == "NewReplicaSetAvailable");
    let available = condition(status, "Available").is_some_and(|found| found["status"] == "True");
    status["observedGeneration"].as_i64() == Some(generation)
        && ["replicas", "updatedReplicas", "readyReplicas", "availableReplicas"]
            .iter()
            .all(|field| count(field) == wanted)
        && count("unavailableReplicas") == 0
        && finished
        && available
}

fn condition<'a>(status: &'a Value, kind: &str) -> Option<&'a Value> {
    status["conditions"].as_array()?.iter().find(|condition| condition["type"] == kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> Value {
        json!({
            "observedGeneration": 2, "replicas": 3, "updatedReplicas": 3, "readyReplicas": 3, "availableReplicas": 3,
            "conditions": [
                {"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable"},
                {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"},
            ],
        })
    }

    #[test]
    fn a_rollout_counts_as_complete_only_for_the_newest_generation() {
        let spec = json!({"replicas": 3});
        assert!(is_complete(&spec, &status(), 2));
        assert!(!is_complete(&spec, &status(), 3));
    }

    #[test]
    fn a_rollout_with_an_old_pod_left_is_not_complete() {
        let spec = json!({"replicas": 3});
        let mut left = status();
        left["replicas"] = json!(4);
        assert!(!is_complete(&spec, &left, 2));
        let mut progressing = status();
        progressing["conditions"][1]["reason"] = json!("ReplicaSetUpdated");
        assert!(!is_complete(&spec, &progressing, 2));
    }
}
