//! StatefulSet.

use serde_json::{Map as JsonMap, Value, json};

use super::{check_labels, check_lasting, check_selector};
use crate::kinds::{
    default::{or_set, set_within},
    findings::{Findings, go_value, is_none, items},
    pod::check_template,
};

pub(super) fn set_defaults(spec: &mut JsonMap<String, Value>) {
    or_set(spec, "podManagementPolicy", "OrderedReady");
    let strategy = spec.entry("updateStrategy").or_insert_with(|| json!({}));
    if let Some(strategy) = strategy.as_object_mut() {
        if !strategy.contains_key("type") {
            strategy.insert("type".to_owned(), "RollingUpdate".into());
            or_set(strategy, "rollingUpdate", json!({}));
        }
        if strategy.get("type") == Some(&json!("RollingUpdate")) && strategy.contains_key("rollingUpdate") {
            set_within(strategy, "rollingUpdate", "partition", 0);
            set_within(strategy, "rollingUpdate", "maxUnavailable", 1);
        }
    }
    for claim in spec.get_mut("volumeClaimTemplates").and_then(Value::as_array_mut).into_iter().flatten() {
        claim["apiVersion"] = "v1".into();
        claim["kind"] = "PersistentVolumeClaim".into();
    }
    for key in ["whenDeleted", "whenScaled"] {
        set_within(spec, "persistentVolumeClaimRetentionPolicy", key, "Retain");
    }
    or_set(spec, "replicas", 1);
    or_set(spec, "revisionHistoryLimit", 10);
}

pub(super) fn check(spec: &Value, old: Option<&Value>, findings: &mut Findings) {
    let policy = &spec["podManagementPolicy"];
    if *policy != "OrderedReady" && *policy != "Parallel" {
        findings.invalid("spec.podManagementPolicy", policy, "must be 'OrderedReady' or 'Parallel'");
    }
    check_strategy(&spec["updateStrategy"], findings);
    for key in ["whenDeleted", "whenScaled"] {
        let value = &spec["persistentVolumeClaimRetentionPolicy"][key];
        findings.not_one_of(format!("spec.persistentVolumeClaimRetentionPolicy.{key}"), value, &["Retain", "Delete"]);
    }
    findings.not_negative(spec, "spec", "replicas");
    findings.not_negative(spec, "spec", "minReadySeconds");
    if old.is_none()
        && let Some(name) = spec["serviceName"].as_str().filter(|name| !name.is_empty())
    {
        findings.label("spec.serviceName", name);
    }
    if check_selector(spec, "statefulset", "", findings) {
        check_labels(spec, findings);
        check_template(&with_claims(spec), "spec.template", findings);
    }
    check_lasting(spec, "StatefulSet", findings);
    if let Some(old) = old {
        for key in ["volumeClaimTemplates", "serviceName", "podManagementPolicy"] {
            findings.immutable(&spec[key], &old[key], &format!("spec.{key}"));
        }
    }
}

/// The template with the volumes that its pods will have.
fn with_claims(spec: &Value) -> Value {
    let mut template = spec["template"].clone();
    let claims: Vec<Value> = items(&spec["volumeClaimTemplates"])
        .map(|claim| json!({"name": claim["metadata"]["name"], "persistentVolumeClaim": {"claimName": "claim"}}))
        .collect();
    if !claims.is_empty() {
        let is_claimed = |volume: &&Value| claims.iter().any(|claim| claim["name"] == volume["name"]);
        let others = items(&template["spec"]["volumes"]).filter(|volume| !is_claimed(volume));
        template["spec"]["volumes"] = claims.iter().chain(others).cloned().collect();
    }
    template
}

fn check_strategy(strategy: &Value, findings: &mut Findings) {
    const PATH: &str = "spec.updateStrategy";
    let limits = &strategy["rollingUpdate"];
    match strategy["type"].as_str().unwrap_or_default() {
        "OnDelete" if !limits.is_null() => {
            let detail = "only allowed for updateStrategy 'RollingUpdate'";
            findings.invalid(format!("{PATH}.rollingUpdate"), &go_value(limits), detail);
        }
        "OnDelete" => {}
        "RollingUpdate" if !limits.is_null() => {
            let path = format!("{PATH}.rollingUpdate");
            findings.not_negative(limits, &path, "partition");
            let unavailable = &limits["maxUnavailable"];
            if !unavailable.is_null() {
                let path = format!("{path}.maxUnavailable");
                findings.amount(&path, unavailable);
                if is_none(unavailable) {
                    findings.invalid(path.as_str(), unavailable, "cannot be 0");
                }
                findings.at_most_everything(&path, unavailable);
            }
        }
        "RollingUpdate" => {}
        kind => {
            let value = json!({"Type": kind, "RollingUpdate": limits});
            findings.invalid(PATH, &value, "must be 'RollingUpdate' or 'OnDelete'");
        }
    }
}
