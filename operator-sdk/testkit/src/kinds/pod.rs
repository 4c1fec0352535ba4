//! Pods, and the templates of pods in other kinds.
//!
//! What the real server's admission does by default is done here, too: the service account, its token, tolerations of
//! nodes that fail, the priority. Not done: priorities of classes that are objects, limits of a LimitRange, the parts of a
//! pod that operators seldom write (security contexts, affinity, DNS, devices, Windows).

use serde_json::{Map as JsonMap, Value, json};

use super::{
    default::{or_set, text},
    findings::{Findings, fields, items},
};
use crate::{
    cause::Cause,
    resource::{Part, Rules},
};

mod admission;
mod container;
mod quality;
mod update;

pub(super) use container::warnings as pod_warnings;

/// The kinds of volumes, in the order in which the server looks for them; others come before.
const SOURCES: [&str; 9] =
    ["emptyDir", "hostPath", "secret", "nfs", "persistentVolumeClaim", "downwardAPI", "configMap", "projected", "csi"];

/// What a pod does.
pub(super) struct Pod;

impl Rules for Pod {
    fn default(&self, object: &mut Value) {
        super::default::apply_defaults(&super::schema_of("core.v1.Pod"), object);
    }

    fn prepare(&self, new: &mut Value, old: Option<&Value>, part: Part) {
        match (old, part) {
            (None, _) => {
                admission::admit(new);
                let gates = items(&new["spec"]["schedulingGates"]).next().is_some();
                new["status"] = json!({"phase": "Pending", "qosClass": quality::class(&new["spec"])});
                if gates {
                    new["status"]["conditions"] = json!([{
                        "type": "PodScheduled", "status": "False", "reason": "SchedulingGated", "lastProbeTime": null,
                        "lastTransitionTime": new["metadata"]["creationTimestamp"],
                        "message": "Scheduling is blocked due to non-empty scheduling gates",
                    }]);
                }
            }
            (Some(old), Part::Status) => keep_what_the_server_says(new, old),
            (Some(old), Part::Main) => admission::admit_change(new, old),
        }
    }

    fn validate(&self, new: &Value, old: Option<&Value>, part: Part) -> Vec<Cause> {
        let mut findings = Findings::default();
        match (old, part) {
            (Some(old), Part::Status) => {
                findings.immutable(&new["status"]["qosClass"], &old["status"]["qosClass"], "status.qosClass");
            }
            (Some(old), Part::Main) => {
                check_spec(&new["spec"], "spec", &mut findings);
                update::check(&new["spec"], &old["spec"], &mut findings);
            }
            (None, _) => check_spec(&new["spec"], "spec", &mut findings),
        }
        findings.0
    }

    fn warn(&self, new: &Value, old: Option<&Value>, part: Part) -> Vec<String> {
        let is_new = part == Part::Main && old.is_none_or(|old| old["spec"] != new["spec"]);
        if is_new { container::warnings(&new["spec"], "spec") } else { Vec::new() }
    }
}

/// The class of service is the server's to say, and what a writer does not know of it does not take away.
fn keep_what_the_server_says(new: &mut Value, old: &Value) {
    let Some(status) = new.get_mut("status").and_then(Value::as_object_mut) else { return };
    for key in ["qosClass", "observedGeneration"] {
        if let Some(value) = old["status"].get(key) {
            or_set(status, key, value.clone());
        }
    }
    let old: JsonMap<String, Value> = items(&old["status"]["conditions"])
        .filter_map(|condition| {
            Some((text(condition.as_object()?, "type")?, condition.get("observedGeneration")?.clone()))
        })
        .collect();
    for condition in status.get_mut("conditions").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(condition) = condition.as_object_mut()
            && let Some(generation) = text(condition, "type").and_then(|name| old.get(&name))
        {
            or_set(condition, "observedGeneration", generation.clone());
        }
    }
}

/// What is wrong with a template of pods.
pub(super) fn check_template(template: &Value, path: &str, findings: &mut Findings) {
    findings.labels(&template["metadata"]["labels"], &format!("{path}.labels"));
    check_spec(&template["spec"], &format!("{path}.spec"), findings);
    if items(&template["spec"]["ephemeralContainers"]).next().is_some() {
        let detail = "ephemeral containers not allowed in pod template";
        findings.forbidden(format!("{path}.spec.ephemeralContainers"), detail);
    }
}

fn check_spec(spec: &Value, path: &str, findings: &mut Findings) {
    check_volumes(spec, path, findings);
    container::check(spec, path, findings);
    findings.not_one_of(format!("{path}.restartPolicy"), &spec["restartPolicy"], &["Always", "OnFailure", "Never"]);
    let dns = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];
    findings.not_one_of(format!("{path}.dnsPolicy"), &spec["dnsPolicy"], &dns);
    findings.labels(&spec["nodeSelector"], &format!("{path}.nodeSelector"));
    for (key, problems) in [
        ("serviceAccountName", crate::names::subdomain_problems as fn(&str) -> Vec<String>),
        ("nodeName", crate::names::subdomain_problems),
    ] {
        if let Some(name) = spec[key].as_str().filter(|name| !name.is_empty()) {
            findings.problems(&format!("{path}.{key}"), name, problems(name));
        }
    }
    let deadline = &spec["activeDeadlineSeconds"];
    if deadline.as_i64().is_some_and(|seconds| !(1..=i64::from(i32::MAX)).contains(&seconds)) {
        let detail = format!("must be between 1 and {}, inclusive", i32::MAX);
        findings.invalid(format!("{path}.activeDeadlineSeconds"), deadline, detail);
    }
    for key in ["hostname", "subdomain"] {
        if let Some(name) = spec[key].as_str().filter(|name| !name.is_empty()) {
            findings.label(&format!("{path}.{key}"), name);
        }
    }
    check_affinity(&spec["affinity"], &format!("{path}.affinity"), findings);
    check_tolerations(&spec["tolerations"], &format!("{path}.tolerations"), findings);
    check_spread(&spec["topologySpreadConstraints"], &format!("{path}.topologySpreadConstraints"), findings);
}

fn check_volumes(spec: &Value, path: &str, findings: &mut Findings) {
    let mut seen: Vec<&str> = Vec::new();
    for (index, volume) in items(&spec["volumes"]).enumerate() {
        let path = format!("{path}.volumes[{index}]");
        let name = volume["name"].as_str().unwrap_or_default();
        let mut sources: Vec<&str> = fields(volume).map(|(key, _)| key.as_str()).filter(|key| *key != "name").collect();
        sources.sort_by_key(|key| SOURCES.iter().position(|source| source == key));
        for source in sources.iter().skip(1) {
            findings.forbidden(format!("{path}.{source}"), "may not specify more than 1 volume type");
        }
        for (source, key) in [("configMap", "name"), ("secret", "secretName"), ("persistentVolumeClaim", "claimName")] {
            let source_object = &volume[source];
            if source_object.is_object() && source_object[key].as_str().unwrap_or_default().is_empty() {
                findings.required(format!("{path}.{source}.{key}"), "");
            }
        }
        match name {
            "" => findings.required(format!("{path}.name"), ""),
            name => findings.label(&format!("{path}.name"), name),
        }
        if seen.contains(&name) {
            findings.duplicate(format!("{path}.name"), &json!(name));
        }
        seen.push(name);
    }
}

fn check_affinity(affinity: &Value, path: &str, findings: &mut Findings) {
    let check_term = |term: &Value, path: String, findings: &mut Findings| {
        let key = term["topologyKey"].as_str().unwrap_or_default();
        if key.is_empty() {
            findings.required(format!("{path}.topologyKey"), "can not be empty");
        }
        findings.problems(&format!("{path}.topologyKey"), key, crate::names::qualified_name_problems(key));
        findings.selector(&term["labelSelector"], &format!("{path}.labelSelector"));
    };
    for kind in ["podAffinity", "podAntiAffinity"] {
        let required = "requiredDuringSchedulingIgnoredDuringExecution";
        for (index, term) in items(&affinity[kind][required]).enumerate() {
            check_term(term, format!("{path}.{kind}.{required}[{index}]"), findings);
        }
        let preferred = "preferredDuringSchedulingIgnoredDuringExecution";
        for (index, preference) in items(&affinity[kind][preferred]).enumerate() {
            let path = format!("{path}.{kind}.{preferred}[{index}]");
            if !preference["weight"].as_i64().is_some_and(|weight| (1..=100).contains(&weight)) {
                let detail = "must be in the range 1-100";
                findings.invalid(format!("{path}.weight"), &preference["weight"], detail);
            }
            check_term(&preference["podAffinityTerm"], format!("{path}.podAffinityTerm"), findings);
        }
    }
}

fn check_tolerations(tolerations: &Value, path: &str, findings: &mut Findings) {
    for (index, toleration) in items(tolerations).enumerate() {
        let path = format!("{path}[{index}]");
        let is_given = |key: &str| !toleration[key].as_str().unwrap_or_default().is_empty();
        if is_given("key") {
            let key = toleration["key"].as_str().unwrap_or_default();
            findings.problems(&format!("{path}.key"), key, crate::names::qualified_name_problems(key));
        } else if toleration["operator"] != "Exists" {
            let detail = "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
            findings.invalid(format!("{path}.operator"), &toleration["operator"], detail);
        }
        if !toleration["tolerationSeconds"].is_null() && toleration["effect"] != "NoExecute" {
            let detail = "effect must be 'NoExecute' when `tolerationSeconds` is set";
            let effect = toleration["effect"].as_str().unwrap_or_default();
            findings.invalid(format!("{path}.effect"), &json!(effect), detail);
        }
        if is_given("operator") {
            findings.not_one_of(format!("{path}.operator"), &toleration["operator"], &["Equal", "Exists"]);
        }
        if toleration["operator"] == "Exists" && is_given("value") {
            let detail = "value must be empty when `operator` is 'Exists'";
            findings.invalid(format!("{path}.operator"), &toleration["value"], detail);
        }
        if is_given("effect") {
            let effects = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
            findings.not_one_of(format!("{path}.effect"), &toleration["effect"], &effects);
        }
    }
}

fn check_spread(constraints: &Value, path: &str, findings: &mut Findings) {
    for (index, constraint) in items(constraints).enumerate() {
        let path = format!("{path}[{index}]");
        if constraint["maxSkew"].as_i64().unwrap_or_default() <= 0 {
            findings.invalid(format!("{path}.maxSkew"), &constraint["maxSkew"], "must be greater than zero");
        }
        if constraint["topologyKey"].as_str().unwrap_or_default().is_empty() {
            findings.required(format!("{path}.topologyKey"), "can not be empty");
        }
        let policies = ["DoNotSchedule", "ScheduleAnyway"];
        findings.not_one_of(format!("{path}.whenUnsatisfiable"), &constraint["whenUnsatisfiable"], &policies);
    }
}
