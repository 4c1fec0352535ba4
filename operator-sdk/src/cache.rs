//! Watches and the caches that they fill.
//!
//! A [`Watch`] is a typed handle: one kind, one cache, one stream of changes, shared by everybody who holds the handle.
//! It may be created before there is a client; [`AnyWatch::run`] then lists and watches until it is cancelled. Reads are
//! sorted by key, so that no decision depends on the order of a hash map. Objects are held without their `managedFields`.

mod event;
mod read;
mod reflector;
mod store;

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use read::Read;
pub use store::Change;
use store::Store;
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

use crate::{
    client::Written,
    error::Result,
    object::{Key, Object, Revision, Uid, controller_of, revision_of},
    permission::{Permission, Verb},
};

/// What watches of any kind can be asked; lets a controller hold several kinds in one list.
pub trait AnyWatch: Send + Sync {
    /// The plural name of the kind, as in `pods`.
    fn resource(&self) -> String;
    /// True once the first list has been stored.
    fn is_synced(&self) -> bool;
    /// True if the cache shows what was written or found, or something newer. `None` if the write concerns another kind.
    fn has_seen(&self, written: &Written) -> Option<bool>;
    /// Asks for a fresh, consistent list; returns its number for [`AnyWatch::relisted`].
    fn relist(&self) -> u64;
    /// True once the list of this number, or a later one, has been stored.
    fn relisted(&self, number: u64) -> bool;
    /// What running it needs.
    fn permissions(&self) -> Vec<Permission>;
    /// How it is getting on.
    fn health(&self) -> Health;
    /// Runs it on `client` until the future is dropped. It survives every failure but one.
    fn run(self: Arc<Self>, client: kube::Client) -> futures::future::BoxFuture<'static, WentBack>;
    /// Completes at the next change of what the methods above report.
    fn progress(&self) -> watch::Receiver<u64>;
}

/// How a watch is getting on.
#[derive(Clone, Debug)]
pub struct Health {
    /// Restarts since the process began.
    pub restarts: u64,
    /// Objects that exist but do not fit the type. They are left out of the cache, each by itself.
    pub unreadable: usize,
    /// `None` while all is well.
    pub trouble: Option<Trouble>,
}

/// A watch that fails, again and again.
#[derive(Clone, Debug)]
pub struct Trouble {
    /// How long it has been failing.
    pub lasts: Duration,
    /// The last failure.
    pub error: String,
}

/// The server's history is behind what this process has seen of it, for good: the cluster was restored from a backup.
/// Nothing that the process holds can be trusted any more; it has to begin anew.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the cluster was put back to an earlier state: its list of {resource} is at revision {listed}, and {held} has \
    been seen; start again to go on from there"
)]
pub struct WentBack {
    /// The plural name of the kind that was listed.
    pub resource: String,
    /// What the server is at.
    pub listed: Revision,
    /// What had been seen of it.
    pub held: Revision,
}

type Subscriber<K> = Box<dyn Fn(&Change<K>) + Send + Sync>;

/// A typed handle on the cache of one kind, over all namespaces; objects are there without their `managedFields`. Cheap to
/// clone.
pub struct Watch<K: Object> {
    shared: Arc<Shared<K>>,
}

/// The state behind all handles of a watch.
struct Shared<K: Object> {
    store: Mutex<Store<K>>,
    subscribers: Mutex<Vec<Subscriber<K>>>,
    is_synced: AtomicBool,
    lists_asked: AtomicU64,
    lists_stored: AtomicU64,
    restarts: AtomicU64,
    relist: Notify,
    /// The first failure in a row, and what the last one said.
    failing: Mutex<Option<(Instant, String)>>,
    progress: watch::Sender<u64>,
}

impl<K: Object> Clone for Watch<K> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<K: Object> fmt::Debug for Watch<K> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Watch").field(&K::plural(&())).finish()
    }
}

impl<K: Object> Default for Watch<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Object> Watch<K> {
    /// An empty cache that nobody fills yet.
    pub fn new() -> Self {
        Self {
            shared: Arc::new(Shared {
                store: Mutex::new(Store::default()),
                subscribers: Mutex::new(Vec::new()),
                is_synced: AtomicBool::new(false),
                lists_asked: AtomicU64::new(0),
                lists_stored: AtomicU64::new(0),
                restarts: AtomicU64::new(0),
                relist: Notify::new(),
                failing: Mutex::new(None),
                progress: watch::Sender::new(0),
            }),
        }
    }

    /// A cache that holds these objects and that nobody fills: for tests of code that reads.
    pub fn holding(objects: impl IntoIterator<Item = K>) -> Self {
        let watch = Self::new();
        watch.shared.with_store(|store| {
            for object in objects {
                store.upsert(Read::whole(object));
            }
        });
        watch
    }

    /// The object of this key as the cache has it.
    ///
    /// # Errors
    /// [`Error::Unreadable`](crate::Error::Unreadable) if it is there but does not fit its type.
    pub fn get(&self, key: &Key) -> Result<Option<Arc<K>>> {
        self.shared.with_store(|store| store.get(key))
    }

    /// All objects that the object of this uid controls, sorted by key.
    ///
    /// # Errors
    /// [`Error::Unreadable`](crate::Error::Unreadable) if one of them does not fit its type: whoever counts the others
    /// must not take it for deleted.
    pub fn controlled_by(&self, owner: &Uid) -> Result<Vec<Arc<K>>> {
        self.shared.with_store(|store| store.controlled_by(owner))
    }

    /// The object that controls the one of this metadata, if it is of this kind, and this very incarnation of it is here.
    pub fn controller_of(&self, child: &ObjectMeta) -> Option<Arc<K>> {
        let reference = controller_of(child)?;
        if reference.kind != K::kind(&()) || reference.api_version != K::api_version(&()) {
            return None;
        }
        let key = Key { namespace: child.namespace.clone(), name: reference.name.clone() };
        let owner = self.get(&key).ok()??;
        (owner.uid_of() == Some(Uid::from(reference.uid.as_str()))).then_some(owner)
    }

    /// All objects of the namespace of this metadata that nobody controls and `is_wanted` picks, sorted by key.
    pub fn orphans(&self, beside: &ObjectMeta, is_wanted: impl Fn(&K) -> bool) -> Vec<Arc<K>> {
        self.shared.with_store(|store| {
            let orphans = store.orphans(beside.namespace.as_deref());
            orphans.filter(|object| is_wanted(object)).cloned().collect()
        })
    }

    /// The keys of all readable objects of the namespace of this metadata that `is_wanted` picks, sorted.
    pub fn keys(&self, beside: &ObjectMeta, is_wanted: impl Fn(&K) -> bool) -> Vec<Key> {
        self.shared.with_store(|store| {
            let objects = store.in_namespace(beside.namespace.as_deref());
            objects.filter(|object| is_wanted(object)).map(|object| object.key()).collect()
        })
    }

    /// Calls `subscriber` for every change from now on, and once for every object already there.
    ///
    /// It runs on the watch's own task and must not block.
    pub fn subscribe(&self, subscriber: impl Fn(&Change<K>) + Send + Sync + 'static) {
        // The lock on the store is held meanwhile, so that no change falls between the two.
        self.shared.with_store(|store| {
            store.existing().for_each(|change| subscriber(&change));
            self.shared.subscribers().push(Box::new(subscriber));
        });
    }

    /// This watch without its type.
    pub fn erased(&self) -> Arc<dyn AnyWatch> {
        Arc::clone(&self.shared) as Arc<dyn AnyWatch>
    }
}

impl<K: Object> Shared<K> {
    fn with_store<T>(&self, read: impl FnOnce(&mut Store<K>) -> T) -> T {
        // The store is whole after every operation, so a panic elsewhere does not spoil it.
        let mut store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        read(&mut store)
    }

    fn subscribers(&self) -> std::sync::MutexGuard<'_, Vec<Subscriber<K>>> {
        self.subscribers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores what the server said, and tells the subscribers before anybody can see a later state.
    fn apply<C: IntoIterator<Item = Change<K>>>(&self, update: impl FnOnce(&mut Store<K>) -> C) {
        self.with_store(|store| {
            let changes = update(store);
            let subscribers = self.subscribers();
            for change in changes {
                subscribers.iter().for_each(|subscriber| subscriber(&change));
            }
        });
        self.made_progress();
    }

    fn made_progress(&self) {
        self.progress.send_modify(|count| *count += 1);
    }

    fn failing(&self) -> std::sync::MutexGuard<'_, Option<(Instant, String)>> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_failure(&self, error: &str) {
        {
            let mut failing = self.failing();
            let since = failing.take().map_or_else(Instant::now, |(since, _)| since);
            *failing = Some((since, error.to_owned()));
        }
        self.made_progress();
    }

    fn note_success(&self) {
        if self.failing().take().is_some() {
            self.made_progress();
        }
    }

    fn list_stored(&self, number: u64) {
        self.lists_stored.store(number, Ordering::SeqCst);
        self.is_synced.store(true, Ordering::SeqCst);
        self.made_progress();
    }
}

impl<K: Object> AnyWatch for Shared<K> {
    fn resource(&self) -> String {
        K::plural(&()).into_owned()
    }

    fn is_synced(&self) -> bool {
        self.is_synced.load(Ordering::SeqCst)
    }

    fn has_seen(&self, written: &Written) -> Option<bool> {
        if !written.is_of::<K>() {
            return None;
        }
        Some(self.with_store(|store| match written {
            Written::Revision { revision, .. } => store.revision() >= *revision,
            Written::Deleted { key, uid, .. } => store.metadata(key).is_none_or(|metadata| {
                metadata.uid.as_deref() != Some(uid.as_str()) || metadata.deletion_timestamp.is_some()
            }),
            Written::Outdated { key, revision, .. } => {
                store.metadata(key).and_then(revision_of).is_none_or(|held| held > *revision)
            }
            Written::Unknown { .. } => false,
        }))
    }

    fn relist(&self) -> u64 {
        let number = self.lists_asked.fetch_add(1, Ordering::SeqCst) + 1;
        self.relist.notify_one();
        number
    }

    fn relisted(&self, number: u64) -> bool {
        self.lists_stored.load(Ordering::SeqCst) >= number
    }

    fn permissions(&self) -> Vec<Permission> {
        vec![Permission::of::<K>(Verb::List), Permission::of::<K>(Verb::Watch)]
    }

    fn health(&self) -> Health {
        let trouble = |(since, error): &(Instant, String)| Trouble { lasts: since.elapsed(), error: error.clone() };
        Health {
            restarts: self.restarts.load(Ordering::Relaxed),
            unreadable: self.with_store(|store| store.unreadable()),
            trouble: self.failing().as_ref().map(trouble),
        }
    }

    fn run(self: Arc<Self>, client: kube::Client) -> futures::future::BoxFuture<'static, WentBack> {
        Box::pin(reflector::run(self, client))
    }

    fn progress(&self) -> watch::Receiver<u64> {
        self.progress.subscribe()
    }
}

/// The newest revision that a list response stands for.
fn list_revision(resource_version: Option<&str>) -> Revision {
    resource_version.and_then(Revision::parse).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::any::TypeId;

    use k8s_openapi::{
        api::core::v1::{ConfigMap, Pod},
        apimachinery::pkg::apis::meta::v1::OwnerReference,
    };

    use super::*;

    #[test]
    fn that_a_write_was_outdated_is_known_once_there_is_a_later_version_or_none() {
        let at = |revision: &str| ConfigMap {
            metadata: ObjectMeta {
                name: Some("web".to_owned()),
                namespace: Some("default".to_owned()),
                resource_version: Some(revision.to_owned()),
                ..ObjectMeta::default()
            },
            ..ConfigMap::default()
        };
        let outdated = Written::Outdated {
            kind: TypeId::of::<ConfigMap>(),
            key: at("5").key(),
            revision: Revision::parse("5").unwrap(),
        };
        let is_known = |held: Option<&str>| Watch::holding(held.map(at)).erased().has_seen(&outdated);
        assert_eq!(is_known(Some("4")), Some(false), "not even what the write was based on");
        assert_eq!(is_known(Some("5")), Some(false));
        assert_eq!(is_known(Some("6")), Some(true));
        assert_eq!(is_known(None), Some(true));
        assert_eq!(Watch::<Pod>::new().erased().has_seen(&outdated), None, "a kind that this cache does not hold");
    }

    #[test]
    fn only_this_very_incarnation_of_a_controller_is_found() {
        let metadata = ObjectMeta {
            name: Some("web".to_owned()),
            namespace: Some("default".to_owned()),
            uid: Some("u".to_owned()),
            resource_version: Some("1".to_owned()),
            ..ObjectMeta::default()
        };
        let maps = Watch::holding([ConfigMap { metadata: metadata.clone(), ..ConfigMap::default() }]);
        let child = |kind: &str, uid: &str, controller| ObjectMeta {
            namespace: Some("default".to_owned()),
            owner_references: Some(vec![OwnerReference {
                api_version: "v1".to_owned(),
                kind: kind.to_owned(),
                name: "web".to_owned(),
                uid: uid.to_owned(),
                controller: Some(controller),
                ..OwnerReference::default()
            }]),
            ..ObjectMeta::default()
        };
        assert!(maps.controller_of(&child("ConfigMap", "u", true)).is_some());
        assert!(maps.controller_of(&child("ConfigMap", "former", true)).is_none());
        assert!(maps.controller_of(&child("Secret", "u", true)).is_none());
        assert!(maps.controller_of(&child("ConfigMap", "u", false)).is_none());
        let elsewhere = ObjectMeta { namespace: Some("other".to_owned()), ..child("ConfigMap", "u", true) };
        assert!(maps.controller_of(&elsewhere).is_none());
        assert!(Watch::<Pod>::holding([]).controller_of(&child("Pod", "u", true)).is_none());
    }
}
