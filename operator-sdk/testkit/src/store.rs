//! What the server stores: every object under one strictly increasing revision for all kinds, and the commits that led
//! there, so that any revision still in history can be read again.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    ops::Bound,
    sync::Arc,
};

use jiff::Timestamp;
use serde_json::Value;

use crate::object::Object;

/// How many commits of a collection stay in history whatever their age, as in the ring of a real watch cache.
pub const KEPT_COMMITS: usize = 100;

/// All objects, and the commits of the time that is not compacted yet.
#[derive(Clone, Debug, Default)]
pub struct Store {
    revision: u64,
    /// Reads of a revision below this one are refused.
    compacted: u64,
    log: VecDeque<Arc<Commit>>,
    tables: BTreeMap<Collection, Table>,
}

/// What one kind is stored under, whatever its version.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Collection {
    /// Empty for the core group.
    pub group: Arc<str>,
    /// As in `deployments`.
    pub plural: Arc<str>,
}

/// Where an object lies in its collection; ordered as etcd orders `<namespace>/<name>`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    path: Arc<str>,
    name_start: usize,
}

/// One write.
#[derive(Debug)]
pub struct Commit {
    /// The revision that it made.
    pub revision: u64,
    /// When.
    pub time: Timestamp,
    /// Of which kind.
    pub collection: Collection,
    /// Which object.
    pub key: Key,
    /// What was done to it.
    pub change: Change,
    /// The object before.
    pub before: Option<Arc<Object>>,
    /// The object after; of a deletion its last state with the deletion's revision.
    pub after: Arc<Object>,
    /// The id of the request that caused it; 0: people did, whom no process stands for.
    pub request: u64,
}

/// What a write did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Change {
    Created,
    Updated,
    Deleted,
}

/// A write to be made.
#[derive(Debug)]
pub struct Write {
    /// When.
    pub time: Timestamp,
    /// Of which kind.
    pub collection: Collection,
    /// Which object.
    pub key: Key,
    /// What to do.
    pub change: Change,
    /// The object; its resourceVersion is set here.
    pub object: Value,
    /// The id of the request that causes it.
    pub request: u64,
}

#[derive(Clone, Debug, Default)]
struct Table {
    objects: BTreeMap<Key, Arc<Object>>,
    history: VecDeque<Arc<Commit>>,
    /// The revision of the last commit that is in history no more.
    forgotten: u64,
}

impl Collection {
    /// Names a collection.
    pub fn new(group: &str, plural: &str) -> Self {
        Self { group: group.into(), plural: plural.into() }
    }

    /// Leases and Events: what processes tell of themselves, which is no part of what they are to bring about.
    pub(crate) fn is_chatter(&self) -> bool {
        self.is_leases() || matches!((&*self.group, &*self.plural), ("" | "events.k8s.io", "events"))
    }

    pub(crate) fn is_leases(&self) -> bool {
        (&*self.group, &*self.plural) == ("coordination.k8s.io", "leases")
    }
}

impl Key {
    /// The key of an object; of cluster-wide ones the namespace is empty.
    pub fn new(namespace: &str, name: &str) -> Self {
        if namespace.is_empty() {
            return Self { path: name.into(), name_start: 0 };
        }
        Self { path: format!("{namespace}/{name}").into(), name_start: namespace.len() + 1 }
    }

    /// The namespace; empty for a cluster-wide object.
    pub fn namespace(&self) -> &str {
        &self.path[..self.name_start.saturating_sub(1)]
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.path[self.name_start..]
    }

    fn is_in(&self, namespace: Option<&str>) -> bool {
        namespace.is_none_or(|namespace| self.namespace() == namespace)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.path)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.path)
    }
}

impl Store {
    /// The revision of the last commit.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The oldest revision that may still be read.
    pub fn compacted(&self) -> u64 {
        self.compacted
    }

    /// An object as it is now.
    pub fn get(&self, collection: &Collection, key: &Key) -> Option<&Arc<Object>> {
        self.tables.get(collection)?.objects.get(key)
    }

    /// An object as it was.
    pub fn get_at(&self, collection: &Collection, key: &Key, revision: u64) -> Option<&Arc<Object>> {
        let table = self.tables.get(collection)?;
        match table.since(revision).find(|commit| commit.key == *key) {
            Some(later) => later.before.as_ref(),
            None => table.objects.get(key),
        }
    }

    /// The objects of a collection, or of one namespace of it, as they are now, by key.
    pub fn list<'a>(
        &'a self,
        collection: &Collection,
        namespace: Option<&'a str>,
    ) -> impl Iterator<Item = (&'a Key, &'a Arc<Object>)> {
        let table = self.tables.get(collection);
        let start = namespace.map_or(Bound::Unbounded, |namespace| Bound::Included(Key::new(namespace, "")));
        table
            .into_iter()
            .flat_map(move |table| table.objects.range((start.clone(), Bound::Unbounded)))
            .take_while(move |(key, _)| key.is_in(namespace))
    }

    /// The same as it was at a revision.
    pub fn list_at(&self, collection: &Collection, namespace: Option<&str>, revision: u64) -> Vec<Arc<Object>> {
        let undone = self.undone(collection, namespace, revision);
        if undone.is_empty() {
            return self.list(collection, namespace).map(|(_, object)| object.clone()).collect();
        }
        let mut objects: BTreeMap<&Key, &Arc<Object>> = self.list(collection, namespace).collect();
        for (key, before) in undone {
            match before {
                Some(before) => objects.insert(key, before),
                None => objects.remove(key),
            };
        }
        objects.into_values().cloned().collect()
    }

    /// Every collection that holds or held objects.
    pub fn collections(&self) -> impl Iterator<Item = &Collection> {
        self.tables.keys()
    }

    /// The commits of all kinds after a revision, as far as they are in history.
    pub fn commits_after(&self, revision: u64) -> impl Iterator<Item = &Arc<Commit>> {
        let start = self.log.partition_point(|commit| commit.revision <= revision);
        self.log.range(start..)
    }

    /// The commits of one collection after a revision, as far as they are in history.
    pub fn since(&self, collection: &Collection, revision: u64) -> impl Iterator<Item = &Arc<Commit>> {
        self.tables.get(collection).into_iter().flat_map(move |table| table.since(revision))
    }

    /// The oldest revision from which every later commit of a collection is in history: those since `time`, and the last
    /// [`KEPT_COMMITS`] anyway if `keeps_last`.
    pub fn history_start(&self, collection: &Collection, time: Timestamp, keeps_last: bool) -> u64 {
        let Some(table) = self.tables.get(collection) else { return 0 };
        let old = table.history.partition_point(|commit| commit.time < time);
        let kept = if keeps_last { table.history.len().saturating_sub(KEPT_COMMITS) } else { old };
        match old.min(kept) {
            0 => table.forgotten,
            dropped => table.history[dropped - 1].revision,
        }
    }

    /// Whether a commit of a collection after a revision is in history no more.
    pub fn is_forgotten(&self, collection: &Collection, revision: u64) -> bool {
        self.tables.get(collection).is_some_and(|table| table.forgotten > revision)
    }

    /// The revision of the last commit of a collection.
    pub fn last_commit(&self, collection: &Collection) -> u64 {
        let last = self.tables.get(collection).and_then(|table| table.history.back());
        last.map_or(0, |commit| commit.revision)
    }

    /// Makes a write.
    pub fn commit(&mut self, write: Write) -> Arc<Commit> {
        self.revision += 1;
        let Write { time, collection, key, change, mut object, request } = write;
        object["metadata"]["resourceVersion"] = Value::String(self.revision.to_string());
        let after = Object::new(object);
        let table = self.tables.entry(collection.clone()).or_default();
        let before = match change {
            Change::Deleted => table.objects.remove(&key),
            _ => table.objects.insert(key.clone(), after.clone()),
        };
        let commit =
            Arc::new(Commit { revision: self.revision, time, collection, key, change, before, after, request });
        table.history.push_back(commit.clone());
        self.log.push_back(commit.clone());
        commit
    }

    /// From now on a collection has a history: what was before is not to be watched.
    pub fn begin_history(&mut self, collection: &Collection) {
        let table = self.tables.entry(collection.clone()).or_default();
        table.forgotten = table.forgotten.max(self.revision);
    }

    /// Reads every object of a collection anew, as after a change of its definition: no commit.
    pub fn reread(&mut self, collection: &Collection, read: impl Fn(&Object) -> Option<Value>) {
        let Some(table) = self.tables.get_mut(collection) else { return };
        for object in table.objects.values_mut() {
            if let Some(value) = read(object) {
                *object = Object::new(value);
            }
        }
    }

    /// Refuses reads below a revision from now on, and forgets what no reader above `floor` needs.
    pub fn compact(&mut self, revision: u64, floor: u64) {
        self.compacted = self.compacted.max(revision);
        let floor = floor.min(revision);
        while self.log.front().is_some_and(|commit| commit.revision <= floor) {
            self.log.pop_front();
        }
        for table in self.tables.values_mut() {
            while table.history.len() > KEPT_COMMITS && table.history[0].revision <= floor {
                table.forgotten = table.history.pop_front().map_or(table.forgotten, |commit| commit.revision);
            }
        }
    }

    /// What each object that changed after a revision was at it.
    fn undone(
        &self,
        collection: &Collection,
        namespace: Option<&str>,
        revision: u64,
    ) -> BTreeMap<&Key, Option<&Arc<Object>>> {
        let mut undone = BTreeMap::new();
        for commit in self.since(collection, revision).filter(|commit| commit.key.is_in(namespace)) {
            undone.entry(&commit.key).or_insert(commit.before.as_ref());
        }
        undone
    }
}

impl Table {
    fn since(&self, revision: u64) -> impl Iterator<Item = &Arc<Commit>> {
        let start = self.history.partition_point(|commit| commit.revision <= revision);
        self.history.range(start..)
    }
}
