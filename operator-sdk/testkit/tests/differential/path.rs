//! Short paths of cases: `configmaps/a` for `/api/v1/namespaces/${ns}/configmaps/a`.

use serde_json::{Value, json};

/// A kind that a short path may name.
#[derive(Clone, Debug)]
pub struct Kind {
    /// As in `apps/v1`.
    pub api_version: String,
    /// As in `Deployment`.
    pub kind: String,
    plural: String,
    is_namespaced: bool,
}

const NAMESPACED: [(&str, &str, &str); 21] = [
    ("configmaps", "v1", "ConfigMap"),
    ("secrets", "v1", "Secret"),
    ("pods", "v1", "Pod"),
    ("services", "v1", "Service"),
    ("serviceaccounts", "v1", "ServiceAccount"),
    ("events", "v1", "Event"),
    ("endpoints", "v1", "Endpoints"),
    ("persistentvolumeclaims", "v1", "PersistentVolumeClaim"),
    ("podtemplates", "v1", "PodTemplate"),
    ("resourcequotas", "v1", "ResourceQuota"),
    ("deployments", "apps/v1", "Deployment"),
    ("replicasets", "apps/v1", "ReplicaSet"),
    ("statefulsets", "apps/v1", "StatefulSet"),
    ("daemonsets", "apps/v1", "DaemonSet"),
    ("jobs", "batch/v1", "Job"),
    ("leases", "coordination.k8s.io/v1", "Lease"),
    ("poddisruptionbudgets", "policy/v1", "PodDisruptionBudget"),
    ("roles", "rbac.authorization.k8s.io/v1", "Role"),
    ("rolebindings", "rbac.authorization.k8s.io/v1", "RoleBinding"),
    ("horizontalpodautoscalers", "autoscaling/v2", "HorizontalPodAutoscaler"),
    ("endpointslices", "discovery.k8s.io/v1", "EndpointSlice"),
];

const OF_CLUSTER: [(&str, &str, &str); 10] = [
    ("namespaces", "v1", "Namespace"),
    ("nodes", "v1", "Node"),
    ("persistentvolumes", "v1", "PersistentVolume"),
    ("storageclasses", "storage.k8s.io/v1", "StorageClass"),
    ("clusterroles", "rbac.authorization.k8s.io/v1", "ClusterRole"),
    ("clusterrolebindings", "rbac.authorization.k8s.io/v1", "ClusterRoleBinding"),
    ("priorityclasses", "scheduling.k8s.io/v1", "PriorityClass"),
    ("customresourcedefinitions", "apiextensions.k8s.io/v1", "CustomResourceDefinition"),
    ("mutatingwebhookconfigurations", "admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration"),
    ("validatingwebhookconfigurations", "admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration"),
];

/// The whole path, and the kind that a short one names; `definitions` are those of the file.
pub fn expand(path: &str, namespace: &str, definitions: &[Value]) -> (String, Option<Kind>) {
    if path.starts_with('/') {
        return (path.to_owned(), None);
    }
    let end = path.find(['/', '?']).unwrap_or(path.len());
    let (plural, rest) = path.split_at(end);
    let kind = find(plural, definitions).unwrap_or_else(|| panic!("{plural} is no kind that a short path can name"));
    let root = if kind.api_version.contains('/') { "/apis" } else { "/api" };
    let scope = if kind.is_namespaced { format!("/namespaces/{namespace}") } else { String::new() };
    let whole = format!("{root}/{}{scope}/{}{rest}", kind.api_version, kind.plural);
    // The kind of a subresource is another one, except that of a status.
    let parts: Vec<&str> = rest.split(['/', '?']).filter(|part| !part.is_empty() && !part.contains('=')).collect();
    let body = match parts.get(1) {
        None | Some(&"status") => Some(kind),
        Some(&"scale") => Some(Kind { api_version: "autoscaling/v1".into(), kind: "Scale".into(), ..kind }),
        Some(&"eviction") => Some(Kind { api_version: "policy/v1".into(), kind: "Eviction".into(), ..kind }),
        Some(_) => None,
    };
    (whole, body)
}

/// The collection of a definition's kind in a namespace, or of the cluster.
pub fn collection(definition: &Value, namespace: &str) -> String {
    let plural = definition["spec"]["names"]["plural"].as_str().expect("a plural");
    expand(plural, namespace, std::slice::from_ref(definition)).0
}

/// Puts `apiVersion` and `kind` where a body does not say them.
pub fn complete(body: &mut Value, kind: &Kind) {
    if let Some(fields) = body.as_object_mut() {
        fields.entry("apiVersion").or_insert_with(|| json!(kind.api_version));
        fields.entry("kind").or_insert_with(|| json!(kind.kind));
    }
}

fn find(plural: &str, definitions: &[Value]) -> Option<Kind> {
    let built_in = |(name, api_version, kind): &(&str, &str, &str), is_namespaced| {
        (*name == plural).then(|| Kind {
            api_version: (*api_version).into(),
            kind: (*kind).into(),
            plural: plural.into(),
            is_namespaced,
        })
    };
    let custom = |definition: &Value| {
        let spec = &definition["spec"];
        (spec["names"]["plural"] == plural).then(|| Kind {
            api_version: format!("{}/{}", text(&spec["group"]), text(&spec["versions"][0]["name"])),
            kind: text(&spec["names"]["kind"]),
            plural: plural.into(),
            is_namespaced: spec["scope"] == "Namespaced",
        })
    };
    definitions
        .iter()
        .find_map(custom)
        .or_else(|| NAMESPACED.iter().find_map(|entry| built_in(entry, true)))
        .or_else(|| OF_CLUSTER.iter().find_map(|entry| built_in(entry, false)))
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}
