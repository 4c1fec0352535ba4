//! Taints of nodes, and what pods tolerate.

use std::time::Duration;

use serde_json::Value;

/// What the server grants every pod that says nothing of its own.
const DEFAULT_TOLERATION: Duration = Duration::from_secs(300);
/// Taints that the default is for.
const DEFAULTED: [&str; 2] = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];

/// The taints of a node.
pub(super) fn taints(node: &Value) -> impl Iterator<Item = &Value> {
    node["spec"]["taints"].as_array().into_iter().flatten()
}

/// Whether a pod may be placed beside a taint.
pub(super) fn is_tolerated(pod: &Value, taint: &Value) -> bool {
    taint["effect"] == "PreferNoSchedule" || tolerations(pod, taint).next().is_some()
}

/// For how long a pod may stay on a node with these taints; `None`: for ever.
pub(super) fn stays_for<'a>(pod: &Value, mut taints: impl Iterator<Item = &'a Value>) -> Option<Duration> {
    taints
        .try_fold(None, |least: Option<Duration>, taint| {
            let granted: Vec<Option<u64>> = tolerations(pod, taint)
                .map(|toleration| {
                    toleration["tolerationSeconds"].as_i64().map(|seconds| seconds.try_into().unwrap_or(0))
                })
                .collect();
            let is_defaulted = taint["key"].as_str().is_some_and(|key| DEFAULTED.contains(&key));
            let stay = match granted.is_empty() {
                true if is_defaulted => Some(DEFAULT_TOLERATION),
                // Nothing is shorter than this.
                true => return Err(Duration::ZERO),
                false => granted.into_iter().flatten().min().map(Duration::from_secs),
            };
            Ok(least.into_iter().chain(stay).min())
        })
        .unwrap_or_else(Some)
}

fn tolerations<'a>(pod: &'a Value, taint: &'a Value) -> impl Iterator<Item = &'a Value> {
    let tolerations = pod["spec"]["tolerations"].as_array().into_iter().flatten();
    tolerations.filter(|toleration| tolerates(toleration, taint))
}

fn tolerates(toleration: &Value, taint: &Value) -> bool {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let is_any = |field: &str| text(&toleration[field]).is_empty();
    let exists = toleration["operator"] == "Exists";
    (is_any("effect") || toleration["effect"] == taint["effect"])
        && (is_any("key") && exists || toleration["key"] == taint["key"])
        && (exists || text(&toleration["value"]) == text(&taint["value"]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn stay(tolerations: Value, taint: &str) -> Option<Duration> {
        let taint = json!({ "key": taint, "effect": "NoExecute" });
        stays_for(&json!({ "spec": { "tolerations": tolerations } }), [&taint].into_iter())
    }

    #[test]
    fn a_pod_stays_as_long_as_it_tolerates_the_taint() {
        let exists = json!([{ "key": "a", "operator": "Exists" }]);
        assert_eq!(stay(exists.clone(), "a"), None);
        assert_eq!(stay(exists, "b"), Some(Duration::ZERO));
        assert_eq!(stay(json!([{ "operator": "Exists", "tolerationSeconds": 7 }]), "b"), Some(Duration::from_secs(7)));
        assert_eq!(stay(json!([]), "node.kubernetes.io/unreachable"), Some(DEFAULT_TOLERATION));
    }
}
