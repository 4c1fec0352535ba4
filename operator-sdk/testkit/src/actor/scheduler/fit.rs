//! Whether a pod fits a node.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    actor::taint::{is_tolerated, taints},
    object::Object,
    selector::Selector,
};

const CORDON: &str = "node.kubernetes.io/unschedulable";
/// What a node has room for if it does not say.
const ROOM: usize = 110;

/// What of a node decides whether pods fit it.
pub(super) fn relevant(node: &Object) -> [&Value; 3] {
    [&node["spec"], &node["metadata"]["labels"], &node["status"]["allocatable"]]
}

/// Whether a pod counts on its node.
pub(super) fn takes_room(pod: &Object) -> bool {
    let is_over = matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
    !is_over && pod["spec"]["nodeName"].as_str().is_some_and(|name| !name.is_empty())
}

/// Why a pod does not fit a node that has so many; `None`: it does.
pub(super) fn check(pod: &Object, node: &Object, count: usize) -> Option<&'static str> {
    let cordon = json!({ "key": CORDON, "effect": "NoSchedule" });
    if node["spec"]["unschedulable"] == true && !is_tolerated(pod, &cordon) {
        return Some("node(s) were unschedulable");
    }
    if taints(node).any(|taint| !is_tolerated(pod, taint)) {
        return Some("node(s) had untolerated taint(s)");
    }
    if !selects(pod, node) {
        return Some("node(s) didn't match Pod's node affinity/selector");
    }
    let room = node["status"]["allocatable"]["pods"].as_str().and_then(|pods| pods.parse().ok()).unwrap_or(ROOM);
    (count >= room).then_some("Too many pods")
}

/// What a pod is told that fits nowhere.
pub(super) fn refusal(reasons: &BTreeMap<&str, usize>) -> String {
    let count: usize = reasons.values().sum();
    if count == 0 {
        return "no nodes available to schedule pods".to_owned();
    }
    let listed = |reasons: &BTreeMap<&str, usize>| {
        let mut lines: Vec<String> = reasons.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
        lines.sort();
        lines.join(", ")
    };
    let full = reasons.get("Too many pods").copied().unwrap_or_default();
    let helpless = [
        ("No preemption victims found for incoming pod", full),
        ("Preemption is not helpful for scheduling", count - full),
    ];
    let helpless: BTreeMap<&str, usize> = helpless.into_iter().filter(|(_, count)| *count > 0).collect();
    format!(
        "0/{count} nodes are available: {}. preemption: 0/{count} nodes are available: {}.",
        listed(reasons),
        listed(&helpless)
    )
}

fn selects(pod: &Object, node: &Object) -> bool {
    let wanted = &pod["spec"]["nodeSelector"];
    if !Selector::from_object(&json!({ "matchLabels": wanted })).matches(node) {
        return false;
    }
    let affinity = &pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
    let Some(terms) = affinity["nodeSelectorTerms"].as_array() else { return true };
    terms.iter().any(|term| {
        let fields = term["matchFields"].as_array().into_iter().flatten();
        let is_empty = term["matchFields"].is_null() && term["matchExpressions"].is_null();
        !is_empty
            && fields.into_iter().all(|field| names(field, node.name()))
            && Selector::from_object(&json!({ "matchExpressions": term["matchExpressions"] })).matches(node)
    })
}

/// `metadata.name` is the one field that a term may name.
fn names(field: &Value, name: &str) -> bool {
    let is_listed = field["values"].as_array().into_iter().flatten().any(|value| value == name);
    is_listed == (field["operator"] == "In")
}
