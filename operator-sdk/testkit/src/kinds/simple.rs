//! Kinds with few rules: ConfigMap, Secret, Namespace, PersistentVolumeClaim, Lease, PodDisruptionBudget, roles and their
//! bindings, StorageClass; and all kinds of which only shape and defaults are known.

use std::sync::Arc;

use serde_json::{Value, json};

use super::findings::{Findings, fields, items};
use crate::{
    cause::Cause,
    names,
    resource::{Part, Rules},
    schema::{Schema, quantity::Quantity},
};

/// What such a kind does.
pub(super) struct Simple {
    kind: &'static str,
    schema: Arc<Schema>,
    /// The status of a new object; `None`: what is given stays.
    status: Option<Value>,
}

impl Simple {
    pub(super) fn new(kind: &'static str, schema: Arc<Schema>, has_status: bool) -> Self {
        let status = match kind {
            "Node" => None,
            "Namespace" => Some(json!({"phase": "Active"})),
            "PersistentVolumeClaim" | "PersistentVolume" => Some(json!({"phase": "Pending"})),
            _ => has_status.then(|| super::empty_status(&schema)),
        };
        Self { kind, schema, status }
    }
}

impl Rules for Simple {
    fn default(&self, object: &mut Value) {
        super::default::apply_defaults(&self.schema, object);
    }

    fn prepare(&self, new: &mut Value, old: Option<&Value>, part: Part) {
        match (self.kind, old) {
            ("Secret", _) => encode_texts(new),
            ("Namespace", None) if !items(&new["spec"]["finalizers"]).any(|name| name == "kubernetes") => {
                let mut finalizers: Vec<Value> = items(&new["spec"]["finalizers"]).cloned().collect();
                finalizers.push(json!("kubernetes"));
                new["spec"]["finalizers"] = finalizers.into();
            }
            ("Namespace", Some(old)) if part == Part::Main => new["spec"] = old["spec"].clone(),
            ("PersistentVolumeClaim", None) => protect(new, "kubernetes.io/pvc-protection"),
            ("PersistentVolume", None) => protect(new, "kubernetes.io/pv-protection"),
            _ => {}
        }
        if let (None, Some(status)) = (old, &self.status) {
            new["status"] = status.clone();
        }
    }

    fn validate(&self, new: &Value, old: Option<&Value>, part: Part) -> Vec<Cause> {
        let mut findings = Findings::default();
        if part == Part::Status {
            return findings.0;
        }
        match self.kind {
            "ConfigMap" | "Secret" => check_data(self.kind, new, old, &mut findings),
            "PersistentVolumeClaim" => check_claim(&new["spec"], old, &mut findings),
            "Lease" => check_lease(&new["spec"], &mut findings),
            "PodDisruptionBudget" => check_budget(&new["spec"], &mut findings),
            "Role" | "ClusterRole" => check_role(self.kind, new, &mut findings),
            "RoleBinding" | "ClusterRoleBinding" => check_binding(self.kind, new, old, &mut findings),
            "StorageClass" => check_storage_class(new, old, &mut findings),
            _ => {}
        }
        findings.0
    }
}

/// What is given as text becomes data.
fn encode_texts(secret: &mut Value) {
    let Some(texts) = secret.as_object_mut().and_then(|secret| secret.remove("stringData")) else { return };
    if secret["data"].is_null() {
        secret["data"] = json!({});
    }
    for (key, text) in fields(&texts) {
        secret["data"][key] = base64(text.as_str().unwrap_or_default().as_bytes()).into();
    }
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let letter = if place <= chunk.len() { char::from(LETTERS[bits >> (18 - 6 * place) & 63]) } else { '=' };
            text.push(letter);
        }
    }
    text
}

/// A finalizer that the storage controllers take away.
fn protect(object: &mut Value, finalizer: &str) {
    let finalizers = &mut object["metadata"]["finalizers"];
    if items(finalizers).any(|name| name == finalizer) {
        return;
    }
    match finalizers.as_array_mut() {
        Some(finalizers) => finalizers.push(finalizer.into()),
        None => *finalizers = json!([finalizer]),
    }
}

fn check_data(kind: &str, new: &Value, old: Option<&Value>, findings: &mut Findings) {
    if let Some(old) = old {
        if kind == "Secret" {
            findings.immutable(&new["type"], &old["type"], "type");
        }
        if old["immutable"] == json!(true) {
            let detail = "field is immutable when `immutable` is set";
            if new["immutable"] != json!(true) {
                findings.forbidden("immutable", detail);
            }
            for key in ["data", "binaryData"].into_iter().filter(|key| new[*key] != old[*key]) {
                findings.forbidden(key, detail);
            }
        }
    }
    for bag in ["data", "binaryData"] {
        for (key, _) in fields(&new[bag]) {
            check_key(&format!("{bag}[{key}]"), key, findings);
            if bag == "data" && new["binaryData"].get(key).is_some() {
                let detail = "duplicate of key present in binaryData";
                findings.invalid(format!("data[{key}]"), &json!(key), detail);
            }
        }
    }
    if kind == "Secret" {
        check_secret(new, findings);
    }
}

fn check_key(path: &str, key: &str, findings: &mut Findings) {
    let mut problems = Vec::new();
    if key.len() > 253 {
        problems.push("must be no more than 253 bytes".to_owned());
    }
    if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)) {
        problems.push(
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or \
             'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
                .to_owned(),
        );
    } else if key == "." || key == ".." {
        problems.push(format!("must not be '{key}'"));
    } else if key.starts_with("..") {
        problems.push("must not start with '..'".to_owned());
    }
    findings.problems(path, key, problems);
}

fn check_secret(secret: &Value, findings: &mut Findings) {
    let required: &[&str] = match secret["type"].as_str().unwrap_or_default() {
        "kubernetes.io/tls" => &["tls.crt", "tls.key"],
        "kubernetes.io/dockercfg" => &[".dockercfg"],
        "kubernetes.io/dockerconfigjson" => &[".dockerconfigjson"],
        "kubernetes.io/ssh-auth" => &["ssh-privatekey"],
        "kubernetes.io/basic-auth" if ["username", "password"].iter().all(|key| secret["data"].get(key).is_none()) => {
            return ["username", "password"].into_iter().for_each(|key| findings.required(format!("data[{key}]"), ""));
        }
        _ => &[],
    };
    for key in required.iter().filter(|key| secret["data"].get(**key).is_none()) {
        findings.required(format!("data[{key}]"), "");
    }
}

fn check_claim(spec: &Value, old: Option<&Value>, findings: &mut Findings) {
    let storage = |spec: &Value| spec["resources"]["requests"]["storage"].as_str().and_then(Quantity::parse);
    if items(&spec["accessModes"]).next().is_none() {
        findings.required("spec.accessModes", "at least 1 access mode is required");
    }
    for mode in items(&spec["accessModes"]) {
        let modes = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
        findings.not_one_of("spec.accessModes", mode, &modes);
    }
    match storage(spec) {
        None => findings.required("spec.resources[storage]", ""),
        Some(amount) if amount.billionths() <= 0 => {
            let value = &spec["resources"]["requests"]["storage"];
            findings.invalid("spec.resources[storage]", value, "must be greater than zero");
        }
        Some(_) => {}
    }
    if !spec["volumeMode"].is_null() {
        findings.not_one_of("spec.volumeMode", &spec["volumeMode"], &["Block", "Filesystem"]);
    }
    if let Some(old) = old {
        check_claim_change(spec, old, findings);
    }
}

fn check_claim_change(spec: &Value, old: &Value, findings: &mut Findings) {
    let amount = |value: &Value| value["storage"].as_str().and_then(Quantity::parse).map_or(0, Quantity::billionths);
    let mut munged = spec.clone();
    let mut before = old["spec"].clone();
    if before["volumeName"].is_null() {
        before["volumeName"] = munged["volumeName"].take();
        munged["volumeName"] = before["volumeName"].clone();
    }
    if old["status"]["phase"] == "Bound" {
        munged["resources"]["requests"]["storage"] = before["resources"]["requests"]["storage"].clone();
        munged["volumeAttributesClassName"] = before["volumeAttributesClassName"].take();
        before["volumeAttributesClassName"] = munged["volumeAttributesClassName"].clone();
    }
    if munged != before {
        let detail = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound \
                      claims";
        findings.forbidden("spec", detail);
    }
    let (new_size, old_size) = (amount(&spec["resources"]["requests"]), amount(&old["spec"]["resources"]["requests"]));
    if new_size < old_size && new_size <= amount(&old["status"]["capacity"]) {
        let detail = "field can not be less than status.capacity";
        findings.forbidden("spec.resources.requests.storage", detail);
    }
}

fn check_lease(spec: &Value, findings: &mut Findings) {
    let duration = &spec["leaseDurationSeconds"];
    if duration.as_i64().is_some_and(|seconds| seconds <= 0) {
        findings.invalid("spec.leaseDurationSeconds", duration, "must be greater than 0");
    }
    findings.not_negative(spec, "spec", "leaseTransitions");
    if spec["strategy"].is_null() && spec["preferredHolder"].as_str().is_some_and(|holder| !holder.is_empty()) {
        findings.forbidden("spec.preferredHolder", "may only be specified if `strategy` is defined");
    }
}

fn check_budget(spec: &Value, findings: &mut Findings) {
    if !spec["minAvailable"].is_null() && !spec["maxUnavailable"].is_null() {
        findings.invalid("spec", spec, "minAvailable and maxUnavailable cannot be both set");
    }
    for key in ["minAvailable", "maxUnavailable"].into_iter().filter(|key| !spec[*key].is_null()) {
        findings.amount(&format!("spec.{key}"), &spec[key]);
        findings.at_most_everything(&format!("spec.{key}"), &spec[key]);
    }
    findings.selector(&spec["selector"], "spec.selector");
    if !spec["unhealthyPodEvictionPolicy"].is_null() {
        let policies = ["AlwaysAllow", "IfHealthyBudget"];
        findings.not_one_of("spec.unhealthyPodEvictionPolicy", &spec["unhealthyPodEvictionPolicy"], &policies);
    }
}

fn check_role(kind: &str, role: &Value, findings: &mut Findings) {
    for (index, rule) in items(&role["rules"]).enumerate() {
        let path = format!("rules[{index}]");
        let is_none = |key: &str| items(&rule[key]).next().is_none();
        if is_none("verbs") {
            findings.required(format!("{path}.verbs"), "verbs must contain at least one value");
        }
        if !is_none("nonResourceURLs") {
            if kind == "Role" {
                let detail = "namespaced rules cannot apply to non-resource URLs";
                findings.invalid(format!("{path}.nonResourceURLs"), &rule["nonResourceURLs"], detail);
            } else if ["apiGroups", "resources", "resourceNames"].iter().any(|key| !is_none(key)) {
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

fn check_binding(kind: &str, binding: &Value, old: Option<&Value>, findings: &mut Findings) {
    let role = &binding["roleRef"];
    if let Some(old) = old
        && *role != old["roleRef"]
    {
        let [group, kind, name] = ["apiGroup", "kind", "name"].map(|key| role[key].clone());
        let value = json!({"APIGroup": group, "Kind": kind, "Name": name});
        findings.invalid("roleRef", &value, "cannot change roleRef");
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

fn check_storage_class(class: &Value, old: Option<&Value>, findings: &mut Findings) {
    let Some(old) = old else {
        if class["provisioner"].as_str().unwrap_or_default().is_empty() {
            findings.required("provisioner", "");
        }
        return;
    };
    if class["parameters"] != old["parameters"] {
        findings.forbidden("parameters", "updates to parameters are forbidden.");
    }
    if class["provisioner"] != old["provisioner"] {
        findings.forbidden("provisioner", "updates to provisioner are forbidden.");
    }
    if class["reclaimPolicy"] != old["reclaimPolicy"] {
        findings.forbidden("reclaimPolicy", "updates to reclaimPolicy are forbidden.");
    }
    findings.immutable(&class["volumeBindingMode"], &old["volumeBindingMode"], "volumeBindingMode");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_written_in_base64() {
        for (given, expected) in [("", ""), ("a", "YQ=="), ("ab", "YWI="), ("abc", "YWJj"), ("abcd", "YWJjZA==")] {
            assert_eq!(base64(given.as_bytes()), expected);
        }
    }
}
