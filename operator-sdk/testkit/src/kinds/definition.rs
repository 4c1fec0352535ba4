//! CustomResourceDefinition: names that follow from others, and the rules of a structural schema that people break.
//!
//! Whether it is established, and its names accepted, is the server's to say.

use serde_json::{Map as JsonMap, Value, json};

use super::{
    default::{or_set, set_within, text},
    findings::{Findings, go_value, items},
};
use crate::{
    cause::Cause,
    resource::{Part, Rules},
};

mod schema;

/// What a CustomResourceDefinition does.
pub(super) struct Definition;

impl Rules for Definition {
    fn default(&self, object: &mut Value) {
        super::default::apply_defaults(&super::definition_schema(), object);
    }

    fn prepare(&self, new: &mut Value, old: Option<&Value>, part: Part) {
        if old.is_some() || part == Part::Status {
            return;
        }
        let stored = stored_versions(new).into_iter().next().map_or(Value::Null, |name| json!([name]));
        let names = json!({"kind": "", "plural": ""});
        new["status"] = json!({"conditions": null, "acceptedNames": names, "storedVersions": stored});
    }

    fn validate(&self, new: &Value, old: Option<&Value>, part: Part) -> Vec<Cause> {
        let mut findings = Findings::default();
        if part == Part::Main {
            check(new, &mut findings);
            if let Some(old) = old {
                for key in ["group", "scope"] {
                    findings.immutable(&new["spec"][key], &old["spec"][key], &format!("spec.{key}"));
                }
                for key in ["kind", "plural"] {
                    let (new, old) = (&new["spec"]["names"][key], &old["spec"]["names"][key]);
                    findings.immutable(new, old, &format!("spec.names.{key}"));
                }
            }
        }
        findings.0
    }
}

/// Sets what is not given.
pub(super) fn set_defaults(definition: &mut JsonMap<String, Value>) {
    let Some(spec) = definition.get_mut("spec").and_then(Value::as_object_mut) else { return };
    set_within(spec, "conversion", "strategy", "None");
    let Some(names) = spec.get_mut("names").and_then(Value::as_object_mut) else { return };
    if let Some(kind) = text(names, "kind") {
        or_set(names, "singular", kind.to_lowercase());
        or_set(names, "listKind", format!("{kind}List"));
    }
}

fn check(definition: &Value, findings: &mut Findings) {
    let spec = &definition["spec"];
    let name = definition["metadata"]["name"].as_str().unwrap_or_default();
    let group = spec["group"].as_str().unwrap_or_default();
    let plural = spec["names"]["plural"].as_str().unwrap_or_default();
    if name != format!("{plural}.{group}") {
        findings.invalid("metadata.name", &json!(name), "must be spec.names.plural+\".\"+spec.group");
    }
    for (key, value) in [("group", group), ("names.plural", plural)] {
        if value.is_empty() {
            findings.required(format!("spec.{key}"), "");
        }
    }
    for key in ["kind", "singular", "listKind"] {
        if spec["names"][key].as_str().unwrap_or_default().is_empty() {
            findings.required(format!("spec.names.{key}"), "");
        }
    }
    match spec["scope"].as_str() {
        None | Some("") => findings.required("spec.scope", ""),
        Some(_) => findings.not_one_of("spec.scope", &spec["scope"], &["Cluster", "Namespaced"]),
    }
    check_versions(definition, findings);
    let mut schemas = items(&spec["versions"]).map(|version| &version["schema"]);
    let first = schemas.next();
    let is_shared = schemas.all(|schema| Some(schema) == first);
    for (index, version) in items(&spec["versions"]).enumerate() {
        let path = format!("spec.versions[{index}].schema.openAPIV3Schema");
        let schema = &version["schema"]["openAPIV3Schema"];
        if schema.is_null() {
            findings.required(path, "");
        } else {
            let path = if is_shared { "spec.validation.openAPIV3Schema".to_owned() } else { path };
            schema::check(schema, &path, findings);
        }
    }
    check_parts(spec, findings);
}

/// What is wrong beside the schemas: with the paths of a scale, and of fields that can be selected.
fn check_parts(spec: &Value, findings: &mut Findings) {
    if spec["preserveUnknownFields"] == json!(true) {
        let detail = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema \
                      instead";
        findings.invalid("spec.preserveUnknownFields", &json!(true), detail);
    }
    let is_single = items(&spec["versions"]).count() == 1;
    for (index, version) in items(&spec["versions"]).enumerate() {
        let path = if is_single { "spec".to_owned() } else { format!("spec.versions[{index}]") };
        let scale = &version["subresources"]["scale"];
        for (key, root) in [("specReplicasPath", ".spec."), ("statusReplicasPath", ".status.")] {
            let path = format!("{path}.subresources.scale.{key}");
            match scale[key].as_str().unwrap_or_default() {
                _ if scale.is_null() => {}
                "" => findings.required(path, ""),
                given if given.starts_with(root) => {}
                _ => {
                    let detail = format!("should be a json path under {}", root.trim_end_matches('.'));
                    findings.invalid(path, &scale[key], detail);
                }
            }
        }
        for (index, field) in items(&version["selectableFields"]).enumerate() {
            let given = field["jsonPath"].as_str().unwrap_or_default();
            let schema = &version["schema"]["openAPIV3Schema"];
            let keys = given.split('.').filter(|key| !key.is_empty());
            if keys.fold(schema, |schema, key| &schema["properties"][key]).is_null() {
                let detail = "is an invalid path: does not refer to a valid field";
                findings.invalid(format!("{path}.selectableFields[{index}].jsonPath"), &field["jsonPath"], detail);
            }
        }
    }
}

fn stored_versions(definition: &Value) -> Vec<&Value> {
    let versions = items(&definition["spec"]["versions"]);
    versions.filter(|version| version["storage"] == json!(true)).map(|version| &version["name"]).collect()
}

fn check_versions(definition: &Value, findings: &mut Findings) {
    let shown: Vec<Value> = items(&definition["spec"]["versions"]).map(go_value).collect();
    let (versions, shown) = (&definition["spec"]["versions"], &Value::from(shown));
    let stored = stored_versions(definition);
    if stored.len() != 1 {
        findings.invalid("spec.versions", shown, "must have exactly one version marked as storage version");
    }
    let mut names: Vec<&Value> = items(versions).map(|version| &version["name"]).collect();
    names.sort_by_key(|name| name.as_str());
    if names.windows(2).any(|pair| pair[0] == pair[1]) {
        findings.invalid("spec.versions", shown, "must contain unique version names");
    }
    let told = &definition["status"]["storedVersions"];
    if items(told).next().is_none() {
        findings.invalid("status.storedVersions", told, "must have at least one stored version");
    } else if let Some(missing) = stored.iter().rfind(|name| !items(told).any(|told| told == **name)) {
        let missing = missing.as_str().unwrap_or_default();
        findings.invalid("status.storedVersions", told, format!("must have the storage version {missing}"));
    }
}
