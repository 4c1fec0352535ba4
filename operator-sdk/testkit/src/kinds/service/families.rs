//! The IP families of a Service, in a cluster of IPv4 alone.

use serde_json::{Map as JsonMap, Value, json};

use super::super::{
    default::or_set,
    findings::{Findings, items},
};

/// Sets the policy and the families that are not given.
pub(super) fn set(spec: &mut JsonMap<String, Value>, old: &Value) {
    let is_free = is_free(|key| spec.get(key).unwrap_or(&Value::Null));
    let policy = match old.get("ipFamilyPolicy") {
        Some(policy) => policy.clone(),
        None => json!(if is_free { "RequireDualStack" } else { "SingleStack" }),
    };
    or_set(spec, "ipFamilyPolicy", policy);
    or_set(spec, "ipFamilies", json!(["IPv4"]));
    let is_single = spec.get("ipFamilyPolicy") == Some(&json!("SingleStack"));
    let is_as_it_was = spec.get("ipFamilies") == old.get("ipFamilies");
    let Some(families) = spec.get_mut("ipFamilies").and_then(Value::as_array_mut) else { return };
    if is_single && is_as_it_was {
        families.truncate(1);
    } else if is_free && !is_single && families.len() == 1 {
        let other = if families[0] == "IPv4" { "IPv6" } else { "IPv4" };
        families.push(json!(other));
    }
}

/// Whether the cluster has an address for it.
pub(super) fn has_address(spec: &JsonMap<String, Value>) -> bool {
    spec.get("ipFamilies") == Some(&json!(["IPv4"])) && spec.get("ipFamilyPolicy") != Some(&json!("RequireDualStack"))
}

/// What is wrong; nothing else is looked at then.
pub(super) fn check(spec: &Value, findings: &mut Findings) {
    if spec["type"] == "ExternalName" {
        for key in ["clusterIPs", "ipFamilies", "ipFamilyPolicy"].iter().filter(|key| !spec[**key].is_null()) {
            findings.forbidden(format!("spec.{key}"), "may not be set for ExternalName services");
        }
        return;
    }
    check_each(spec, findings);
    if findings.0.is_empty() {
        check_policy(spec, findings);
    }
    if findings.0.is_empty() && !is_free(|key| &spec[key]) {
        check_cluster(spec, findings);
    }
}

fn check_each(spec: &Value, findings: &mut Findings) {
    let address = spec["clusterIP"].as_str().unwrap_or_default();
    if address.is_empty() && items(&spec["clusterIPs"]).next().is_some() {
        findings.invalid("spec.clusterIPs", &spec["clusterIPs"], "must be empty when `clusterIP` is not specified");
    }
    let mut seen: Vec<&Value> = Vec::new();
    for (index, family) in items(&spec["ipFamilies"]).enumerate() {
        let path = format!("spec.ipFamilies[{index}]");
        findings.not_one_of(&path, family, &["IPv4", "IPv6"]);
        if seen.contains(&family) {
            findings.duplicate(path, family);
        }
        seen.push(family);
    }
    let policies = ["PreferDualStack", "RequireDualStack", "SingleStack"];
    findings.not_one_of("spec.ipFamilyPolicy", &spec["ipFamilyPolicy"], &policies);
    if address.contains('.') && spec["ipFamilies"][0] == "IPv6" {
        let detail = "expected an IPv6 value as indicated by `ipFamilies[0]`";
        findings.invalid("spec.clusterIPs[0]", &spec["clusterIP"], detail);
    }
}

fn check_policy(spec: &Value, findings: &mut Findings) {
    let policy = &spec["ipFamilyPolicy"];
    for (key, what) in [("clusterIPs", "cluster IPs"), ("ipFamilies", "IP families")] {
        if policy == "SingleStack" && items(&spec[key]).count() == 2 {
            let detail = format!("must be 'RequireDualStack' or 'PreferDualStack' when multiple {what} are specified");
            findings.invalid("spec.ipFamilyPolicy", policy, detail);
        }
    }
}

fn check_cluster(spec: &Value, findings: &mut Findings) {
    let policy = &spec["ipFamilyPolicy"];
    if policy == "RequireDualStack" {
        findings.invalid("spec.ipFamilyPolicy", policy, "this cluster is not configured for dual-stack services");
    }
    for (index, family) in items(&spec["ipFamilies"]).enumerate().filter(|(_, family)| *family != "IPv4") {
        findings.invalid(format!("spec.ipFamilies[{index}]"), family, "not configured on this cluster");
    }
}

/// A Service without address and selector may be of any family.
fn is_free<'a>(field: impl Fn(&str) -> &'a Value) -> bool {
    field("clusterIP") == "None" && field("selector").is_null()
}
