//! CustomResourceDefinitions: what they define is served at once, and goes with them.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Server, create::seconds};
use crate::{
    apply::{self, Writer},
    definition,
    object::Object,
    store::{Change, Collection, Commit, Key, Write},
};

/// Holds a definition until the objects of its kind are gone.
const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

impl Server {
    /// Does what follows from a commit for what is served.
    pub(super) fn follow_definitions(&mut self, commit: &Commit) {
        if commit.collection == definitions() {
            match commit.change {
                Change::Deleted => self.kinds.forget(&defined(&commit.after)),
                _ => self.define(commit),
            }
        } else if commit.change == Change::Deleted && self.kinds.is_custom(&commit.collection) {
            self.finish_definition(commit.time, commit.request, &commit.collection);
        }
    }

    /// Marks a definition, then deletes the objects of its kind; those with finalizers hold it.
    pub(super) fn delete_definition(&mut self, now: Timestamp, request: u64, live: &Object) {
        let mut marked = live.value().clone();
        marked["metadata"]["deletionTimestamp"] = seconds(now).into();
        let finalizers = marked["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
        if !finalizers.iter().any(|finalizer| finalizer == CLEANUP) {
            marked["metadata"]["finalizers"] = finalizers.into_iter().chain([CLEANUP.into()]).collect();
        }
        set_condition(
            &mut marked,
            now,
            "Terminating",
            "InstanceDeletionPending",
            "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
        );
        self.write_definition(now, request, Change::Updated, marked);
    }

    /// Deletes the objects of a kind whose definition goes.
    pub(super) fn delete_instances(&mut self, now: Timestamp, request: u64, live: &Object) {
        let collection = defined(live);
        let found: Vec<_> =
            self.store.list(&collection, None).map(|(key, object)| (key.clone(), object.clone())).collect();
        for (key, object) in found {
            let mut value = object.value().clone();
            let is_held = value["metadata"]["finalizers"].as_array().is_some_and(|finalizers| !finalizers.is_empty());
            if is_held && value["metadata"]["deletionTimestamp"].is_null() {
                let generation = value["metadata"]["generation"].as_i64().unwrap_or_default();
                value["metadata"]["generation"] = (generation + 1).into();
                value["metadata"]["deletionTimestamp"] = seconds(now).into();
                value["metadata"]["deletionGracePeriodSeconds"] = 0.into();
            } else if is_held {
                continue;
            }
            let change = if is_held { Change::Updated } else { Change::Deleted };
            let collection = collection.clone();
            self.commit_to(Write { time: now, collection, key, change, object: value, request });
        }
        self.finish_definition(now, request, &collection);
    }

    /// Lets a definition go that only waited for its objects.
    fn finish_definition(&mut self, now: Timestamp, request: u64, collection: &Collection) {
        let name = format!("{}.{}", collection.plural, collection.group);
        let Some(definition) = self.store.get(&definitions(), &Key::new("", &name)).cloned() else { return };
        let is_going = !definition["metadata"]["deletionTimestamp"].is_null();
        if !is_going || self.store.list(collection, None).next().is_some() {
            return;
        }
        let mut value = definition.value().clone();
        if let Some(finalizers) = value["metadata"]["finalizers"].as_array_mut() {
            finalizers.retain(|finalizer| finalizer != CLEANUP);
        }
        let is_held = value["metadata"]["finalizers"].as_array().is_some_and(|finalizers| !finalizers.is_empty());
        self.write_definition(now, request, if is_held { Change::Updated } else { Change::Deleted }, value);
    }

    fn define(&mut self, commit: &Commit) {
        let object = &commit.after;
        let is_new_spec = commit.before.as_ref().is_none_or(|before| before["spec"] != object["spec"]);
        if is_new_spec {
            let collection = defined(object);
            if commit.change == Change::Created {
                self.store.begin_history(&collection);
            }
            self.kinds.forget(&collection);
            for resource in definition::resources(object) {
                self.kinds.serve(resource);
            }
            self.kinds.store_as(&collection, &storage_version(object));
            if let Some(stored) = self.kinds.stored(&collection, &storage_version(object)) {
                self.store.reread(&collection, |object| {
                    let mut value = object.value().clone();
                    stored.resource.decode(&mut value).ok()?;
                    stored.resource.rules.default(&mut value);
                    (value != *object.value()).then_some(value)
                });
            }
        }
        let mut accepted = object.value().clone();
        accept(&mut accepted, commit.time);
        if accepted["status"] != object["status"] {
            let resource = &self.kinds.definition().resource;
            let writer = Writer { manager: "kube-apiserver", subresource: "status" };
            let accepted = apply::update(Some(object), accepted, resource, writer, commit.time);
            self.write_definition(commit.time, commit.request, Change::Updated, accepted);
        }
    }

    fn write_definition(&mut self, time: Timestamp, request: u64, change: Change, object: Value) {
        let key = Key::new("", object["metadata"]["name"].as_str().unwrap_or_default());
        self.commit_to(Write { time, collection: definitions(), key, change, object, request });
    }
}

/// Whether an object of the kind may be created no more.
pub(super) fn is_terminating(server: &Server, collection: &Collection) -> bool {
    let name = format!("{}.{}", collection.plural, collection.group);
    let found = server.store.get(&definitions(), &Key::new("", &name));
    found.is_some_and(|definition| !definition["metadata"]["deletionTimestamp"].is_null())
}

pub(super) fn definitions() -> Collection {
    Collection::new("apiextensions.k8s.io", "customresourcedefinitions")
}

/// The collection that a definition defines.
fn defined(definition: &Object) -> Collection {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Collection::new(&text(&definition["spec"]["group"]), &text(&definition["spec"]["names"]["plural"]))
}

fn storage_version(definition: &Object) -> String {
    let mut versions = definition["spec"]["versions"].as_array().into_iter().flatten();
    let stored = versions.find(|version| version["storage"] == true);
    stored.and_then(|version| version["name"].as_str()).unwrap_or_default().to_owned()
}

/// Accepts the names of a definition, and says that it is established.
fn accept(definition: &mut Value, now: Timestamp) {
    let names = definition["spec"]["names"].clone();
    definition["status"]["acceptedNames"] = names;
    let is_known = definition["status"]["conditions"]
        .as_array()
        .is_some_and(|conditions| conditions.iter().any(|condition| condition["type"] == "Established"));
    if is_known {
        return;
    }
    set_condition(definition, now, "NamesAccepted", "NoConflicts", "no conflicts found");
    let message = "the initial names have been accepted";
    set_condition(definition, now, "Established", "InitialNamesAccepted", message);
}

fn set_condition(definition: &mut Value, now: Timestamp, kind: &str, reason: &str, message: &str) {
    let condition = json!({
        "type": kind, "status": "True", "lastTransitionTime": seconds(now), "reason": reason, "message": message,
    });
    match &mut definition["status"]["conditions"] {
        Value::Array(conditions) => {
            conditions.retain(|condition| condition["type"] != kind);
            conditions.push(condition);
        }
        conditions => *conditions = json!([condition]),
    }
}
