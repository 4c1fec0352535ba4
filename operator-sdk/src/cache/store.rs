//! The cache of one kind: objects by key, an index by controlling owner (or none), and how far it has read.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use tracing::error;

use super::read::{Read, Unreadable};
use crate::{
    client::Mark,
    error::{Error, Result},
    object::{Key, Object, Revision, Uid, controller_of, revision_of},
};

/// One object came, changed or went.
#[derive(Clone, Debug)]
pub struct Change<K> {
    /// Which object.
    pub key: Key,
    /// What the cache held before; `None` also if that could not be read.
    pub old: Option<Arc<K>>,
    /// What it holds now; `None` after a deletion, and also if what is there now cannot be read.
    pub new: Option<Arc<K>>,
    /// The metadata of the side, or of both sides, that cannot be read.
    pub unreadable: Vec<ObjectMeta>,
}

impl<K: Object> Change<K> {
    /// The metadata of both sides, as far as there are any.
    pub fn metadata(&self) -> impl Iterator<Item = &ObjectMeta> {
        let sides = [self.old.as_deref(), self.new.as_deref()];
        sides.into_iter().flatten().map(K::meta).chain(&self.unreadable)
    }

    /// The mark of the write that caused it, as far as that can be told.
    pub fn mark(&self) -> Option<Mark> {
        let was_terminating = self.old.as_ref().is_some_and(|old| old.is_terminating());
        match &self.new {
            Some(new) if new.is_terminating() && !was_terminating => new.uid_of().map(Mark::Deletion),
            Some(new) => new.revision().map(Mark::Revision),
            // What had been terminating for a while is gone at last: that is news for whoever deleted it, too.
            None if was_terminating => None,
            None => self.old.as_ref().filter(|_| self.unreadable.is_empty())?.uid_of().map(Mark::Deletion),
        }
    }
}

/// What is known of one object.
#[derive(Clone, Debug)]
enum Slot<K: Object> {
    Whole(Arc<K>),
    Unreadable(Arc<Unreadable<K>>),
}

impl<K: Object> Slot<K> {
    fn metadata(&self) -> &ObjectMeta {
        match self {
            Self::Whole(object) => object.meta(),
            Self::Unreadable(unreadable) => &unreadable.metadata.metadata,
        }
    }

    fn revision(&self) -> Option<Revision> {
        revision_of(self.metadata())
    }

    fn whole(&self) -> Option<&Arc<K>> {
        match self {
            Self::Whole(object) => Some(object),
            Self::Unreadable(_) => None,
        }
    }

    /// The object, or an error that names it and what is wrong with it.
    fn object(&self) -> Result<Arc<K>> {
        match self {
            Self::Whole(object) => Ok(Arc::clone(object)),
            Self::Unreadable(unreadable) => Err(Error::Unreadable {
                kind: K::kind(&()).into_owned(),
                key: unreadable.metadata.key(),
                problem: unreadable.problem.clone(),
            }),
        }
    }
}

#[derive(Debug)]
pub(super) struct Store<K: Object> {
    slots: BTreeMap<Key, Slot<K>>,
    by_controller: BTreeMap<Uid, BTreeSet<Key>>,
    /// Those that nobody controls; sorted, so those of a namespace stand together.
    orphans: BTreeSet<Key>,
    /// How many of the slots cannot be read: asked every second, so it is counted as they come and go.
    unreadable: usize,
    revision: Revision,
}

impl<K: Object> Default for Store<K> {
    fn default() -> Self {
        Self {
            slots: BTreeMap::new(),
            by_controller: BTreeMap::new(),
            orphans: BTreeSet::new(),
            unreadable: 0,
            revision: Revision::default(),
        }
    }
}

impl<K: Object> Store<K> {
    pub(super) fn get(&self, key: &Key) -> Result<Option<Arc<K>>> {
        self.slots.get(key).map(Slot::object).transpose()
    }

    /// The metadata of an object, readable or not.
    pub(super) fn metadata(&self, key: &Key) -> Option<&ObjectMeta> {
        self.slots.get(key).map(Slot::metadata)
    }

    /// All objects that `owner` controls, or an error if one of them cannot be read: who counts the others must not
    /// take it for deleted.
    pub(super) fn controlled_by(&self, owner: &Uid) -> Result<Vec<Arc<K>>> {
        let keys = self.by_controller.get(owner).into_iter().flatten();
        keys.filter_map(|key| self.get(key).transpose()).collect()
    }

    /// All readable objects of a namespace (`None`: those of the cluster).
    pub(super) fn in_namespace(&self, namespace: Option<&str>) -> impl Iterator<Item = &Arc<K>> {
        let slots = self.slots.range(first_of(namespace)..).map(|(key, slot)| (key.namespace.as_deref(), slot));
        slots.take_while(move |(held, _)| *held == namespace).filter_map(|(_, slot)| slot.whole())
    }

    /// The readable objects of a namespace that nobody controls. One that cannot be read is nobody's loss.
    pub(super) fn orphans(&self, namespace: Option<&str>) -> impl Iterator<Item = &Arc<K>> {
        let keys =
            self.orphans.range(first_of(namespace)..).take_while(move |key| key.namespace.as_deref() == namespace);
        keys.filter_map(|key| self.slots.get(key)?.whole())
    }

    /// How many objects there are that cannot be read.
    pub(super) fn unreadable(&self) -> usize {
        self.unreadable
    }

    /// The newest revision of this kind that the cache has read: everything up to it is visible.
    pub(super) fn revision(&self) -> Revision {
        self.revision
    }

    pub(super) fn existing(&self) -> impl Iterator<Item = Change<K>> {
        self.slots.iter().map(|(key, slot)| change(key, None, Some(slot)))
    }

    /// Takes in an object of a watch event. An older copy than the one here is dropped (the view went back in time).
    pub(super) fn upsert(&mut self, read: Read<K>) -> Option<Change<K>> {
        let key = read.key();
        let slot = match read {
            Read::Whole(object) => Slot::Whole(object),
            Read::Unreadable(unreadable) => Slot::Unreadable(unreadable),
        };
        self.advance(slot.revision());
        if self.slots.get(&key).is_some_and(|held| held.revision() >= slot.revision()) {
            return None;
        }
        if let Slot::Unreadable(unreadable) = &slot {
            error!(resource = %K::plural(&()), object = %key, problem = %unreadable.problem,
                "an object cannot be read, and is left out until it is corrected");
        }
        Some(self.replace(key, Some(slot)))
    }

    /// Takes in a deletion. The event carries the revision of the deletion itself.
    pub(super) fn remove(&mut self, read: &Read<K>) -> Option<Change<K>> {
        let (key, revision) = (read.key(), revision_of(read.meta()));
        self.advance(revision);
        let held = self.slots.get(&key)?;
        // A deletion that is older than what is here concerns a former object of that name.
        let concerns = held.revision() <= revision || held.metadata().uid == read.meta().uid;
        concerns.then(|| self.replace(key, None))
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
        let gone: Vec<Key> = self.slots.keys().filter(|key| !keys.contains(*key)).cloned().collect();
        let mut changes: Vec<_> = gone.into_iter().map(|key| self.replace(key, None)).collect();
        changes.extend(list.into_iter().filter_map(|read| self.upsert(read)));
        self.advance(Some(revision));
        Ok(changes)
    }

    /// Notes how far the server says this watch has come.
    pub(super) fn advance(&mut self, revision: Option<Revision>) {
        self.revision = self.revision.max(revision.unwrap_or_default());
    }

    fn replace(&mut self, key: Key, new: Option<Slot<K>>) -> Change<K> {
        let old = match &new {
            Some(slot) => self.slots.insert(key.clone(), slot.clone()),
            None => self.slots.remove(&key),
        };
        let count = |slot: &Option<Slot<K>>| usize::from(matches!(slot, Some(Slot::Unreadable(_))));
        self.unreadable = self.unreadable + count(&new) - count(&old);
        self.orphans.remove(&key);
        if let Some(owner) = old.as_ref().and_then(controller_uid)
            && let Some(keys) = self.by_controller.get_mut(&owner)
        {
            keys.remove(&key);
            if keys.is_empty() {
                self.by_controller.remove(&owner);
            }
        }
        match new.as_ref().map(controller_uid) {
            None => {}
            Some(None) => {
                self.orphans.insert(key.clone());
            }
            Some(Some(owner)) => {
                self.by_controller.entry(owner).or_default().insert(key.clone());
            }
        }
        change(&key, old.as_ref(), new.as_ref())
    }
}

fn change<K: Object>(key: &Key, old: Option<&Slot<K>>, new: Option<&Slot<K>>) -> Change<K> {
    let whole = |slot: &Slot<K>| slot.object().ok();
    let sides = [old, new].into_iter().flatten();
    let unreadable = sides.filter(|slot| matches!(slot, Slot::Unreadable(_))).map(|slot| slot.metadata().clone());
    Change { key: key.clone(), old: old.and_then(whole), new: new.and_then(whole), unreadable: unreadable.collect() }
}

/// What sorts before all keys of a namespace.
fn first_of(namespace: Option<&str>) -> Key {
    Key { namespace: namespace.map(str::to_owned), name: String::new() }
}

fn controller_uid<K: Object>(slot: &Slot<K>) -> Option<Uid> {
    controller_of(slot.metadata()).map(|owner| Uid::from(owner.uid.as_str()))
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

    fn whole(name: &str, uid: &str, revision: u64, owner: Option<&str>) -> Read<ConfigMap> {
        Read::whole(map(name, uid, revision, owner))
    }

    fn revision(number: u64) -> Revision {
        Revision::parse(&number.to_string()).unwrap()
    }

    #[test]
    fn an_older_copy_never_replaces_a_newer_one() {
        let mut store = Store::default();
        store.upsert(whole("a", "1", 5, None));
        assert!(store.upsert(whole("a", "1", 4, None)).is_none());
        assert!(store.replace_all(vec![whole("a", "1", 4, None)], revision(4)).is_err());
        assert_eq!(store.get(&Key::namespaced("default", "a")).unwrap().unwrap().revision(), Some(revision(5)));
    }

    #[test]
    fn a_relist_reports_what_was_deleted_in_the_gap() {
        let mut store = Store::default();
        store.upsert(whole("a", "1", 1, None));
        store.upsert(whole("b", "2", 2, None));
        let changes = store.replace_all(vec![whole("b", "2", 2, None)], revision(9)).unwrap();
        assert_eq!(changes.len(), 1);
        assert_eq!(changes[0].key.name, "a");
        assert!(changes[0].new.is_none());
        assert_eq!(store.revision(), revision(9));
    }

    #[test]
    fn a_late_deletion_does_not_take_a_new_object_of_the_same_name() {
        let mut store = Store::default();
        store.upsert(whole("a", "new", 7, None));
        assert!(store.remove(&whole("a", "old", 6, None)).is_none());
        assert!(store.remove(&whole("a", "new", 8, None)).is_some());
    }

    #[test]
    fn the_index_follows_a_change_of_owner() {
        let mut store = Store::default();
        store.upsert(whole("a", "1", 1, Some("x")));
        store.upsert(whole("b", "2", 2, Some("x")));
        store.upsert(whole("a", "1", 3, Some("y")));
        let names = |owner: &str| -> Vec<String> {
            store.controlled_by(&Uid::from(owner)).unwrap().iter().map(|object| object.key().name).collect()
        };
        assert_eq!(names("x"), ["b"]);
        assert_eq!(names("y"), ["a"]);
    }

    #[test]
    fn the_objects_of_a_namespace_and_the_orphans_among_them_stand_together() {
        let mut store = Store::default();
        let in_namespace = |namespace: &str, name: &str, revision: u64, owner: Option<&str>| {
            let mut map = map(name, name, revision, owner);
            map.metadata.namespace = Some(namespace.to_owned());
            Read::whole(map)
        };
        for (revision, (namespace, name, owner)) in (1..).zip([
            ("a", "z", None),
            ("b", "free", None),
            ("b", "kept", Some("x")),
            ("b", "lost", None),
            ("c", "a", None),
        ]) {
            store.upsert(in_namespace(namespace, name, revision, owner));
        }
        let orphans = |store: &Store<ConfigMap>| -> Vec<String> {
            store.orphans(Some("b")).map(|object| object.key().name).collect()
        };
        assert_eq!(orphans(&store), ["free", "lost"]);
        store.upsert(in_namespace("b", "free", 10, Some("x")));
        store.upsert(in_namespace("b", "kept", 11, None));
        assert_eq!(orphans(&store), ["kept", "lost"]);
        store.remove(&whole("lost", "lost", 12, None));
        assert_eq!(store.in_namespace(Some("b")).count(), 3);
        store.remove(&in_namespace("b", "lost", 12, None));
        assert_eq!(orphans(&store), ["kept"]);
        assert_eq!(store.in_namespace(Some("b")).count(), 2);
    }

    fn unreadable(name: &str, revision: u64, owner: &str) -> Read<ConfigMap> {
        let mut metadata = map(name, name, revision, Some(owner)).metadata;
        let metadata = std::mem::take(&mut metadata).into_response_partial();
        Read::Unreadable(Arc::new(Unreadable { metadata, problem: "spec.port: too large".to_owned() }))
    }

    /// The uids of the owners that a change concerns.
    fn owners(change: Option<Change<ConfigMap>>) -> Vec<String> {
        change.unwrap().metadata().filter_map(controller_of).map(|owner| owner.uid.clone()).collect()
    }

    #[test]
    fn what_cannot_be_read_is_not_taken_for_deleted_by_its_owner() {
        let mut store = Store::default();
        let key = Key::namespaced("default", "a");
        store.upsert(whole("a", "a", 1, Some("x")));
        store.upsert(whole("b", "b", 2, Some("y")));
        assert_eq!(owners(store.upsert(unreadable("a", 3, "x"))), ["x", "x"]);
        for error in [store.controlled_by(&Uid::from("x")).unwrap_err(), store.get(&key).unwrap_err()] {
            let error = error.to_string();
            assert!(error.contains("default/a") && error.contains("spec.port: too large"), "{error}");
        }
        assert_eq!(store.controlled_by(&Uid::from("y")).unwrap().len(), 1);
        assert_eq!((store.revision(), store.unreadable()), (revision(3), 1));

        assert!(store.upsert(whole("a", "a", 2, Some("x"))).is_none(), "an older copy came back");
        assert_eq!(owners(store.upsert(whole("a", "a", 4, Some("x")))), ["x", "x"]);
        assert_eq!(store.controlled_by(&Uid::from("x")).unwrap().len(), 1);
        assert_eq!(store.unreadable(), 0);
    }

    #[test]
    fn the_owner_hears_of_what_cannot_be_read_when_it_comes_and_when_it_goes() {
        let mut store = Store::default();
        assert_eq!(owners(store.upsert(unreadable("a", 3, "x"))), ["x"]);
        assert_eq!(owners(store.remove(&whole("a", "a", 4, None))), ["x"]);
        assert!(store.controlled_by(&Uid::from("x")).is_ok());
        store.upsert(unreadable("a", 5, "x"));
        assert_eq!(owners(store.replace_all(vec![], revision(6)).unwrap().pop()), ["x"]);
        assert!(store.controlled_by(&Uid::from("x")).is_ok());
    }
}
