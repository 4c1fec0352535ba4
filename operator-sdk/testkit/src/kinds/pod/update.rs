//! What of a pod may change after it is made.

use serde_json::{Value, json};

use super::super::findings::{Findings, items};

const MUTABLE: &str = "pod updates may not change fields other than `spec.containers[*].image`,\
                       `spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to \
                       existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was \
                       previously negative)";

pub(super) fn check(new: &Value, old: &Value, findings: &mut Findings) {
    for key in ["containers", "initContainers"] {
        if items(&new[key]).count() != items(&old[key]).count() {
            return findings.forbidden(format!("spec.{key}"), "pod updates may not add or remove containers");
        }
    }
    if !check_deadline(&new["activeDeadlineSeconds"], &old["activeDeadlineSeconds"], findings) {
        return;
    }
    check_tolerations(new, old, findings);
    check_gates(new, old, findings);
    if munged(new, old) != *old {
        findings.forbidden("spec", MUTABLE);
    }
}

/// Gives whether to look further.
fn check_deadline(new: &Value, old: &Value, findings: &mut Findings) -> bool {
    let path = "spec.activeDeadlineSeconds";
    match (new.as_i64(), old.as_i64()) {
        (Some(new_seconds), Some(old)) if new_seconds > old => {
            findings.invalid(path, new, "must be less than or equal to previous value");
            return false;
        }
        (None, Some(_)) => findings.invalid(path, new, "must not update from a positive integer to nil value"),
        _ => {}
    }
    true
}

fn check_tolerations(new: &Value, old: &Value, findings: &mut Findings) {
    let without_seconds = |toleration: &Value| {
        let mut toleration = toleration.clone();
        toleration["tolerationSeconds"] = Value::Null;
        toleration
    };
    let new: Vec<Value> = items(&new["tolerations"]).map(without_seconds).collect();
    if items(&old["tolerations"]).map(without_seconds).any(|old| !new.contains(&old)) {
        let detail = "existing toleration can not be modified except its tolerationSeconds";
        findings.forbidden("spec.tolerations", detail);
    }
}

fn check_gates(new: &Value, old: &Value, findings: &mut Findings) {
    let old: Vec<&Value> = items(&old["schedulingGates"]).collect();
    for (index, gate) in items(&new["schedulingGates"]).enumerate().filter(|(_, gate)| !old.contains(gate)) {
        let name = gate["name"].as_str().unwrap_or_default();
        let detail = format!("only deletion is allowed, but found new scheduling gate '{name}'");
        findings.forbidden(format!("spec.schedulingGates[{index}].name"), detail);
    }
}

/// The new pod, with all that may change as it was.
fn munged(new: &Value, old: &Value) -> Value {
    let mut munged = new.clone();
    for key in ["activeDeadlineSeconds", "schedulingGates", "tolerations"] {
        put(&mut munged, key, &old[key]);
    }
    for key in ["containers", "initContainers"] {
        for (container, old) in munged[key].as_array_mut().into_iter().flatten().zip(items(&old[key])) {
            container["image"] = old["image"].clone();
        }
        put_if_absent(&mut munged, key, old);
    }
    let grace = "terminationGracePeriodSeconds";
    if munged[grace] == json!(1) && old[grace].as_i64().is_some_and(|seconds| seconds < 0) {
        munged[grace] = old[grace].clone();
    }
    munged
}

/// Indexing makes a field of `null` that was not there.
fn put_if_absent(munged: &mut Value, key: &str, old: &Value) {
    if munged[key].is_null() {
        put(munged, key, &old[key]);
    }
}

fn put(object: &mut Value, key: &str, value: &Value) {
    let Some(object) = object.as_object_mut() else { return };
    match value {
        Value::Null => object.remove(key),
        value => object.insert(key.to_owned(), value.clone()),
    };
}
