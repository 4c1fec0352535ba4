//! Kinds with few rules: ConfigMap, Secret, Namespace, PersistentVolumeClaim, Lease, PodDisruptionBudget, roles and their
//! bindings, StorageClass; and all kinds of which only shape and defaults are known.

use std::sync::Arc;

use serde_json::{Value, json};

use super::findings::{Findings, fields, go_value, items};
use crate::{
    cause::Cause,
    names,
    resource::{Part, Rules},
    schema::Schema,
};

mod claim;
mod data;
mod event;
mod role;
mod webhook;

pub(super) use data::encode_texts;

/// What such a kind does.
pub(super) struct Simple {
    kind: &'static str,
    schema: Arc<Schema>,
    /// The status of a new object; `None`: what is given stays.
    status: Option<Value>,
}

impl Simple {
    pub(super) fn new(kind: &'static str, schema: Arc<Schema>, has_status: bool) -> Self {
        let status = match kind {
            "Node" => None,
            "Namespace" => Some(json!({"phase": "Active"})),
            "PersistentVolumeClaim" | "PersistentVolume" => Some(json!({"phase": "Pending"})),
            _ => has_status.then(|| super::empty_status(&schema)),
        };
        Self { kind, schema, status }
    }
}

impl Simple {
    /// Whether this is the Event of `events.k8s.io`.
    fn is_new_event(&self) -> bool {
        self.schema.name.as_deref().is_some_and(|name| name.contains(".events."))
    }
}

impl Rules for Simple {
    fn default(&self, object: &mut Value) {
        super::default::apply_defaults(&self.schema, object);
    }

    fn prepare(&self, new: &mut Value, old: Option<&Value>, part: Part) {
        match (self.kind, old) {
            ("Namespace", None) if !items(&new["spec"]["finalizers"]).any(|name| name == "kubernetes") => {
                let mut finalizers: Vec<Value> = items(&new["spec"]["finalizers"]).cloned().collect();
                finalizers.push(json!("kubernetes"));
                new["spec"]["finalizers"] = finalizers.into();
            }
            ("Namespace", Some(old)) if part == Part::Main => new["spec"] = old["spec"].clone(),
            ("PersistentVolumeClaim", None) => protect(new, "kubernetes.io/pvc-protection"),
            ("PersistentVolume", None) => protect(new, "kubernetes.io/pv-protection"),
            ("Node", None) => taint(new),
            ("Lease", _) => drop_election_fields(new),
            _ => {}
        }
        if let (None, Some(status)) = (old, &self.status) {
            new["status"] = status.clone();
            if self.kind == "PersistentVolume" {
                new["status"]["lastPhaseTransitionTime"] = new["metadata"]["creationTimestamp"].clone();
            }
        }
    }

    fn warn(&self, new: &Value, old: Option<&Value>, _part: Part) -> Vec<String> {
        let is_new = old.is_none_or(|old| old["data"] != new["data"]);
        if self.kind == "Secret" && is_new { data::warnings(new) } else { Vec::new() }
    }

    fn validate(&self, new: &Value, old: Option<&Value>, part: Part) -> Vec<Cause> {
        let mut findings = Findings::default();
        if part == Part::Status {
            if self.kind == "PodDisruptionBudget" {
                for (key, _) in fields(&new["status"]).filter(|(_, value)| value.is_i64()) {
                    findings.not_negative(&new["status"], "status", key);
                }
            }
            return findings.0;
        }
        match self.kind {
            "ConfigMap" | "Secret" => data::check(self.kind, new, old, &mut findings),
            "PersistentVolumeClaim" => claim::check_claim(&new["spec"], old, &mut findings),
            "PersistentVolume" => claim::check_volume(&new["spec"], &mut findings),
            "Event" => event::check(new, old, self.is_new_event(), &mut findings),
            "Namespace" => check_finalizers(&new["spec"], &mut findings),
            "EndpointSlice" if new["addressType"].as_str().unwrap_or_default().is_empty() => {
                findings.required("addressType", "");
            }
            "HorizontalPodAutoscaler" => check_autoscaler(&new["spec"], &mut findings),
            "Lease" => check_lease(&new["spec"], &mut findings),
            "PodDisruptionBudget" => check_budget(&new["spec"], &mut findings),
            "Role" | "ClusterRole" => role::check_role(self.kind, new, &mut findings),
            "RoleBinding" | "ClusterRoleBinding" => role::check_binding(self.kind, new, old, &mut findings),
            "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration" => webhook::check(new, &mut findings),
            "StorageClass" => claim::check_storage_class(new, old, &mut findings),
            _ => {}
        }
        findings.0
    }
}

/// A finalizer that the storage controllers take away.
fn protect(object: &mut Value, finalizer: &str) {
    let finalizers = &mut object["metadata"]["finalizers"];
    if items(finalizers).any(|name| name == finalizer) {
        return;
    }
    match finalizers.as_array_mut() {
        Some(finalizers) => finalizers.push(finalizer.into()),
        None => *finalizers = json!([finalizer]),
    }
}

fn check_lease(spec: &Value, findings: &mut Findings) {
    let duration = &spec["leaseDurationSeconds"];
    if duration.as_i64().is_some_and(|seconds| seconds <= 0) {
        findings.invalid("spec.leaseDurationSeconds", duration, "must be greater than 0");
    }
    findings.not_negative(spec, "spec", "leaseTransitions");
}

fn check_budget(spec: &Value, findings: &mut Findings) {
    if !spec["minAvailable"].is_null() && !spec["maxUnavailable"].is_null() {
        findings.invalid("spec", &go_value(spec), "minAvailable and maxUnavailable cannot be both set");
    }
    for key in ["minAvailable", "maxUnavailable"].into_iter().filter(|key| !spec[*key].is_null()) {
        findings.amount(&format!("spec.{key}"), &spec[key]);
        findings.at_most_everything(&format!("spec.{key}"), &spec[key]);
    }
    findings.selector(&spec["selector"], "spec.selector");
    if !spec["unhealthyPodEvictionPolicy"].is_null() {
        let policies = ["AlwaysAllow", "IfHealthyBudget"];
        findings.not_one_of("spec.unhealthyPodEvictionPolicy", &spec["unhealthyPodEvictionPolicy"], &policies);
    }
}

/// A new node takes no pods until a controller finds it ready.
fn taint(node: &mut Value) {
    const KEY: &str = "node.kubernetes.io/not-ready";
    if items(&node["spec"]["taints"]).any(|taint| taint["key"] == KEY) {
        return;
    }
    let taint = json!({"key": KEY, "effect": "NoSchedule"});
    match node["spec"]["taints"].as_array_mut() {
        Some(taints) => taints.push(taint),
        None => node["spec"]["taints"] = json!([taint]),
    }
}

/// Coordinated election is not on by default.
fn drop_election_fields(lease: &mut Value) {
    if let Some(spec) = lease.get_mut("spec").and_then(Value::as_object_mut) {
        spec.remove("strategy");
        spec.remove("preferredHolder");
    }
}

fn check_finalizers(spec: &Value, findings: &mut Findings) {
    for name in items(&spec["finalizers"]).filter_map(Value::as_str) {
        findings.problems("spec.finalizers", name, names::qualified_name_problems(name));
        if !name.contains('/') && name != "kubernetes" {
            let detail = "name is neither a standard finalizer name nor is it fully qualified";
            findings.invalid("spec.finalizers", &json!(name), detail);
        }
    }
}

fn check_autoscaler(spec: &Value, findings: &mut Findings) {
    let number = |key: &str| spec[key].as_i64().unwrap_or_default();
    if number("minReplicas") < 1 {
        findings.invalid("spec.minReplicas", &spec["minReplicas"], "must be greater than or equal to 1");
    }
    if number("maxReplicas") == 0 {
        findings.required("spec.maxReplicas", "");
    }
    if number("maxReplicas") < number("minReplicas") {
        findings.invalid("spec.maxReplicas", &spec["maxReplicas"], "must be greater than or equal to `minReplicas`");
    }
    if spec["scaleTargetRef"]["apiVersion"].as_str().unwrap_or_default().is_empty() {
        let detail = "apiVersion must specify API group";
        findings.invalid("spec.scaleTargetRef.apiVersion", &json!(""), detail);
    }
    for key in ["kind", "name"] {
        if spec["scaleTargetRef"][key].as_str().unwrap_or_default().is_empty() {
            findings.required(format!("spec.scaleTargetRef.{key}"), "");
        }
    }
}
