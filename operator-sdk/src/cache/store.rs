//! The cache of one kind: objects by key, an index by controlling owner, and how far it has read.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::object::{Key, Object, Revision, Uid};

/// One object came, changed or went. `old` and `new` are never both absent.
#[derive(Clone, Debug)]
pub struct Change<K> {
    /// Which object.
    pub key: Key,
    /// What the cache held before.
    pub old: Option<Arc<K>>,
    /// What it holds now; `None` after a deletion.
    pub new: Option<Arc<K>>,
}

#[derive(Debug)]
pub(super) struct Store<K> {
    objects: BTreeMap<Key, Arc<K>>,
    by_controller: BTreeMap<Uid, BTreeSet<Key>>,
    revision: Revision,
}

impl<K> Default for Store<K> {
    fn default() -> Self {
        Self { objects: BTreeMap::new(), by_controller: BTreeMap::new(), revision: Revision::default() }
    }
}

impl<K: Object> Store<K> {
    pub(super) fn get(&self, key: &Key) -> Option<Arc<K>> {
        self.objects.get(key).cloned()
    }

    pub(super) fn controlled_by(&self, owner: &Uid) -> Vec<Arc<K>> {
        let keys = self.by_controller.get(owner).into_iter().flatten();
        keys.filter_map(|key| self.get(key)).collect()
    }

    /// The newest revision of this kind that the cache has read: everything up to it is visible.
    pub(super) fn revision(&self) -> Revision {
        self.revision
    }

    pub(super) fn existing(&self) -> impl Iterator<Item = Change<K>> {
        self.objects.iter().map(|(key, object)| Change { key: key.clone(), old: None, new: Some(Arc::clone(object)) })
    }

    /// Takes in an object of a watch event. An older copy than the one here is dropped (the view went back in time).
    pub(super) fn upsert(&mut self, object: K) -> Vec<Change<K>> {
        let key = object.key();
        self.advance(object.revision());
        let old = self.objects.get(&key).cloned();
        if old.as_ref().is_some_and(|old| old.revision() >= object.revision()) {
            return Vec::new();
        }
        vec![self.replace(key, Some(Arc::new(object)))]
    }

    /// Takes in a deletion. The event carries the revision of the deletion itself.
    pub(super) fn remove(&mut self, object: &K) -> Vec<Change<K>> {
        let key = object.key();
        self.advance(object.revision());
        match self.objects.get(&key) {
            // A deletion that is older than what is here concerns a former object of that name.
            Some(held) if held.revision() <= object.revision() || held.uid_of() == object.uid_of() => {
                vec![self.replace(key, None)]
            }
            _ => Vec::new(),
        }
    }

    /// Takes in a whole consistent list: what it lacks has been deleted meanwhile and is reported so.
    ///
    /// A list older than what has been read already is refused, as another API server may lag behind.
    pub(super) fn replace_all(&mut self, list: Vec<K>, revision: Revision) -> Result<Vec<Change<K>>, Revision> {
        if revision < self.revision {
            return Err(self.revision);
        }
        let listed: BTreeMap<Key, K> = list.into_iter().map(|object| (object.key(), object)).collect();
        let gone: Vec<Key> = self.objects.keys().filter(|key| !listed.contains_key(*key)).cloned().collect();
        let mut changes: Vec<_> = gone.into_iter().map(|key| self.replace(key, None)).collect();
        for object in listed.into_values() {
            changes.extend(self.upsert(object));
        }
        self.advance(Some(revision));
        Ok(changes)
    }

    /// Notes how far the server says this watch has come.
    pub(super) fn advance(&mut self, revision: Option<Revision>) {
        self.revision = self.revision.max(revision.unwrap_or_default());
    }

    fn replace(&mut self, key: Key, new: Option<Arc<K>>) -> Change<K> {
        let old = match &new {
            Some(object) => self.objects.insert(key.clone(), Arc::clone(object)),
            None => self.objects.remove(&key),
        };
        if let Some(owner) = old.as_deref().and_then(controller_uid)
            && let Some(keys) = self.by_controller.get_mut(&owner)
        {
            keys.remove(&key);
            if keys.is_empty() {
                self.by_controller.remove(&owner);
            }
        }
        if let Some(owner) = new.as_deref().and_then(controller_uid) {
            self.by_controller.entry(owner).or_default().insert(key.clone());
        }
        Change { key, old, new }
    }
}

fn controller_uid<K: Object>(object: &K) -> Option<Uid> {
    object.controller().map(|owner| Uid::from(owner.uid.as_str()))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::{
        api::core::v1::ConfigMap,
        apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
    };

    use super::*;

    fn map(name: &str, uid: &str, revision: u64, owner: Option<&str>) -> ConfigMap {
        let owner = owner.map(|uid| OwnerReference {
            uid: uid.to_owned(),
            controller: Some(true),
            ..OwnerReference::default()
        });
        ConfigMap {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                namespace: Some("default".to_owned()),
                uid: Some(uid.to_owned()),
                resource_version: Some(revision.to_string()),
                owner_references: owner.map(|owner| vec![owner]),
                ..ObjectMeta::default()
            },
            ..ConfigMap::default()
        }
    }

    fn revision(number: u64) -> Revision {
        Revision::parse(&number.to_string()).unwrap()
    }

    #[test]
    fn an_older_copy_never_replaces_a_newer_one() {
        let mut store = Store::default();
        store.upsert(map("a", "1", 5, None));
        assert!(store.upsert(map("a", "1", 4, None)).is_empty());
        assert!(store.replace_all(vec![map("a", "1", 4, None)], revision(4)).is_err());
        assert_eq!(store.get(&Key::namespaced("default", "a")).unwrap().revision(), Some(revision(5)));
    }

    #[test]
    fn a_relist_reports_what_was_deleted_in_the_gap() {
        let mut store = Store::default();
        store.upsert(map("a", "1", 1, None));
        store.upsert(map("b", "2", 2, None));
        let changes = store.replace_all(vec![map("b", "2", 2, None)], revision(9)).unwrap();
        assert_eq!(changes.len(), 1);
        assert_eq!(changes[0].key.name, "a");
        assert!(changes[0].new.is_none());
        assert_eq!(store.revision(), revision(9));
    }

    #[test]
    fn a_late_deletion_does_not_take_a_new_object_of_the_same_name() {
        let mut store = Store::default();
        store.upsert(map("a", "new", 7, None));
        assert!(store.remove(&map("a", "old", 6, None)).is_empty());
        assert_eq!(store.remove(&map("a", "new", 8, None)).len(), 1);
    }

    #[test]
    fn the_index_follows_a_change_of_owner() {
        let mut store = Store::default();
        store.upsert(map("a", "1", 1, Some("x")));
        store.upsert(map("b", "2", 2, Some("x")));
        store.upsert(map("a", "1", 3, Some("y")));
        let names = |owner: &str| -> Vec<String> {
            store.controlled_by(&Uid::from(owner)).iter().map(|object| object.key().name).collect()
        };
        assert_eq!(names("x"), ["b"]);
        assert_eq!(names("y"), ["a"]);
    }
}
