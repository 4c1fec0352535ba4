//! What `metadata` may be: the server's own matter, the same for every kind.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::{
    cause::{Cause, CauseKind},
    names,
    resource::Resource,
};

const ANNOTATIONS_LIMIT: usize = 256 * 1024;

/// The names of a kind's objects are checked by one of these.
fn name_problems(resource: &Resource, name: &str) -> Vec<String> {
    match (resource.group.as_str(), resource.plural.as_str()) {
        ("", "namespaces") => names::label_problems(name),
        ("", "services") => names::label_problems(name),
        ("rbac.authorization.k8s.io", _) => names::path_problems(name),
        _ => names::subdomain_problems(name),
    }
}

/// What is wrong with the metadata of an object.
pub(crate) fn causes(resource: &Resource, object: &Value) -> Vec<Cause> {
    let metadata = &object["metadata"];
    let mut causes = Vec::new();
    let mut invalid = |field: &str, value: &str, problems: Vec<String>| {
        let field = format!("metadata.{field}");
        causes
            .extend(problems.into_iter().map(|text| Cause::new(CauseKind::Invalid, field.clone(), value.into(), text)));
    };
    if let Some(prefix) = metadata["generateName"].as_str().filter(|prefix| !prefix.is_empty()) {
        // The end may be a dash here: letters follow.
        let probe = prefix.strip_suffix('-').map_or_else(|| prefix.to_owned(), |start| format!("{start}a"));
        invalid("generateName", prefix, name_problems(resource, &probe));
    }
    match metadata["name"].as_str().unwrap_or_default() {
        "" => causes.push(Cause::required("metadata.name", "name or generateName is required")),
        name => invalid("name", name, name_problems(resource, name)),
    }
    if !resource.is_namespaced && !metadata["namespace"].as_str().unwrap_or_default().is_empty() {
        causes.push(Cause::forbidden("metadata.namespace", "not allowed on this type"));
    }
    causes.extend(map_causes(object));
    finalizer_causes(metadata, &mut causes);
    if !resource.is_custom && !resource.group.starts_with("api") {
        for (index, finalizer) in finalizers(object).enumerate().filter(|(_, finalizer)| is_bare(finalizer)) {
            let detail = "name is neither a standard finalizer name nor is it fully qualified";
            let path = format!("metadata.finalizers[{index}]");
            causes.push(Cause::new(CauseKind::Invalid, path, finalizer.into(), detail));
        }
    }
    causes
}

/// What is said of new finalizers of custom objects that others may use as well.
pub(crate) fn finalizer_warnings(resource: &Resource, new: &Value, old: Option<&Value>) -> Vec<String> {
    if !resource.is_custom {
        return Vec::new();
    }
    let had: BTreeSet<&str> = old.into_iter().flat_map(finalizers).collect();
    finalizers(new)
        .filter(|finalizer| is_bare(finalizer) && !had.contains(finalizer))
        .map(|finalizer| {
            format!(
                "metadata.finalizers: {finalizer:?}: prefer a domain-qualified finalizer name to avoid accidental conflicts \
                 with other finalizer writers"
            )
        })
        .collect()
}

/// Whether a finalizer has no domain and is none of Kubernetes' own.
fn is_bare(finalizer: &str) -> bool {
    !finalizer.contains('/') && !matches!(finalizer, "kubernetes" | "orphan" | "foregroundDeletion")
}

/// What is wrong with the labels, annotations and owners of an object.
pub(crate) fn map_causes(object: &Value) -> Vec<Cause> {
    let metadata = &object["metadata"];
    let mut causes = Vec::new();
    label_causes(&metadata["labels"], &mut causes);
    annotation_causes(&metadata["annotations"], &mut causes);
    owner_causes(&metadata["ownerReferences"], &mut causes);
    causes
}

/// Owners that are named twice are named once; gives the warning.
pub(crate) fn remove_double_owners(object: &mut Value) -> Vec<String> {
    let Some(owners) = object.pointer_mut("/metadata/ownerReferences").and_then(Value::as_array_mut) else {
        return Vec::new();
    };
    let mut double = BTreeSet::new();
    let mut kept: Vec<Value> = Vec::new();
    for owner in owners.drain(..) {
        if kept.contains(&owner) {
            double.insert(owner["uid"].as_str().unwrap_or_default().to_owned());
        } else {
            kept.push(owner);
        }
    }
    *owners = kept;
    if double.is_empty() {
        return Vec::new();
    }
    let uids: Vec<String> = double.into_iter().collect();
    vec![format!(
        ".metadata.ownerReferences contains duplicate entries; API server dedups owner references in 1.20+, and may reject \
         such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: {}",
        uids.join(", ")
    )]
}

/// What is wrong with the change of the metadata of an object.
pub(crate) fn update_causes(new: &Value, old: &Value) -> Vec<Cause> {
    let (new, old) = (&new["metadata"], &old["metadata"]);
    let mut causes = Vec::new();
    if !old["deletionTimestamp"].is_null() {
        let before: BTreeSet<&str> = texts(&old["finalizers"]).collect();
        let added: BTreeSet<&str> = texts(&new["finalizers"]).filter(|finalizer| !before.contains(finalizer)).collect();
        if !added.is_empty() {
            let added: Vec<String> = added.iter().map(|finalizer| format!("{finalizer:?}")).collect();
            let detail = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                added.join(", ")
            );
            causes.push(Cause::forbidden("metadata.finalizers", detail));
        }
    }
    for field in ["name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"] {
        if new[field] != old[field] && !(is_blank(&new[field]) && is_blank(&old[field])) {
            causes.push(Cause::new(
                CauseKind::Invalid,
                format!("metadata.{field}"),
                new[field].clone(),
                "field is immutable",
            ));
        }
    }
    causes
}

/// The finalizers of an object.
pub(crate) fn finalizers(object: &Value) -> impl Iterator<Item = &str> {
    texts(&object["metadata"]["finalizers"])
}

/// The metadata of an object, made if it has none.
pub(crate) fn of(object: &mut Value) -> &mut Map<String, Value> {
    static_map(&mut object["metadata"])
}

fn static_map(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = json!({});
    }
    match value {
        Value::Object(map) => map,
        _ => unreachable!("it was made an object"),
    }
}

fn is_blank(value: &Value) -> bool {
    value.is_null() || value.as_str() == Some("")
}

fn texts(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str)
}

fn label_causes(labels: &Value, causes: &mut Vec<Cause>) {
    for (key, value) in labels.as_object().into_iter().flatten() {
        let value = value.as_str().unwrap_or_default();
        for (text, problem) in std::iter::repeat(key.as_str())
            .zip(names::qualified_name_problems(key))
            .chain(std::iter::repeat(value).zip(names::label_value_problems(value)))
        {
            causes.push(Cause::new(CauseKind::Invalid, "metadata.labels", text.into(), problem));
        }
    }
}

fn annotation_causes(annotations: &Value, causes: &mut Vec<Cause>) {
    let mut size = 0;
    for (key, value) in annotations.as_object().into_iter().flatten() {
        size += key.len() + value.as_str().map_or(0, str::len);
        for problem in names::qualified_name_problems(&key.to_lowercase()) {
            causes.push(Cause::new(CauseKind::Invalid, "metadata.annotations", key.as_str().into(), problem));
        }
    }
    if size > ANNOTATIONS_LIMIT {
        let detail = format!("may not be more than {ANNOTATIONS_LIMIT} bytes");
        causes.push(Cause::new(CauseKind::TooLong, "metadata.annotations", Value::Null, detail));
    }
}

fn owner_causes(owners: &Value, causes: &mut Vec<Cause>) {
    let mut controller: Option<String> = None;
    for (index, owner) in owners.as_array().into_iter().flatten().enumerate() {
        for field in ["apiVersion", "kind", "name", "uid"] {
            if is_blank(&owner[field]) {
                let path = format!("metadata.ownerReferences[{index}].{field}");
                causes.push(Cause::required(path, "must not be empty"));
            }
        }
        if let Some(version) = owner["apiVersion"].as_str().filter(|version| version.matches('/').count() > 1) {
            let path = format!("metadata.ownerReferences[{index}].apiVersion");
            let detail = "must be <group>/<version> or <version>";
            causes.push(Cause::new(CauseKind::Invalid, path, version.into(), detail));
        }
        if owner["apiVersion"] == "v1" && owner["kind"] == "Event" {
            let detail = "/v1, Kind=Event is disallowed from being an owner";
            let path = format!("metadata.ownerReferences[{index}]");
            causes.push(Cause::new(CauseKind::Invalid, path, owner.clone(), detail));
        }
        if owner["controller"] == true {
            let this = format!(
                "{}/{}",
                owner["kind"].as_str().unwrap_or_default(),
                owner["name"].as_str().unwrap_or_default()
            );
            match &controller {
                None => controller = Some(this),
                Some(first) => {
                    let detail = format!(
                        "Only one reference can have Controller set to true. Found \"true\" in references for {first} and \
                         {this}"
                    );
                    causes.push(Cause::new(CauseKind::Invalid, "metadata.ownerReferences", owners.clone(), detail));
                }
            }
        }
    }
}

fn finalizer_causes(metadata: &Value, causes: &mut Vec<Cause>) {
    let (mut orphans, mut foreground) = (false, false);
    for finalizer in texts(&metadata["finalizers"]) {
        for problem in names::qualified_name_problems(finalizer) {
            causes.push(Cause::new(CauseKind::Invalid, "metadata.finalizers", finalizer.into(), problem));
        }
        orphans |= finalizer == "orphan";
        foreground |= finalizer == "foregroundDeletion";
    }
    if orphans && foreground {
        let detail = "finalizer orphan and foregroundDeletion cannot be both set";
        let value = metadata["finalizers"].clone();
        causes.push(Cause::new(CauseKind::Invalid, "metadata.finalizers", value, detail));
    }
}
