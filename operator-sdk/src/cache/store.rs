//! The cache of one kind: objects by key, an index by controlling owner, and how far it has read.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tracing::error;

use super::read::{Read, Unreadable};
use crate::{
    error::{Error, Result},
    object::{Key, Object, Revision, Uid},
};

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
pub(super) struct Store<K: Object> {
    objects: BTreeMap<Key, Arc<K>>,
    by_controller: BTreeMap<Uid, BTreeSet<Key>>,
    /// Objects that exist but cannot be read; none of them is in `objects`.
    unreadable: BTreeMap<Key, Unreadable<K>>,
    revision: Revision,
}

impl<K: Object> Default for Store<K> {
    fn default() -> Self {
        Self {
            objects: BTreeMap::new(),
            by_controller: BTreeMap::new(),
            unreadable: BTreeMap::new(),
            revision: Revision::default(),
        }
    }
}

impl<K: Object> Store<K> {
    pub(super) fn get(&self, key: &Key) -> Option<Arc<K>> {
        self.objects.get(key).cloned()
    }

    /// All objects that `owner` controls, or an error if one of them cannot be read: who counts the others must not
    /// take it for deleted.
    pub(super) fn controlled_by(&self, owner: &Uid) -> Result<Vec<Arc<K>>> {
        if let Some((key, hidden)) = self.unreadable.iter().find(|(_, one)| one.metadata.is_controlled_by(owner)) {
            return Err(Error::Unreadable {
                kind: K::kind(&()).into_owned(),
                key: key.clone(),
                problem: hidden.problem.clone(),
            });
        }
        let keys = self.by_controller.get(owner).into_iter().flatten();
        Ok(keys.filter_map(|key| self.get(key)).collect())
    }

    /// How many objects exist that cannot be read.
    pub(super) fn unreadable(&self) -> usize {
        self.unreadable.len()
    }

    /// The newest revision of this kind that the cache has read: everything up to it is visible.
    pub(super) fn revision(&self) -> Revision {
        self.revision
    }

    pub(super) fn existing(&self) -> impl Iterator<Item = Change<K>> {
        self.objects.iter().map(|(key, object)| Change { key: key.clone(), old: None, new: Some(Arc::clone(object)) })
    }

    /// Takes in an object of a watch event. An older copy than the one here is dropped (the view went back in time).
    pub(super) fn upsert(&mut self, read: Read<K>) -> Vec<Change<K>> {
        match read {
            Read::Whole(object) => {
                if !self.is_news(&object) {
                    return Vec::new();
                }
                let key = object.key();
                self.unreadable.remove(&key);
                vec![self.replace(key, Some(Arc::new(object)))]
            }
            Read::Unreadable(hidden) => {
                if !self.is_news(&hidden.metadata) {
                    return Vec::new();
                }
                let key = hidden.metadata.key();
                error!(resource = %K::plural(&()), object = %key, problem = %hidden.problem,
                    "an object cannot be read, and is left out until it is corrected");
                self.unreadable.insert(key.clone(), *hidden);
                self.forget(key)
            }
        }
    }

    /// Notes how far an object shows the watch to be; true unless the object is here already, as new or newer.
    fn is_news(&mut self, object: &impl Object) -> bool {
        self.advance(object.revision());
        let key = object.key();
        let held = self.objects.get(&key).and_then(|held| held.revision());
        let hidden = self.unreadable.get(&key).and_then(|hidden| hidden.metadata.revision());
        held.max(hidden).is_none_or(|held| Some(held) < object.revision())
    }

    /// Takes in a deletion. The event carries the revision of the deletion itself.
    pub(super) fn remove(&mut self, object: &impl Object) -> Vec<Change<K>> {
        let key = object.key();
        self.advance(object.revision());
        // A deletion that is older than what is here concerns a former object of that name.
        let concerns =
            |revision: Option<Revision>, uid: Option<Uid>| revision <= object.revision() || uid == object.uid_of();
        let hidden = self.unreadable.get(&key).map(|hidden| &hidden.metadata);
        if hidden.is_some_and(|hidden| concerns(hidden.revision(), hidden.uid_of())) {
            self.unreadable.remove(&key);
        }
        if self.get(&key).is_some_and(|held| concerns(held.revision(), held.uid_of())) {
            return self.forget(key);
        }
        Vec::new()
    }

    /// Takes in a whole consistent list: what it lacks has been deleted meanwhile and is reported so.
    ///
    /// A list older than what has been read already is refused, as another API server may lag behind.
    pub(super) fn replace_all(
        &mut self,
        list: Vec<Read<K>>,
        revision: Revision,
    ) -> std::result::Result<Vec<Change<K>>, Revision> {
        if revision < self.revision {
            return Err(self.revision);
        }
        let keys: BTreeSet<Key> = list.iter().map(Read::key).collect();
        self.unreadable.retain(|key, _| keys.contains(key));
        let gone: Vec<Key> = self.objects.keys().filter(|key| !keys.contains(*key)).cloned().collect();
        let mut changes: Vec<_> = gone.into_iter().map(|key| self.replace(key, None)).collect();
        for read in list {
            changes.extend(self.upsert(read));
        }
        self.advance(Some(revision));
        Ok(changes)
    }

    /// Notes how far the server says this watch has come.
    pub(super) fn advance(&mut self, revision: Option<Revision>) {
        self.revision = self.revision.max(revision.unwrap_or_default());
    }

    fn forget(&mut self, key: Key) -> Vec<Change<K>> {
        if self.objects.contains_key(&key) { vec![self.replace(key, None)] } else { Vec::new() }
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

    use kube::core::PartialObjectMetaExt;

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
        store.upsert(Read::Whole(map("a", "1", 5, None)));
        assert!(store.upsert(Read::Whole(map("a", "1", 4, None))).is_empty());
        assert!(store.replace_all(vec![Read::Whole(map("a", "1", 4, None))], revision(4)).is_err());
        assert_eq!(store.get(&Key::namespaced("default", "a")).unwrap().revision(), Some(revision(5)));
    }

    #[test]
    fn a_relist_reports_what_was_deleted_in_the_gap() {
        let mut store = Store::default();
        store.upsert(Read::Whole(map("a", "1", 1, None)));
        store.upsert(Read::Whole(map("b", "2", 2, None)));
        let changes = store.replace_all(vec![Read::Whole(map("b", "2", 2, None))], revision(9)).unwrap();
        assert_eq!(changes.len(), 1);
        assert_eq!(changes[0].key.name, "a");
        assert!(changes[0].new.is_none());
        assert_eq!(store.revision(), revision(9));
    }

    #[test]
    fn a_late_deletion_does_not_take_a_new_object_of_the_same_name() {
        let mut store = Store::default();
        store.upsert(Read::Whole(map("a", "new", 7, None)));
        assert!(store.remove(&map("a", "old", 6, None)).is_empty());
        assert_eq!(store.remove(&map("a", "new", 8, None)).len(), 1);
    }

    #[test]
    fn the_index_follows_a_change_of_owner() {
        let mut store = Store::default();
        store.upsert(Read::Whole(map("a", "1", 1, Some("x"))));
        store.upsert(Read::Whole(map("b", "2", 2, Some("x"))));
        store.upsert(Read::Whole(map("a", "1", 3, Some("y"))));
        let names = |owner: &str| -> Vec<String> {
            store.controlled_by(&Uid::from(owner)).unwrap().iter().map(|object| object.key().name).collect()
        };
        assert_eq!(names("x"), ["b"]);
        assert_eq!(names("y"), ["a"]);
    }

    fn unreadable(name: &str, revision: u64, owner: &str) -> Read<ConfigMap> {
        let mut metadata = map(name, name, revision, Some(owner)).metadata;
        let metadata = std::mem::take(&mut metadata).into_response_partial();
        Read::Unreadable(Box::new(Unreadable { metadata, problem: "spec.port: too large".to_owned() }))
    }

    #[test]
    fn what_cannot_be_read_is_not_taken_for_deleted_by_its_owner() {
        let mut store = Store::default();
        store.upsert(Read::Whole(map("a", "a", 1, Some("x"))));
        store.upsert(Read::Whole(map("b", "b", 2, Some("y"))));
        let changes = store.upsert(unreadable("a", 3, "x"));
        assert!(changes.len() == 1 && changes[0].new.is_none());
        let error = store.controlled_by(&Uid::from("x")).unwrap_err().to_string();
        assert!(error.contains("default/a") && error.contains("spec.port: too large"), "{error}");
        assert_eq!(store.controlled_by(&Uid::from("y")).unwrap().len(), 1);
        assert_eq!(store.revision(), revision(3));

        assert!(store.upsert(Read::Whole(map("a", "a", 2, Some("x")))).is_empty(), "an older copy came back");
        assert_eq!(store.upsert(Read::Whole(map("a", "a", 4, Some("x")))).len(), 1);
        assert_eq!(store.controlled_by(&Uid::from("x")).unwrap().len(), 1);
        assert_eq!(store.unreadable(), 0);
    }

    #[test]
    fn what_cannot_be_read_goes_by_its_deletion_and_by_a_list_without_it() {
        let mut store = Store::default();
        store.upsert(unreadable("a", 3, "x"));
        store.remove(&map("a", "a", 4, None));
        assert!(store.controlled_by(&Uid::from("x")).is_ok());
        store.upsert(unreadable("a", 5, "x"));
        store.replace_all(vec![], revision(6)).unwrap();
        assert!(store.controlled_by(&Uid::from("x")).is_ok());
    }
}
