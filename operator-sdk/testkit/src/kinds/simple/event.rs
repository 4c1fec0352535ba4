//! Events of both groups.

use serde_json::{Value, json};

use super::super::findings::Findings;

/// What is wrong with an event; `is_new_group`: of `events.k8s.io`.
pub(super) fn check(event: &Value, old: Option<&Value>, is_new_group: bool, findings: &mut Findings) {
    let (object, path, reporter) = match is_new_group {
        true => (&event["regarding"], "involvedObject.namespace", "reportingController"),
        false => (&event["involvedObject"], "involvedObject.namespace", "reportingComponent"),
    };
    let namespace = object["namespace"].as_str().unwrap_or_default();
    let own = event["metadata"]["namespace"].as_str().unwrap_or_default();
    let has_time = !event["eventTime"].is_null();
    let is_elsewhere = match (has_time, namespace) {
        (false, "") => own != "default",
        (false, namespace) => namespace != own,
        (true, "") => own != "default" && own != "kube-system",
        (true, _) => false,
    };
    if is_elsewhere {
        findings.invalid(path, &json!(namespace), "does not match event.namespace");
    }
    if has_time {
        for key in [reporter, "reportingInstance", "action", "reason"] {
            if event[key].as_str().unwrap_or_default().is_empty() {
                findings.required(key, "");
            }
        }
        let controller = event[reporter].as_str().unwrap_or_default();
        findings.problems(reporter, controller, crate::names::qualified_name_problems(controller));
        for (key, limit) in
            [("reportingInstance", 128), ("action", 128), ("reason", 128), ("note", 1024), ("message", 1024)]
        {
            if event[key].as_str().is_some_and(|text| text.len() > limit) {
                let key = if key == "note" { "message" } else { key };
                findings.invalid(key, &json!(""), format!("can have at most {limit} characters"));
            }
        }
    }
    match old {
        _ if !is_new_group => {}
        None => check_new(event, findings),
        Some(old) => check_change(event, old, findings),
    }
}

fn check_new(event: &Value, findings: &mut Findings) {
    check_series(&event["series"], findings);
    if event["eventTime"].is_null() {
        findings.required("eventTime", "");
    }
    let kind = event["type"].as_str().unwrap_or_default();
    if !matches!(kind, "Normal" | "Warning") {
        findings.invalid("type", &json!(""), format!("has invalid value: {kind}"));
    }
    let deprecated = ["FirstTimestamp", "LastTimestamp", "Count", "Source"];
    for name in deprecated.into_iter().filter(|name| !is_unset(&event[format!("deprecated{name}")])) {
        findings.invalid(first_lower(name), &json!(""), "needs to be unset");
    }
}

fn check_series(series: &Value, findings: &mut Findings) {
    if series.is_null() {
        return;
    }
    if series["count"].as_i64().unwrap_or_default() < 2 {
        findings.invalid("series.count", &json!(""), "should be at least 2");
    }
    if series["lastObservedTime"].is_null() {
        findings.required("series.lastObservedTime", "");
    }
}

fn check_change(event: &Value, old: &Value, findings: &mut Findings) {
    if event["series"] != old["series"] {
        check_series(&event["series"], findings);
    }
    let keys = ["reason", "type", "eventTime", "action", "related", "reportingController", "reportingInstance"];
    findings.immutable(&event["regarding"], &old["regarding"], "involvedObject");
    findings.immutable(&event["note"], &old["note"], "message");
    for key in keys {
        findings.immutable(&event[key], &old[key], key);
    }
}

fn is_unset(value: &Value) -> bool {
    value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty)
}

fn first_lower(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().into_iter().flat_map(char::to_lowercase).chain(letters).collect()
}
