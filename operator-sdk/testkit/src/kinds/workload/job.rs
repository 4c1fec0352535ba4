//! Job and CronJob.

use serde_json::{Map as JsonMap, Value, json};

use super::check_labels;
use crate::kinds::{
    default::or_set,
    findings::{Findings, fields, go_value},
    pod::check_template,
};

/// The label by which a job finds its pods.
const OWNER: &str = "batch.kubernetes.io/controller-uid";

pub(super) fn set_defaults(spec: &mut JsonMap<String, Value>) {
    if !spec.contains_key("completions") && !spec.contains_key("parallelism") {
        or_set(spec, "completions", 1);
    }
    or_set(spec, "parallelism", 1);
    let backoff = if spec.contains_key("backoffLimitPerIndex") { i32::MAX } else { 6 };
    or_set(spec, "backoffLimit", backoff);
    or_set(spec, "completionMode", "NonIndexed");
    or_set(spec, "suspend", false);
    let replacement = if spec.contains_key("podFailurePolicy") { "Failed" } else { "TerminatingOrFailed" };
    or_set(spec, "podReplacementPolicy", replacement);
    or_set(spec, "manualSelector", false);
}

/// An object without labels has those of its template.
pub(super) fn copy_labels(kind: &str, object: &mut JsonMap<String, Value>) {
    let labels = object.get("spec").map(|spec| spec["template"]["metadata"]["labels"].clone()).unwrap_or_default();
    if fields(&labels).next().is_none() {
        return;
    }
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        or_set(metadata, "labels", labels.clone());
    }
    if let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut)
        && kind == "ReplicationController"
    {
        or_set(spec, "selector", labels);
    }
}

/// A job selects its pods by its uid, unless it is told how.
pub(super) fn select_own_pods(job: &mut Value) {
    if job["spec"]["manualSelector"] == json!(true) {
        return;
    }
    let (name, uid) = (job["metadata"]["name"].clone(), job["metadata"]["uid"].clone());
    let before = job["spec"]["template"]["metadata"]["labels"].clone();
    let labels = &mut job["spec"]["template"]["metadata"]["labels"];
    if labels.is_null() {
        *labels = json!({});
    }
    if let Some(labels) = labels.as_object_mut() {
        for (key, value) in [("job-name", &name), ("batch.kubernetes.io/job-name", &name)] {
            or_set(labels, key, value.as_str().unwrap_or_default());
        }
        for key in ["controller-uid", OWNER] {
            or_set(labels, key, uid.clone());
        }
    }
    let labels = labels.clone();
    let own = &mut job["metadata"]["labels"];
    if fields(own).next().is_none() || *own == before {
        *own = labels;
    }
    let selector = &mut job["spec"]["selector"];
    if selector.is_null() {
        *selector = json!({});
    }
    if let Some(selector) = selector.as_object_mut() {
        crate::kinds::default::set_within(selector, "matchLabels", OWNER, uid);
    }
}

pub(super) fn check(spec: &Value, old: Option<&Value>, findings: &mut Findings) {
    check_job(spec, "spec", findings);
    if spec["selector"].is_null() {
        findings.required("spec.selector", "");
    } else {
        findings.selector(&spec["selector"], "spec.selector");
    }
    check_labels(spec, findings);
    if old.is_none() && spec["manualSelector"] != json!(true) {
        let is_own = |(key, _): (&String, &Value)| key == OWNER;
        let is_generated =
            fields(&spec["selector"]["matchLabels"]).all(is_own) && spec["selector"]["matchExpressions"].is_null();
        if !is_generated {
            findings.invalid("spec.selector", &spec["selector"], "`selector` not auto-generated");
        }
    }
    let Some(old) = old else { return };
    if spec["completionMode"] != "Indexed" {
        findings.immutable(&spec["completions"], &old["completions"], "spec.completions");
    }
    if spec["suspend"] != json!(true) && old["suspend"] != json!(true) {
        findings.immutable(&go_value(&spec["template"]), &go_value(&old["template"]), "spec.template");
    }
    for key in ["completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy"] {
        findings.immutable(&spec[key], &old[key], &format!("spec.{key}"));
    }
}

pub(super) fn check_cron(spec: &Value, findings: &mut Findings) {
    if spec["schedule"].as_str().unwrap_or_default().is_empty() {
        findings.required("spec.schedule", "");
    }
    for key in ["startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"] {
        findings.not_negative(spec, "spec", key);
    }
    findings.not_one_of("spec.concurrencyPolicy", &spec["concurrencyPolicy"], &["Allow", "Forbid", "Replace"]);
    check_job(&spec["jobTemplate"]["spec"], "spec.jobTemplate.spec", findings);
}

fn check_job(spec: &Value, path: &str, findings: &mut Findings) {
    let counts = [
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
        "backoffLimitPerIndex",
        "maxFailedIndexes",
    ];
    for key in counts {
        findings.not_negative(spec, path, key);
    }
    if !spec["completionMode"].is_null() {
        let modes = ["NonIndexed", "Indexed"];
        findings.not_one_of(format!("{path}.completionMode"), &spec["completionMode"], &modes);
    }
    if spec["completionMode"] == "Indexed" && spec["completions"].is_null() {
        findings.required(format!("{path}.completions"), "when completion mode is Indexed");
    }
    check_template(&spec["template"], &format!("{path}.template"), findings);
    let policy = &spec["template"]["spec"]["restartPolicy"];
    let path = format!("{path}.template.spec.restartPolicy");
    match policy.as_str() {
        Some("Always") => findings.required(path, "valid values: \"OnFailure\", \"Never\""),
        _ => findings.not_one_of(path, policy, &["OnFailure", "Never"]),
    }
}
