//! The real server's answers to random writes, recorded, and what is made of the same writes here.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Refusal, Writer, apply, fixture, keep_times, update};
use crate::{
    patch::{self, PatchKind},
    resource::Resource,
};

/// Later than all that was recorded.
const NOW: &str = "2100-01-01T00:00:00Z";

#[test]
fn owners_are_those_that_the_real_server_recorded() {
    let text = std::fs::read_to_string(std::env::var("RECORDED").unwrap()).unwrap();
    let writes: Vec<Value> = serde_json::from_str(&text).unwrap();
    let mut differences = Vec::new();
    for (number, write) in writes.iter().enumerate() {
        if let Err(difference) = check(write) {
            differences.push(format!("{number}: {difference}\n{write}\n"));
        }
    }
    let shown = differences.iter().take(5).cloned().collect::<Vec<_>>().join("\n");
    assert!(differences.is_empty(), "{} of {} writes differ:\n{shown}", differences.len(), writes.len());
}

fn check(write: &Value) -> Result<(), String> {
    let text = |name: &str| write[name].as_str().unwrap();
    let before = Some(&write["before"]).filter(|before| before.is_object());
    let kind = write["body"]["kind"].as_str().unwrap();
    let builtin = crate::kinds::builtin().iter().find(|resource| resource.kind == kind);
    let resource = builtin.map_or_else(fixture::resource, |resource| Resource::clone(resource));
    let writer = Writer { manager: text("manager"), subresource: text("subresource") };
    let now: Timestamp = NOW.parse().unwrap();
    let force = write["force"] == true;
    let written = match text("op") {
        "apply" => apply(before, &write["body"], &resource, writer, force, now),
        "merge" => {
            let body = write["body"].to_string();
            let new = patch::apply(before.unwrap(), PatchKind::Merge, body.as_bytes(), &resource.schema).unwrap();
            Ok(update(before, decoded(new), &resource, writer, now))
        }
        "after" => Ok(update(before, super::without_managed_fields(&write["after"]), &resource, writer, now)),
        _ => Ok(update(before, decoded(write["body"].clone()), &resource, writer, now)),
    };
    match (written, write["code"].as_u64().unwrap()) {
        (Err(Refusal::Conflicts(conflicts)), 409) => {
            let sorted = |causes: &Value| {
                let mut causes: Vec<_> = causes.as_array().unwrap().iter().map(ToString::to_string).collect();
                causes.sort();
                json!(causes)
            };
            same("causes", &sorted(&conflicts.causes()), &sorted(&write["answer"]["details"]["causes"]))?;
            same("message", &json!(conflicts.message()), &write["answer"]["message"])
        }
        (Ok(new), 200 | 201) => compare(before, through(before, decoded(new), writer.subresource), &write["after"]),
        (Ok(_), 422) => Ok(()),
        (written, code) => Err(format!("{code} here {written:?}")),
    }
}

/// What the server makes of an object that it reads: metadata has no empty fields, and defaults are set.
fn decoded(mut object: Value) -> Value {
    if object.pointer("/spec/free").is_some_and(Value::is_null) {
        object["spec"].as_object_mut().unwrap().remove("free");
    }
    let metadata = object["metadata"].as_object_mut().unwrap();
    for name in ["labels", "annotations"] {
        for value in metadata.get_mut(name).and_then(Value::as_object_mut).into_iter().flat_map(|map| map.values_mut())
        {
            if value.is_null() {
                *value = json!("");
            }
        }
    }
    metadata
        .retain(|name, value| name == "managedFields" || !["{}", "[]", "null"].contains(&value.to_string().as_str()));
    let parts = object.pointer_mut("/spec/parts").and_then(Value::as_array_mut);
    for part in parts.into_iter().flatten() {
        for port in part.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
            port.as_object_mut().unwrap().entry("protocol").or_insert_with(|| json!("TCP"));
        }
    }
    object
}

/// What the door lets pass, as the server does it after the owners are found.
fn through(before: Option<&Value>, mut new: Value, subresource: &str) -> Value {
    let Some(before) = before else {
        new.as_object_mut().unwrap().remove("status");
        return new;
    };
    let (mut kept, moved) = if subresource.is_empty() { (new.clone(), before) } else { (before.clone(), &new) };
    match moved.get("status") {
        Some(status) => kept["status"] = status.clone(),
        None => _ = kept.as_object_mut().unwrap().remove("status"),
    }
    match new.pointer("/metadata/managedFields") {
        Some(fields) => kept["metadata"]["managedFields"] = fields.clone(),
        None => _ = kept["metadata"].as_object_mut().unwrap().remove("managedFields"),
    }
    kept
}

fn compare(before: Option<&Value>, mut here: Value, real: &Value) -> Result<(), String> {
    for name in ["uid", "resourceVersion", "generation", "creationTimestamp", "namespace"] {
        if let Some(value) = real["metadata"].get(name) {
            here["metadata"][name] = value.clone();
        }
    }
    if let Some(before) = before {
        here = keep_times(before, here);
    }
    let none = json!([]);
    let entries = |object: &Value| object.pointer("/metadata/managedFields").unwrap_or(&none).clone();
    let times = times(&entries(real));
    let earlier = before.map(|before| self::times(&entries(before))).unwrap_or_default();
    for (key, time) in self::times(&entries(&here)) {
        let theirs = times.get(&key).cloned().unwrap_or_default();
        let expected = if time == NOW { !theirs.is_null() } else { theirs == time };
        if !expected {
            return Err(format!("{key}: time {time} here, {theirs} there, {:?} before", earlier.get(&key)));
        }
    }
    same("owners", &timeless(&entries(&here)), &timeless(&entries(real)))?;
    if real["kind"] != "Thing" {
        return Ok(());
    }
    let content = super::without_managed_fields;
    same("content", &content(&here), &content(real))
}

fn key(entry: &Value) -> String {
    ["manager", "operation", "apiVersion", "subresource"].map(|name| entry[name].to_string()).join(" ")
}

fn times(entries: &Value) -> BTreeMap<String, Value> {
    entries.as_array().unwrap().iter().map(|entry| (key(entry), entry["time"].clone())).collect()
}

fn timeless(entries: &Value) -> Value {
    let mut entries = entries.as_array().unwrap().clone();
    entries.sort_by_key(key);
    entries.iter_mut().for_each(|entry| entry["time"] = Value::Null);
    Value::Array(entries)
}

fn same(what: &str, here: &Value, real: &Value) -> Result<(), String> {
    if here == real { Ok(()) } else { Err(format!("{what}\nhere {here}\nreal {real}")) }
}
