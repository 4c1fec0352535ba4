//! What the admission of a real server does to a new pod.

use serde_json::{Map as JsonMap, Value, json};
use sha2::{Digest, Sha256};

use super::super::{default::or_set, findings::items};

const TOKEN_FOLDER: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// The letters of which Kubernetes makes what is random in a name.
const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

pub(super) fn admit(pod: &mut Value) {
    let suffix = suffix(pod);
    let is_mirror = pod["metadata"]["annotations"]["kubernetes.io/config.mirror"].is_string();
    let Some(spec) = pod.get_mut("spec").and_then(Value::as_object_mut) else { return };
    if !is_mirror {
        or_set(spec, "serviceAccountName", "default");
        let account = spec["serviceAccountName"].clone();
        spec.insert("serviceAccount".to_owned(), account);
        if spec.get("automountServiceAccountToken") != Some(&json!(false)) {
            mount_token(spec, &format!("kube-api-access-{suffix}"));
        }
    }
    tolerate_failing_nodes(spec);
    match spec.get("priorityClassName").and_then(Value::as_str) {
        None | Some("") => or_set(spec, "priority", 0),
        Some("system-cluster-critical") => or_set(spec, "priority", 2_000_000_000),
        Some("system-node-critical") => or_set(spec, "priority", 2_000_001_000),
        Some(_) => {}
    }
    or_set(spec, "preemptionPolicy", "PreemptLowerPriority");
}

/// What it does to a pod that is changed.
pub(super) fn admit_change(pod: &mut Value, old: &Value) {
    let Some(spec) = pod.get_mut("spec").and_then(Value::as_object_mut) else { return };
    tolerate_failing_nodes(spec);
    for key in ["priority", "preemptionPolicy"] {
        if let Some(value) = old["spec"].get(key) {
            or_set(spec, key, value.clone());
        }
    }
}

/// What makes the name of the volume differ from pod to pod: of the pod's uid, for there is no randomness here.
fn suffix(pod: &Value) -> String {
    let digest = Sha256::digest(pod["metadata"].to_string().as_bytes());
    digest.iter().take(5).map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()])).collect()
}

fn mount_token(spec: &mut JsonMap<String, Value>, name: &str) {
    let mut is_mounted = false;
    for key in ["initContainers", "containers"] {
        for container in spec.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten() {
            if items(&container["volumeMounts"]).any(|mount| mount["mountPath"] == TOKEN_FOLDER) {
                continue;
            }
            is_mounted = true;
            let mount = json!({"name": name, "readOnly": true, "mountPath": TOKEN_FOLDER});
            push(container.as_object_mut(), "volumeMounts", mount);
        }
    }
    if is_mounted {
        push(Some(spec), "volumes", token_volume(name));
    }
}

fn token_volume(name: &str) -> Value {
    let namespace = json!({"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}});
    json!({"name": name, "projected": {"defaultMode": 420, "sources": [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [namespace]}},
    ]}})
}

fn tolerate_failing_nodes(spec: &mut JsonMap<String, Value>) {
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        let is_tolerated = items(spec.get("tolerations").unwrap_or(&Value::Null)).any(|toleration| {
            let is_key = toleration["key"] == key || toleration["key"].as_str().unwrap_or_default().is_empty();
            is_key
                && (toleration["effect"] == "NoExecute" || toleration["effect"].as_str().unwrap_or_default().is_empty())
        });
        if !is_tolerated {
            let toleration = json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300});
            push(Some(spec), "tolerations", toleration);
        }
    }
}

fn push(object: Option<&mut JsonMap<String, Value>>, key: &str, item: Value) {
    let Some(object) = object else { return };
    if let Some(items) = object.entry(key).or_insert_with(|| json!([])).as_array_mut() {
        items.push(item);
    }
}
