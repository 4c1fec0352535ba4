//! Roles and their bindings.

use serde_json::{Value, json};

use super::super::findings::{Findings, items};
use crate::names;

pub(super) fn check_role(kind: &str, role: &Value, findings: &mut Findings) {
    for (index, rule) in items(&role["rules"]).enumerate() {
        let path = format!("rules[{index}]");
        let is_none = |key: &str| items(&rule[key]).next().is_none();
        if is_none("verbs") {
            findings.required(format!("{path}.verbs"), "");
        }
        if !is_none("nonResourceURLs") {
            if kind == "Role" {
                let detail = "namespaced rules cannot apply to non-resource URLs";
                findings.invalid(format!("{path}.nonResourceURLs"), &rule["nonResourceURLs"], detail);
            }
            if ["apiGroups", "resources", "resourceNames"].iter().any(|key| !is_none(key)) {
                let detail = "rules cannot apply to both regular resources and non-resource URLs";
                findings.invalid(format!("{path}.nonResourceURLs"), &rule["nonResourceURLs"], detail);
            }
            continue;
        }
        if is_none("apiGroups") {
            let detail = "resource rules must supply at least one api group";
            findings.required(format!("{path}.apiGroups"), detail);
        }
        if is_none("resources") {
            findings.required(format!("{path}.resources"), "resource rules must supply at least one resource");
        }
    }
}

pub(super) fn check_binding(kind: &str, binding: &Value, old: Option<&Value>, findings: &mut Findings) {
    let role = &binding["roleRef"];
    if let Some(old) = old
        && *role != old["roleRef"]
    {
        let [group, kind, name] = ["apiGroup", "kind", "name"].map(|key| role[key].clone());
        let value = json!({"APIGroup": group, "Kind": kind, "Name": name});
        findings.invalid("roleRef", &value, "field is immutable");
    }
    findings.not_one_of("roleRef.apiGroup", &role["apiGroup"], &["rbac.authorization.k8s.io"]);
    let kinds: &[&str] = if kind == "RoleBinding" { &["Role", "ClusterRole"] } else { &["ClusterRole"] };
    findings.not_one_of("roleRef.kind", &role["kind"], kinds);
    if role["name"].as_str().unwrap_or_default().is_empty() {
        findings.required("roleRef.name", "");
    }
    for (index, subject) in items(&binding["subjects"]).enumerate() {
        let path = format!("subjects[{index}]");
        if subject["name"].as_str().unwrap_or_default().is_empty() {
            findings.required(format!("{path}.name"), "");
        }
        let is_account = subject["kind"] == "ServiceAccount";
        if is_account {
            let name = subject["name"].as_str().unwrap_or_default();
            findings.problems(&format!("{path}.name"), name, names::subdomain_problems(name));
        }
        if is_account && kind == "ClusterRoleBinding" && subject["namespace"].as_str().unwrap_or_default().is_empty() {
            findings.required(format!("{path}.namespace"), "");
        }
        findings.not_one_of(format!("{path}.kind"), &subject["kind"], &["ServiceAccount", "User", "Group"]);
    }
}
