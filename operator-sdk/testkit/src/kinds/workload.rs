//! The kinds that make pods of a template: Deployment, ReplicaSet, StatefulSet, DaemonSet, Job, CronJob and
//! ReplicationController.

use std::sync::Arc;

use serde_json::{Map as JsonMap, Value, json};

use super::{
    default::{or_set, set_within},
    findings::{Findings, is_empty_selector, selects},
    pod::{check_template, pod_warnings},
};
use crate::{
    cause::Cause,
    resource::{Part, Rules},
    schema::Schema,
};

mod daemon_set;
mod deployment;
mod job;
mod stateful_set;

/// What one of these kinds does.
pub(super) struct Workload {
    kind: &'static str,
    schema: Arc<Schema>,
    /// The status of a new object.
    status: Value,
}

impl Workload {
    pub(super) fn new(kind: &'static str, schema: Arc<Schema>) -> Self {
        Self { kind, status: super::empty_status(&schema), schema }
    }
}

impl Rules for Workload {
    fn warn(&self, new: &Value, old: Option<&Value>, part: Part) -> Vec<String> {
        if part == Part::Main { warn_of_template(self.kind, new, old) } else { Vec::new() }
    }

    fn default(&self, object: &mut Value) {
        super::default::apply_defaults(&self.schema, object);
    }

    fn prepare(&self, new: &mut Value, old: Option<&Value>, part: Part) {
        if old.is_none() {
            new["status"] = self.status.clone();
        }
        match (self.kind, old, part) {
            ("Job", None, _) => job::select_own_pods(new),
            ("DaemonSet", old, Part::Main) => daemon_set::count_templates(new, old),
            _ => {}
        }
    }

    fn validate(&self, new: &Value, old: Option<&Value>, part: Part) -> Vec<Cause> {
        let mut findings = Findings::default();
        if part == Part::Status {
            check_status(self.kind, &new["status"], &mut findings);
            return findings.0;
        }
        match self.kind {
            "Deployment" => deployment::check(&new["spec"], &mut findings),
            "ReplicaSet" => deployment::check_replica_set(&new["spec"], &mut findings),
            "StatefulSet" => stateful_set::check(&new["spec"], old.map(|old| &old["spec"]), &mut findings),
            "DaemonSet" => daemon_set::check(&new["spec"], &mut findings),
            "Job" => job::check(&new["spec"], old.map(|old| &old["spec"]), &mut findings),
            "CronJob" => job::check_cron(&new["spec"], &mut findings),
            _ => check_template(&new["spec"]["template"], "spec.template", &mut findings),
        }
        if let Some(old) = old
            && !matches!(self.kind, "CronJob" | "ReplicationController")
        {
            findings.immutable(&new["spec"]["selector"], &old["spec"]["selector"], "spec.selector");
        }
        findings.0
    }
}

/// What is told of a template beside the answer.
fn warn_of_template(kind: &str, new: &Value, old: Option<&Value>) -> Vec<String> {
    let path = if kind == "CronJob" { "/spec/jobTemplate/spec/template" } else { "/spec/template" };
    let template = new.pointer(path);
    if template == old.and_then(|old| old.pointer(path)) {
        return Vec::new();
    }
    let path = path.trim_start_matches('/').replace('/', ".");
    template.map(|template| pod_warnings(&template["spec"], &format!("{path}.spec"))).unwrap_or_default()
}

/// Sets what is not given.
pub(super) fn set_defaults(kind: &str, object: &mut JsonMap<String, Value>) {
    if matches!(kind, "Job" | "ReplicationController") {
        job::copy_labels(kind, object);
    }
    if kind == "DaemonSet" {
        daemon_set::set_annotation(object);
    }
    let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) else { return };
    match kind {
        "Deployment" => deployment::set_defaults(spec),
        "ReplicaSet" | "ReplicationController" => or_set(spec, "replicas", 1),
        "StatefulSet" => stateful_set::set_defaults(spec),
        "DaemonSet" => daemon_set::set_defaults(spec),
        "Job" => job::set_defaults(spec),
        _ => {
            or_set(spec, "concurrencyPolicy", "Allow");
            or_set(spec, "suspend", false);
            or_set(spec, "successfulJobsHistoryLimit", 3);
            or_set(spec, "failedJobsHistoryLimit", 1);
        }
    }
}

/// What is wrong with a selector and the labels of the template that it has to select.
/// Gives whether the selector is one.
fn check_selector(spec: &Value, kind: &str, detail: &str, findings: &mut Findings) -> bool {
    let selector = &spec["selector"];
    if selector.is_null() {
        findings.required("spec.selector", "");
        return true;
    }
    let is_selector = findings.selector(selector, "spec.selector");
    if is_empty_selector(selector) {
        findings.invalid("spec.selector", selector, format!("empty selector is invalid for {kind}"));
    }
    if !is_selector {
        findings.invalid("spec.selector", selector, detail);
    }
    is_selector
}

fn check_labels(spec: &Value, findings: &mut Findings) {
    let labels = &spec["template"]["metadata"]["labels"];
    if spec["selector"].is_null() || !selects(&spec["selector"], labels) {
        findings.invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`");
    }
}

/// Pods that come back when they end, and have no deadline.
fn check_lasting(spec: &Value, kind: &str, findings: &mut Findings) {
    let pod = &spec["template"]["spec"];
    findings.not_one_of("spec.template.spec.restartPolicy", &pod["restartPolicy"], &["Always"]);
    if !pod["activeDeadlineSeconds"].is_null() {
        let detail = format!("activeDeadlineSeconds in {kind} is not Supported");
        findings.forbidden("spec.template.spec.activeDeadlineSeconds", detail);
    }
}

fn check_status(kind: &str, status: &Value, findings: &mut Findings) {
    let counts: &[&str] = match kind {
        "Deployment" => &["updatedReplicas", "readyReplicas", "availableReplicas"],
        "ReplicaSet" => &["fullyLabeledReplicas", "readyReplicas", "availableReplicas"],
        "StatefulSet" => &["readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas"],
        _ => &[],
    };
    for (key, value) in super::findings::fields(status) {
        if value.is_i64() {
            findings.not_negative(status, "status", key);
        }
    }
    let number = |key: &str| status[key].as_i64().unwrap_or_default();
    for key in counts.iter().filter(|key| number(key) > number("replicas")) {
        findings.invalid(format!("status.{key}"), &json!(number(key)), "cannot be greater than status.replicas");
    }
    if !counts.is_empty() && number("availableReplicas") > number("readyReplicas") {
        let of = if kind == "StatefulSet" { "status.readyReplicas" } else { "readyReplicas" };
        let detail = format!("cannot be greater than {of}");
        findings.invalid("status.availableReplicas", &json!(number("availableReplicas")), detail);
    }
}

/// Sets the type of a strategy, and the fields of a rolling update.
fn set_strategy(spec: &mut JsonMap<String, Value>, key: &str, limits: &[(&str, Value)]) {
    set_within(spec, key, "type", "RollingUpdate");
    let Some(strategy) = spec.get_mut(key).and_then(Value::as_object_mut) else { return };
    if strategy.get("type") == Some(&json!("RollingUpdate")) {
        for (limit, value) in limits {
            set_within(strategy, "rollingUpdate", limit, value.clone());
        }
    }
}
