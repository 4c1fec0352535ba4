//! CustomResourceDefinitions: what they define is served at once if its names are free, and goes with them.

mod names;

use std::sync::Arc;

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
                Change::Deleted => {
                    self.kinds.forget(&defined(&commit.after));
                    self.reconsider_others(commit);
                }
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
            "True",
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
        let before = commit.before.as_ref();
        let is_established = names::is_established(object);
        let is_new = before.is_none_or(|before| before["spec"] != object["spec"] || !names::is_established(before));
        if commit.change == Change::Created {
            self.store.begin_history(&defined(object));
        }
        if is_established && is_new {
            self.serve_definition(object);
        }
        self.accept_names(commit.time, commit.request, object);
        if before.is_some_and(|before| before["status"]["acceptedNames"] != object["status"]["acceptedNames"]) {
            self.reconsider_others(commit);
        }
    }

    fn serve_definition(&mut self, object: &Object) {
        let collection = defined(object);
        self.kinds.forget(&collection);
        for resource in definition::resources(&names::with_accepted_names(object)) {
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

    fn accept_names(&mut self, now: Timestamp, request: u64, object: &Object) {
        let mut accepted = object.value().clone();
        names::accept(&mut accepted, &self.store, now);
        if accepted["status"] != object["status"] {
            let resource = &self.kinds.definition().resource;
            let writer = Writer { manager: "kube-apiserver", subresource: "status" };
            let accepted = apply::update(Some(object), accepted, resource, writer, now);
            self.write_definition(now, request, Change::Updated, accepted);
        }
    }

    /// Looks at the names of the other definitions of a group once more, as one may have become free.
    fn reconsider_others(&mut self, commit: &Commit) {
        let collection = definitions();
        let others = self.store.list(&collection, None).map(|(_, other)| other.clone());
        let is_waiting = |other: &Arc<Object>| {
            other["spec"]["group"] == commit.after["spec"]["group"]
                && other["spec"]["names"] != other["status"]["acceptedNames"]
                && other.name() != commit.after.name()
        };
        let others: Vec<Arc<Object>> = others.filter(is_waiting).collect();
        for other in others {
            self.accept_names(commit.time, commit.request, &other);
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

fn set_condition(definition: &mut Value, now: Timestamp, kind: &str, status: &str, reason: &str, message: &str) {
    let mut condition = json!({
        "type": kind, "status": status, "lastTransitionTime": seconds(now), "reason": reason, "message": message,
    });
    let conditions = &mut definition["status"]["conditions"];
    let Some(conditions) = conditions.as_array_mut() else {
        *conditions = json!([condition]);
        return;
    };
    match conditions.iter_mut().find(|condition| condition["type"] == kind) {
        Some(known) => {
            if known["status"] == status {
                condition["lastTransitionTime"] = known["lastTransitionTime"].clone();
            }
            *known = condition;
        }
        None => conditions.push(condition),
    }
}
