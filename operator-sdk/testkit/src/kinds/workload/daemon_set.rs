//! DaemonSet.

use serde_json::{Map as JsonMap, Value, json};

use super::{check_lasting, set_strategy};
use crate::kinds::{
    default::{or_set, set_within},
    findings::{Findings, is_empty_selector, is_none, selects},
    pod::check_template,
};

const GENERATION: &str = "deprecated.daemonset.template.generation";

/// The annotation is there before the template is counted.
pub(super) fn set_annotation(daemon_set: &mut JsonMap<String, Value>) {
    let metadata = daemon_set.get_mut("metadata").and_then(Value::as_object_mut);
    if let Some(metadata) = metadata {
        set_within(metadata, "annotations", GENERATION, "0");
    }
}

pub(super) fn set_defaults(spec: &mut JsonMap<String, Value>) {
    set_strategy(spec, "updateStrategy", &[("maxUnavailable", json!(1)), ("maxSurge", json!(0))]);
    or_set(spec, "revisionHistoryLimit", 10);
}

/// Counts the changes of the template in an annotation.
pub(super) fn count_templates(new: &mut Value, old: Option<&Value>) {
    let number = |object: &Value| {
        let text = object["metadata"]["annotations"][GENERATION].as_str();
        text.and_then(|text| text.parse::<u64>().ok()).unwrap_or_default()
    };
    let generation = match old {
        None => number(new).max(1),
        Some(old) => number(old) + u64::from(new["spec"]["template"] != old["spec"]["template"]),
    };
    if new["metadata"]["annotations"].is_null() {
        new["metadata"]["annotations"] = json!({});
    }
    new["metadata"]["annotations"][GENERATION] = generation.to_string().into();
}

pub(super) fn check(spec: &Value, findings: &mut Findings) {
    let (selector, labels) = (&spec["selector"], &spec["template"]["metadata"]["labels"]);
    let is_selector = findings.selector(selector, "spec.selector");
    if is_selector && (selector.is_null() || !selects(selector, labels)) {
        findings.invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`");
    }
    if !selector.is_null() && is_empty_selector(selector) {
        findings.invalid("spec.selector", selector, "empty selector is invalid for daemonset");
    }
    check_template(&spec["template"], "spec.template", findings);
    check_lasting(spec, "DaemonSet", findings);
    findings.not_negative(spec, "spec", "minReadySeconds");
    check_strategy(&spec["updateStrategy"], findings);
    findings.not_negative(spec, "spec", "revisionHistoryLimit");
}

fn check_strategy(strategy: &Value, findings: &mut Findings) {
    let limits = &strategy["rollingUpdate"];
    match strategy["type"].as_str().unwrap_or_default() {
        "OnDelete" => {}
        "RollingUpdate" => check_limits(limits, findings),
        kind => {
            let value = json!({"Type": kind, "RollingUpdate": limits});
            findings.not_one_of("spec.updateStrategy", &value, &["RollingUpdate", "OnDelete"]);
        }
    }
}

fn check_limits(limits: &Value, findings: &mut Findings) {
    let path = |key: &str| format!("spec.updateStrategy.rollingUpdate.{key}");
    for key in ["maxUnavailable", "maxSurge"] {
        findings.amount(&path(key), &limits[key]);
    }
    for key in ["maxUnavailable", "maxSurge"] {
        findings.at_most_everything(&path(key), &limits[key]);
    }
    match (is_none(&limits["maxUnavailable"]), is_none(&limits["maxSurge"])) {
        (false, false) => {
            let detail = "may not be set when maxUnavailable is non-zero";
            findings.invalid(path("maxSurge"), &limits["maxSurge"], detail);
        }
        (true, true) => findings.required(path("maxUnavailable"), "cannot be 0 when maxSurge is 0"),
        _ => {}
    }
}
