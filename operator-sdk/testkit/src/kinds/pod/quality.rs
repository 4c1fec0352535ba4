//! The class of service of a pod, of what its containers ask for.

use serde_json::Value;

use super::super::findings::{fields, items};
use crate::schema::quantity::Quantity;

/// `Guaranteed`, `Burstable` or `BestEffort`.
pub(super) fn class(spec: &Value) -> &'static str {
    let resources: Vec<&Value> = items(&spec["containers"])
        .chain(items(&spec["initContainers"]))
        .map(|container| &container["resources"])
        .collect();
    let asks = |resources: &&Value| ["limits", "requests"].iter().any(|key| fields(&resources[*key]).any(counts));
    if !resources.iter().any(asks) {
        return "BestEffort";
    }
    let is_guaranteed = |resources: &&Value| {
        ["cpu", "memory"].iter().all(|name| {
            let limit = amount(&resources["limits"][*name]);
            limit.is_some_and(|limit| limit.billionths() > 0 && amount(&resources["requests"][*name]) == Some(limit))
        })
    };
    if resources.iter().all(is_guaranteed) { "Guaranteed" } else { "Burstable" }
}

fn counts((name, amount_given): (&String, &Value)) -> bool {
    matches!(name.as_str(), "cpu" | "memory") && amount(amount_given).is_some_and(|amount| amount.billionths() > 0)
}

fn amount(value: &Value) -> Option<Quantity> {
    Quantity::parse(value.as_str()?)
}
