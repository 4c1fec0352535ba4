//! What built-in kinds set when it is not given: each type sets its own fields, wherever it lies, the outer ones first.

use serde_json::{Map as JsonMap, Value, json};

use crate::schema::{Map, Schema, Shape};

type Object = JsonMap<String, Value>;

/// Sets what is not given in a value of a built-in kind.
pub(super) fn apply_defaults(schema: &Schema, value: &mut Value) {
    match (&schema.shape, value) {
        (Shape::Map(map), Value::Object(object)) => {
            if let Some(name) = &schema.name {
                set_declared(map, object);
                set_defaults(name.rsplit('.').next().unwrap_or_default(), name, object);
            }
            for (key, value) in object {
                if let Some(field) = map.fields.get(key).or(map.others.as_ref()) {
                    apply_defaults(field, value);
                }
            }
        }
        (Shape::List(list), Value::Array(items)) => {
            for item in items {
                apply_defaults(&list.items, item);
            }
        }
        _ => {}
    }
}

/// Sets what the schema itself says; a zero value there is none.
fn set_declared(map: &Map, object: &mut Object) {
    for (key, field) in map.implied() {
        let default = match &field.default {
            Some(Value::String(text)) if !text.is_empty() => text.as_str().into(),
            Some(Value::Number(number)) if number.as_i64() != Some(0) => Value::from(number.clone()),
            _ => continue,
        };
        or_set(object, key, default);
    }
}

fn set_defaults(type_name: &str, full_name: &str, object: &mut Object) {
    match type_name {
        "PodSpec" => pod_spec(object),
        "Pod" => pod(object),
        "Container" | "EphemeralContainer" => container(object),
        "Probe" => set_all(
            object,
            [("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3)],
        ),
        "HTTPGetAction" => {
            or_set(object, "path", "/");
            or_set(object, "scheme", "HTTP");
        }
        "GRPCAction" => or_set(object, "service", ""),
        "ObjectFieldSelector" => or_set(object, "apiVersion", "v1"),
        "Volume" => volume(object),
        "SecretVolumeSource" | "ConfigMapVolumeSource" | "DownwardAPIVolumeSource" | "ProjectedVolumeSource" => {
            or_set(object, "defaultMode", 420);
        }
        "ServiceAccountTokenProjection" => or_set(object, "expirationSeconds", 3600),
        "HostPathVolumeSource" => or_set(object, "type", ""),
        "PersistentVolumeClaimSpec" => or_set(object, "volumeMode", "Filesystem"),
        "PersistentVolumeClaim" => set_phase(object, "Pending"),
        "PersistentVolume" => {
            set_phase(object, "Pending");
            set_within(object, "spec", "persistentVolumeReclaimPolicy", "Retain");
            set_within(object, "spec", "volumeMode", "Filesystem");
        }
        "PodStatus" => pod_status(object),
        "NodeStatus" => {
            if let Some(capacity) = object.get("capacity").cloned() {
                or_set(object, "allocatable", capacity);
            }
        }
        "HorizontalPodAutoscalerSpec" => autoscaler(full_name, object),
        "CSIDriverSpec" => driver(object),
        "LimitRangeItem" => limits(object),
        "Namespace" => namespace(object),
        "Secret" => {
            super::simple::encode_texts(object);
            or_set(object, "type", "Opaque");
        }
        "Service" => super::service::set_defaults(object),
        "EndpointPort" if full_name.contains(".discovery.") => {
            or_set(object, "name", "");
            or_set(object, "protocol", "TCP");
        }
        "EndpointPort" => or_set(object, "protocol", "TCP"),
        "StorageClass" => {
            or_set(object, "reclaimPolicy", "Delete");
            or_set(object, "volumeBindingMode", "Immediate");
        }
        "PriorityClass" => or_set(object, "preemptionPolicy", "PreemptLowerPriority"),
        "RoleBinding" | "ClusterRoleBinding" => role_binding(object),
        "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet" | "ReplicationController" | "Job" | "CronJob" => {
            super::workload::set_defaults(type_name, object);
        }
        "ValidatingWebhook" | "MutatingWebhook" => webhook(type_name, object),
        "RuleWithOperations" | "NamedRuleWithOperations" => or_set(object, "scope", "*"),
        "ServiceReference" => or_set(object, "port", 443),
        "CustomResourceDefinition" => super::definition::set_defaults(object),
        _ => {}
    }
}

fn pod_spec(spec: &mut Object) {
    if let Some(account) = text(spec, "serviceAccountName").or_else(|| text(spec, "serviceAccount")) {
        spec.insert("serviceAccountName".to_owned(), account.clone().into());
        spec.insert("serviceAccount".to_owned(), account.into());
    }
    or_set(spec, "dnsPolicy", "ClusterFirst");
    or_set(spec, "restartPolicy", "Always");
    or_set(spec, "securityContext", json!({}));
    or_set(spec, "terminationGracePeriodSeconds", 30);
    or_set(spec, "schedulerName", "default-scheduler");
}

/// The one address and the list of addresses say the same.
fn pod_status(status: &mut Object) {
    let first = status.get("podIPs").and_then(|list| list[0]["ip"].as_str()).map(str::to_owned);
    match (text(status, "podIP"), first) {
        (Some(address), first) if first.as_ref() != Some(&address) => {
            status.insert("podIPs".to_owned(), json!([{"ip": address}]));
        }
        (None, Some(first)) => _ = status.insert("podIP".to_owned(), first.into()),
        _ => {}
    }
}

/// What a pod sets that a template of pods does not.
fn pod(pod: &mut Object) {
    let Some(spec) = pod.get_mut("spec").and_then(Value::as_object_mut) else { return };
    if spec.get("terminationGracePeriodSeconds").and_then(Value::as_i64).is_some_and(|seconds| seconds < 0) {
        spec.insert("terminationGracePeriodSeconds".to_owned(), json!(1));
    }
    or_set(spec, "enableServiceLinks", true);
    let is_on_host = spec.get("hostNetwork") == Some(&json!(true));
    for key in ["containers", "initContainers"] {
        for container in spec.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten() {
            request_what_is_limited(container);
            if is_on_host {
                bind_ports_to_host(container);
            }
        }
    }
}

fn request_what_is_limited(container: &mut Value) {
    let Some(limits) = container["resources"].get("limits").and_then(Value::as_object).cloned() else { return };
    let Some(resources) = container["resources"].as_object_mut() else { return };
    let requests = resources.entry("requests").or_insert_with(|| json!({}));
    if let Some(requests) = requests.as_object_mut() {
        for (name, limit) in limits {
            requests.entry(name).or_insert(limit);
        }
    }
}

fn bind_ports_to_host(container: &mut Value) {
    for port in container.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
        let number = port["containerPort"].clone();
        if let Some(port) = port.as_object_mut() {
            or_set(port, "hostPort", number);
        }
    }
}

fn container(container: &mut Object) {
    let policy = if is_latest(container.get("image").and_then(Value::as_str).unwrap_or_default()) {
        "Always"
    } else {
        "IfNotPresent"
    };
    or_set(container, "imagePullPolicy", policy);
    or_set(container, "terminationMessagePath", "/dev/termination-log");
    or_set(container, "terminationMessagePolicy", "File");
}

/// Whether an image is named by the tag `latest`, said or not.
fn is_latest(image: &str) -> bool {
    let name = image.rsplit('/').next().unwrap_or_default();
    match (name.contains('@'), name.rsplit_once(':')) {
        (true, _) => false,
        (false, Some((_, tag))) => tag == "latest",
        (false, None) => !name.is_empty(),
    }
}

fn volume(volume: &mut Object) {
    if volume.len() == usize::from(volume.contains_key("name")) {
        volume.insert("emptyDir".to_owned(), json!({}));
    }
}

fn namespace(namespace: &mut Object) {
    set_phase(namespace, "Active");
    let Some(metadata) = namespace.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    if let Some(name) = text(metadata, "name")
        && let Some(labels) = metadata.entry("labels").or_insert_with(|| json!({})).as_object_mut()
    {
        labels.insert("kubernetes.io/metadata.name".to_owned(), name.into());
    }
}

fn role_binding(binding: &mut Object) {
    const GROUP: &str = "rbac.authorization.k8s.io";
    if let Some(role) = binding.get_mut("roleRef").and_then(Value::as_object_mut)
        && role.get("apiGroup").is_none_or(|group| *group == json!(""))
    {
        role.insert("apiGroup".to_owned(), GROUP.into());
    }
    for subject in binding.get_mut("subjects").and_then(Value::as_array_mut).into_iter().flatten() {
        let is_person = matches!(subject["kind"].as_str(), Some("User" | "Group"));
        if let Some(subject) = subject.as_object_mut().filter(|_| is_person) {
            or_set(subject, "apiGroup", GROUP);
        }
    }
}

fn webhook(type_name: &str, webhook: &mut Object) {
    or_set(webhook, "failurePolicy", "Fail");
    or_set(webhook, "matchPolicy", "Equivalent");
    or_set(webhook, "namespaceSelector", json!({}));
    or_set(webhook, "objectSelector", json!({}));
    or_set(webhook, "timeoutSeconds", 10);
    if type_name == "MutatingWebhook" {
        or_set(webhook, "reinvocationPolicy", "Never");
    }
}

fn autoscaler(full_name: &str, spec: &mut Object) {
    or_set(spec, "minReplicas", 1);
    if full_name.contains(".v2.") {
        let target = json!({"type": "Utilization", "averageUtilization": 80});
        or_set(spec, "metrics", json!([{"type": "Resource", "resource": {"name": "cpu", "target": target}}]));
    }
}

fn driver(spec: &mut Object) {
    or_set(spec, "attachRequired", true);
    or_set(spec, "fsGroupPolicy", "ReadWriteOnceWithFSType");
    or_set(spec, "volumeLifecycleModes", json!(["Persistent"]));
    let off =
        ["podInfoOnMount", "storageCapacity", "requiresRepublish", "seLinuxMount", "preventPodSchedulingIfMissing"];
    for key in off {
        or_set(spec, key, false);
    }
}

/// Containers get at most the maximum, and ask for what they get, or for the minimum.
fn limits(item: &mut Object) {
    if item.get("type") != Some(&json!("Container")) {
        return;
    }
    for (key, from) in [("default", "max"), ("defaultRequest", "default"), ("defaultRequest", "min")] {
        let source = item.get(from).and_then(Value::as_object).cloned().unwrap_or_default();
        for (name, amount) in source {
            set_within(item, key, &name, amount);
        }
    }
}

fn set_phase(object: &mut Object, phase: &str) {
    set_within(object, "status", "phase", phase);
}

pub(super) fn set_within(object: &mut Object, outer: &str, key: &str, value: impl Into<Value>) {
    if let Some(inner) = object.entry(outer).or_insert_with(|| json!({})).as_object_mut() {
        or_set(inner, key, value);
    }
}

fn set_all<const N: usize>(object: &mut Object, defaults: [(&str, i64); N]) {
    for (key, value) in defaults {
        or_set(object, key, value);
    }
}

/// Sets a field that is not there.
pub(super) fn or_set(object: &mut Object, key: &str, value: impl Into<Value>) {
    if object.get(key).is_none_or(Value::is_null) {
        object.insert(key.to_owned(), value.into());
    }
}

/// A text that is not empty.
pub(super) fn text(object: &Object, key: &str) -> Option<String> {
    object.get(key).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_image_without_a_fixed_version_is_always_pulled() {
        for (image, expected) in [
            ("web", true),
            ("web:latest", true),
            ("registry:5000/web", true),
            ("registry:5000/web:1", false),
            ("web:1", false),
            ("web@sha256:00", false),
            ("", false),
        ] {
            assert_eq!(is_latest(image), expected, "{image}");
        }
    }
}
