//! Deployment and ReplicaSet.

use serde_json::{Map as JsonMap, Value, json};

use super::{check_labels, check_lasting, check_selector, set_strategy};
use crate::kinds::{
    default::or_set,
    findings::{Findings, is_none},
    pod::check_template,
};

pub(super) fn set_defaults(spec: &mut JsonMap<String, Value>) {
    or_set(spec, "replicas", 1);
    set_strategy(spec, "strategy", &[("maxUnavailable", json!("25%")), ("maxSurge", json!("25%"))]);
    or_set(spec, "revisionHistoryLimit", 10);
    or_set(spec, "progressDeadlineSeconds", 600);
}

pub(super) fn check(spec: &Value, findings: &mut Findings) {
    findings.not_negative(spec, "spec", "replicas");
    check_pods(spec, findings);
    check_strategy(&spec["strategy"], findings);
    for key in ["minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"] {
        findings.not_negative(spec, "spec", key);
    }
    let deadline = &spec["progressDeadlineSeconds"];
    let ready = spec["minReadySeconds"].as_i64().unwrap_or_default();
    if deadline.as_i64().is_some_and(|seconds| seconds <= ready) {
        findings.invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds");
    }
}

pub(super) fn check_replica_set(spec: &Value, findings: &mut Findings) {
    findings.not_negative(spec, "spec", "replicas");
    findings.not_negative(spec, "spec", "minReadySeconds");
    check_pods(spec, findings);
}

fn check_pods(spec: &Value, findings: &mut Findings) {
    // The server says so of a ReplicaSet, too.
    if check_selector(spec, "deployment", "invalid label selector", findings) {
        check_labels(spec, findings);
        check_template(&spec["template"], "spec.template", findings);
        check_lasting(spec, "ReplicaSet", findings);
    }
}

fn check_strategy(strategy: &Value, findings: &mut Findings) {
    let limits = &strategy["rollingUpdate"];
    match strategy["type"].as_str().unwrap_or_default() {
        "Recreate" => {
            if !limits.is_null() {
                let detail = "may not be specified when strategy `type` is 'Recreate'";
                findings.forbidden("spec.strategy.rollingUpdate", detail);
            }
        }
        "RollingUpdate" => check_limits(limits, findings),
        kind => {
            let value = json!({"Type": kind, "RollingUpdate": limits});
            findings.not_one_of("spec.strategy", &value, &["Recreate", "RollingUpdate"]);
        }
    }
}

fn check_limits(limits: &Value, findings: &mut Findings) {
    const UNAVAILABLE: &str = "spec.strategy.rollingUpdate.maxUnavailable";
    findings.amount(UNAVAILABLE, &limits["maxUnavailable"]);
    findings.amount("spec.strategy.rollingUpdate.maxSurge", &limits["maxSurge"]);
    if is_none(&limits["maxUnavailable"]) && is_none(&limits["maxSurge"]) {
        findings.invalid(UNAVAILABLE, &limits["maxUnavailable"], "may not be 0 when `maxSurge` is 0");
    }
    findings.at_most_everything(UNAVAILABLE, &limits["maxUnavailable"]);
}
