//! A state without what differs between any two runs: uids, revisions, times, and the ends of generated names.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::{names::generated_base, record::State, simulation::MARK, store::Collection};

/// What the server keeps about an object, which says nothing about the object.
const BOOKKEEPING: [&str; 7] =
    ["uid", "resourceVersion", "creationTimestamp", "managedFields", "generation", "deletionTimestamp", "selfLink"];
/// Where a pod runs is chance, and what follows from it.
const PLACE: [(&str, &str); 5] =
    [("spec", "nodeName"), ("status", "hostIP"), ("status", "hostIPs"), ("status", "podIP"), ("status", "podIPs")];
/// More differences than this are not told.
const DIFFERENCES_MAX: usize = 12;

/// A state that can be compared with that of another run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Canonical {
    /// By kind, namespace and name; those of a generated name are several.
    objects: BTreeMap<String, Vec<Value>>,
}

/// Fields that are not compared, as `kind/namespace/name: /path`.
pub(crate) type Mask = BTreeSet<String>;

/// Is told of each difference: the object, the path in it, what was found there and what was expected.
type Differ<'a> = dyn FnMut(&str, &str, Option<&Value>, Option<&Value>) + 'a;

impl Canonical {
    /// What has been written after revision `since`.
    pub(crate) fn of(state: &State, since: u64) -> Self {
        let mut names: BTreeMap<&str, String> = BTreeMap::new();
        for (kind, key, object) in state.all() {
            let name = stable_name(object.value(), key.name());
            names.insert(object.uid(), format!("uid of {}/{}/{name}", kind.plural, key.namespace()));
            if name != key.name() {
                names.insert(key.name(), name);
            }
        }
        let mut objects: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for (kind, key, object) in state.all() {
            // Runs may differ in who was told what how often, and in who leads.
            if object.revision() <= since || kind.is_chatter() {
                continue;
            }
            let mut value = object.value().clone();
            strip(&mut value);
            if *kind == Collection::new("", "pods") {
                forget_place(&mut value);
            }
            rename(&mut value, &names);
            let name = stable_name(object.value(), key.name());
            objects.entry(format!("{}/{}/{name}", kind.plural, key.namespace())).or_default().push(value);
        }
        objects.values_mut().for_each(|several| several.sort_by_cached_key(Value::to_string));
        Self { objects }
    }

    /// How this differs from what is expected, in lines for people; empty: in nothing that is not masked.
    pub(crate) fn differences(&self, expected: &Self, mask: &Mask) -> Vec<String> {
        let mut lines = Vec::new();
        self.compare(expected, &mut |place, path, found, wanted| {
            if !mask.contains(&format!("{place}: {path}")) && lines.len() < DIFFERENCES_MAX {
                let field = if path.is_empty() { String::new() } else { format!("{path}: ") };
                lines.push(format!("{place}: {field}expected {}, found {}", shown(wanted), shown(found)));
            }
        });
        lines
    }

    /// What differs between two runs in which nothing went wrong.
    pub(crate) fn mask(&self, other: &Self) -> Mask {
        let mut mask = Mask::new();
        self.compare(other, &mut |place, path, found, wanted| {
            // That an object is there is no matter of chance.
            if !path.is_empty() || (found.is_some() && wanted.is_some()) {
                mask.insert(format!("{place}: {path}"));
            }
        });
        mask
    }

    fn compare(&self, expected: &Self, differ: &mut Differ<'_>) {
        let places: BTreeSet<&String> = self.objects.keys().chain(expected.objects.keys()).collect();
        let none = Vec::new();
        for place in places {
            let found = self.objects.get(place).unwrap_or(&none);
            let wanted = expected.objects.get(place).unwrap_or(&none);
            for index in 0..found.len().max(wanted.len()) {
                compare(place, "", found.get(index), wanted.get(index), differ);
            }
        }
    }
}

fn compare(place: &str, path: &str, found: Option<&Value>, wanted: Option<&Value>, differ: &mut Differ<'_>) {
    match (found, wanted) {
        (Some(Value::Object(found)), Some(Value::Object(wanted))) => {
            let names: BTreeSet<&String> = found.keys().chain(wanted.keys()).collect();
            for name in names {
                compare(place, &format!("{path}/{name}"), found.get(name), wanted.get(name), differ);
            }
        }
        (Some(Value::Array(found)), Some(Value::Array(wanted))) if found.len() == wanted.len() => {
            for (index, (found, wanted)) in found.iter().zip(wanted).enumerate() {
                compare(place, &format!("{path}/{index}"), Some(found), Some(wanted), differ);
            }
        }
        (found, wanted) if found == wanted => {}
        (found, wanted) => differ(place, path, found, wanted),
    }
}

/// A generated name without its end.
pub(crate) fn stable_name(object: &Value, name: &str) -> String {
    match object["metadata"]["generateName"].as_str() {
        Some(base) if name.starts_with(generated_base(base)) => format!("{base}*"),
        _ => name.to_owned(),
    }
}

fn strip(object: &mut Value) {
    let generation = object["metadata"]["generation"].clone();
    if let Some(observed) = object.pointer_mut("/status/observedGeneration") {
        let is_current = *observed == generation;
        *observed = Value::from(if is_current { "of this generation" } else { "of a former generation" });
    }
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    let is_terminating = metadata.contains_key("deletionTimestamp");
    BOOKKEEPING.iter().for_each(|field| {
        metadata.remove(*field);
    });
    if is_terminating {
        metadata.insert("deletionTimestamp".to_owned(), Value::from("set"));
    }
    if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.retain(|name, _| !name.starts_with(MARK));
        if annotations.is_empty() {
            metadata.remove("annotations");
        }
    }
}

fn forget_place(pod: &mut Value) {
    for (part, field) in PLACE {
        if let Some(part) = pod.get_mut(part).and_then(Value::as_object_mut) {
            part.remove(field);
        }
    }
}

fn rename(value: &mut Value, names: &BTreeMap<&str, String>) {
    match value {
        Value::String(text) => {
            if let Some(name) = names.get(text.as_str()) {
                text.clone_from(name);
            } else if is_time(text) {
                "a time".clone_into(text);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, names)),
        Value::Object(fields) => fields.values_mut().for_each(|field| rename(field, names)),
        _ => {}
    }
}

/// As in `2026-01-01T00:00:00Z`, with or without a fraction.
fn is_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() >= 20
        && bytes.len() <= 35
        && bytes[4] == b'-'
        && bytes[10] == b'T'
        && text.parse::<jiff::Timestamp>().is_ok()
}

fn shown(value: Option<&Value>) -> String {
    match value {
        None => "nothing".to_owned(),
        Some(value) => {
            let text = value.to_string();
            match text.char_indices().nth(200) {
                Some((end, _)) => format!("{}…", &text[..end]),
                None => text,
            }
        }
    }
}
