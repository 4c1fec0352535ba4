//! Who depends on whom, as far as it was told, and whom a change makes worth a look.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::Value;

use super::Task;
use crate::{
    actor::{kind::Kind, sight::Seen},
    metadata,
    object::Object,
};

/// Holds an object until its dependents are gone.
pub(super) const FOREGROUND: &str = "foregroundDeletion";
/// Holds an object until its dependents do not name it any more.
pub(super) const ORPHAN: &str = "orphan";

/// All objects by their uids, and their dependents.
#[derive(Debug, Default)]
pub(super) struct Graph {
    nodes: BTreeMap<String, Node>,
    /// By the owner's uid.
    dependents: BTreeMap<String, BTreeSet<String>>,
}

/// An object.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) kind: Arc<Kind>,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) owners: Vec<Reference>,
    pub(super) is_deleting: bool,
    /// Being deleted, it waits for its dependents to go.
    pub(super) is_waiting: bool,
    is_orphaning: bool,
}

/// Who is named as an owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reference {
    pub(super) api_version: String,
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) uid: String,
    pub(super) is_blocking: bool,
}

impl Graph {
    pub(super) fn get(&self, uid: &str) -> Option<&Node> {
        self.nodes.get(uid)
    }

    pub(super) fn dependents(&self, uid: &str) -> Vec<String> {
        self.dependents.get(uid).into_iter().flatten().cloned().collect()
    }

    /// Those that hold up the deletion of their owner.
    pub(super) fn blocking_dependents(&self, uid: &str) -> Vec<String> {
        let is_blocking = |dependent: &String| {
            let owners = self.nodes.get(dependent).map(|node| node.owners.as_slice()).unwrap_or_default();
            owners.iter().any(|owner| owner.uid == uid && owner.is_blocking)
        };
        self.dependents(uid).into_iter().filter(is_blocking).collect()
    }

    /// Takes in a change; returns what it makes worth a look.
    pub(super) fn see(&mut self, seen: &Seen) -> Vec<Task> {
        match (&seen.before, &seen.after) {
            (_, Some(object)) => self.put(object.uid(), Node::of(&seen.kind, object)),
            (Some(object), None) => self.remove(object.uid()),
            (None, None) => Vec::new(),
        }
    }

    fn put(&mut self, uid: &str, node: Node) -> Vec<Task> {
        let former = self.nodes.remove(uid);
        let mut tasks = Vec::new();
        let had = former.as_ref().map(|former| former.owners.as_slice()).unwrap_or_default();
        for owner in had {
            let now = node.owners.iter().find(|now| now.uid == owner.uid);
            if owner.is_blocking && now.is_none_or(|now| !now.is_blocking) {
                tasks.push(Task::Delete(owner.uid.clone()));
            }
            if now.is_none() {
                self.unlink(&owner.uid, uid);
            }
        }
        for owner in node.owners.iter().filter(|owner| !had.iter().any(|had| had.uid == owner.uid)) {
            self.dependents.entry(owner.uid.clone()).or_default().insert(uid.to_owned());
            if !self.nodes.get(&owner.uid).is_some_and(|known| known.is_meant(owner, &node.namespace)) {
                tasks.push(Task::Delete(uid.to_owned()));
            }
        }
        if former.is_none() {
            tasks.extend(self.misled_dependents(uid, &node));
        }
        if node.is_orphaning && !former.as_ref().is_some_and(|former| former.is_orphaning) {
            tasks.push(Task::Orphan(uid.to_owned()));
        } else if node.is_waiting && !former.as_ref().is_some_and(|former| former.is_waiting) {
            tasks.extend(self.dependents(uid).into_iter().map(Task::Delete));
            tasks.push(Task::Delete(uid.to_owned()));
        }
        self.nodes.insert(uid.to_owned(), node);
        tasks
    }

    fn remove(&mut self, uid: &str) -> Vec<Task> {
        let Some(node) = self.nodes.remove(uid) else { return Vec::new() };
        let mut tasks: Vec<Task> = self.dependents(uid).into_iter().map(Task::Delete).collect();
        for owner in &node.owners {
            self.unlink(&owner.uid, uid);
            if self.nodes.get(&owner.uid).is_some_and(|owner| owner.is_waiting) {
                tasks.push(Task::Delete(owner.uid.clone()));
            }
        }
        tasks
    }

    /// Those that name an object by its uid and yet mean another, which cannot be.
    fn misled_dependents(&self, uid: &str, node: &Node) -> Vec<Task> {
        let is_misled = |dependent: &String| {
            self.nodes.get(dependent).is_some_and(|known| {
                known.owners.iter().any(|owner| owner.uid == uid && !node.is_meant(owner, &known.namespace))
            })
        };
        self.dependents(uid).into_iter().filter(is_misled).map(Task::Delete).collect()
    }

    fn unlink(&mut self, owner: &str, dependent: &str) {
        if let Some(dependents) = self.dependents.get_mut(owner) {
            dependents.remove(dependent);
            if dependents.is_empty() {
                self.dependents.remove(owner);
            }
        }
    }
}

impl Node {
    fn of(kind: &Arc<Kind>, object: &Object) -> Self {
        let is_deleting = !object["metadata"]["deletionTimestamp"].is_null();
        let has = |wanted: &str| metadata::finalizers(object).any(|finalizer| finalizer == wanted);
        Self {
            kind: kind.clone(),
            namespace: object.namespace().to_owned(),
            name: object.name().to_owned(),
            owners: references(object),
            is_deleting,
            is_waiting: is_deleting && has(FOREGROUND),
            is_orphaning: is_deleting && has(ORPHAN),
        }
    }

    /// Whether a reference from a namespace means this object.
    fn is_meant(&self, reference: &Reference, namespace: &str) -> bool {
        let group = reference.api_version.split_once('/').map_or("", |(group, _)| group);
        let is_in_reach = self.namespace.is_empty() || self.namespace == namespace;
        is_in_reach && self.name == reference.name && self.kind.kind == reference.kind && self.kind.group == group
    }
}

/// Who an object names as its owners.
pub(super) fn references(object: &Value) -> Vec<Reference> {
    let owners = object["metadata"]["ownerReferences"].as_array().into_iter().flatten();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    owners
        .map(|owner| Reference {
            api_version: text(&owner["apiVersion"]),
            kind: text(&owner["kind"]),
            name: text(&owner["name"]),
            uid: text(&owner["uid"]),
            is_blocking: owner["blockOwnerDeletion"] == true,
        })
        .collect()
}
