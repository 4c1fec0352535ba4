//! What every controller here is built from, and does right: caches that follow the server, a queue, back-off.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::{StreamExt, future::BoxFuture, pin_mut};
use kube::{
    Api, Client, Resource,
    api::{ListParams, WatchEvent, WatchParams},
};
use operator_testkit::simulation::Environment;
use serde::de::DeserializeOwned;
use tokio::{
    sync::{
        mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
        watch,
    },
    time::{Instant, sleep, sleep_until, timeout},
};

use crate::model::LABEL;

/// Events that come together are looked at together.
const COALESCED: Duration = Duration::from_millis(100);
/// So long may a request take, and, by default, everything that is done for one key.
const PATIENCE: Duration = Duration::from_secs(10);
/// The server ends a watch after so long; a little later it counts as broken.
const WATCH_SECONDS: u32 = 290;
/// Failures are tried again after a second, and then later and later, up to this.
const BACK_OFF_MAX: Duration = Duration::from_secs(300);

/// What comes of a reconcile: when to look again without having heard of anything.
pub(crate) type Outcome = kube::Result<Option<Duration>>;

/// Lists and watches of a process, and whom they tell.
pub(crate) struct Controller {
    pub(crate) client: Client,
    sender: UnboundedSender<Told>,
    told: UnboundedReceiver<Told>,
    following: Vec<BoxFuture<'static, ()>>,
    unsynced: Arc<watch::Sender<usize>>,
    /// What is done for one key is given up after so long.
    pub(crate) patience: Duration,
}

/// An object was changed or is gone.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    /// As in `Database`.
    pub(crate) kind: String,
    /// The name of the Database that it is, or belongs to.
    pub(crate) database: String,
    pub(crate) is_gone: bool,
}

/// The objects of a kind as they were when last heard of, by name.
pub(crate) struct Cache<K>(Arc<Mutex<BTreeMap<String, K>>>);

/// From where a cache takes what was before its watch.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Lists {
    /// What is.
    Newest,
    /// What some API server remembers, as client-go does by default.
    Any,
}

impl<K: Clone> Cache<K> {
    pub(crate) fn get(&self, name: &str) -> Option<K> {
        self.0.lock().unwrap().get(name).cloned()
    }

    pub(crate) fn list(&self) -> Vec<K> {
        self.0.lock().unwrap().values().cloned().collect()
    }
}

impl Controller {
    pub(crate) fn new(environment: &Environment) -> Self {
        let (sender, told) = unbounded_channel();
        let client = environment.client();
        Self { client, sender, told, following: Vec::new(), unsynced: Arc::default(), patience: PATIENCE }
    }

    pub(crate) fn namespaced<K>(&mut self) -> Cache<K>
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope> + Kind,
    {
        self.follow(Api::default_namespaced(self.client.clone()), Lists::Newest)
    }

    pub(crate) fn follow<K: Resource<DynamicType = ()> + Kind>(&mut self, api: Api<K>, lists: Lists) -> Cache<K> {
        let cache = Arc::<Mutex<BTreeMap<String, K>>>::default();
        let follower = Follower { api, lists, cache: Arc::clone(&cache), sender: self.sender.clone() };
        self.unsynced.send_modify(|count| *count += 1);
        self.following.push(Box::pin(follower.run(Arc::clone(&self.unsynced))));
        Cache(cache)
    }

    /// Has each Database looked at whenever it, or what belongs to it, has changed, and after failures again.
    pub(crate) async fn reconcile<F>(self, reconcile: impl Fn(String) -> F) -> Result<(), String>
    where
        F: Future<Output = Outcome>,
    {
        let Self { mut told, following, unsynced, patience, .. } = self;
        let work = async {
            let mut syncing = unsynced.subscribe();
            // Its sender is at hand.
            let _ = syncing.wait_for(|count| *count == 0).await;
            let mut due: BTreeMap<String, Instant> = BTreeMap::new();
            let mut failures: BTreeMap<String, u32> = BTreeMap::new();
            loop {
                let next = due.iter().min_by_key(|(_, due)| **due).map(|(name, due)| (name.clone(), *due));
                let wakes = next.as_ref().map_or(Instant::now() + BACK_OFF_MAX, |(_, due)| *due);
                tokio::select! {
                    biased;
                    Some(told) = told.recv() => {
                        let soon = Instant::now() + COALESCED;
                        due.entry(told.database).and_modify(|due| *due = soon.min(*due)).or_insert(soon);
                    }
                    () = sleep_until(wakes) => {
                        let Some((name, _)) = next else { continue };
                        due.remove(&name);
                        let again = match timeout(patience, reconcile(name.clone())).await {
                            Ok(Ok(again)) => {
                                failures.remove(&name);
                                again
                            }
                            failed => {
                                tracing::warn!(?failed, name, "failed");
                                let count = failures.entry(name.clone()).or_default();
                                *count += 1;
                                Some(Duration::from_secs(1 << (*count - 1).min(9)).min(BACK_OFF_MAX))
                            }
                        };
                        if let Some(after) = again {
                            due.insert(name, Instant::now() + after);
                        }
                    }
                }
            }
        };
        let ((), ()) = futures::join!(work, all(following));
        Ok(())
    }

    /// Has somebody told of every event as it comes.
    pub(crate) async fn on_each<F: Future<Output = ()>>(self, act: impl Fn(Told) -> F) {
        let Self { mut told, following, .. } = self;
        let work = async {
            while let Some(told) = told.recv().await {
                act(told).await;
            }
        };
        let ((), ()) = futures::join!(work, all(following));
    }
}

/// What a cache can hold.
pub(crate) trait Kind: Clone + Debug + DeserializeOwned + Send + 'static {}
impl<K: Clone + Debug + DeserializeOwned + Send + 'static> Kind for K {}

struct Follower<K> {
    api: Api<K>,
    lists: Lists,
    cache: Arc<Mutex<BTreeMap<String, K>>>,
    sender: UnboundedSender<Told>,
}

impl<K: Resource<DynamicType = ()> + Kind> Follower<K> {
    async fn run(self, unsynced: Arc<watch::Sender<usize>>) {
        let mut is_synced = false;
        loop {
            let params = ListParams::default();
            let params = if self.lists == Lists::Any { params.match_any() } else { params };
            match timeout(PATIENCE, self.api.list(&params)).await {
                Ok(Ok(list)) => {
                    let revision = list.metadata.resource_version.unwrap_or_default();
                    self.replace(list.items);
                    if !std::mem::replace(&mut is_synced, true) {
                        unsynced.send_modify(|count| *count -= 1);
                    }
                    self.watch(revision).await;
                }
                failed => tracing::warn!(?failed, "failed to list"),
            }
            sleep(Duration::from_secs(1)).await;
        }
    }

    fn replace(&self, items: Vec<K>) {
        let new: BTreeMap<String, K> = items.into_iter().map(|item| (name(&item), item)).collect();
        let old = std::mem::replace(&mut *self.cache.lock().unwrap(), new.clone());
        old.values().filter(|old| !new.contains_key(&name(*old))).for_each(|gone| self.tell(gone, true));
        new.values().for_each(|held| self.tell(held, false));
    }

    /// Takes in events until there are none.
    async fn watch(&self, revision: String) {
        let params = WatchParams::default().timeout(WATCH_SECONDS);
        let Ok(Ok(events)) = timeout(PATIENCE, self.api.watch(&params, &revision)).await else { return };
        pin_mut!(events);
        let idle = Duration::from_secs(u64::from(WATCH_SECONDS) + 5);
        while let Ok(Some(Ok(event))) = timeout(idle, events.next()).await {
            match event {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                    self.cache.lock().unwrap().insert(name(&object), object.clone());
                    self.tell(&object, false);
                }
                WatchEvent::Deleted(object) => {
                    self.cache.lock().unwrap().remove(&name(&object));
                    self.tell(&object, true);
                }
                WatchEvent::Bookmark(_) => {}
                WatchEvent::Error(_) => return,
            }
        }
    }

    fn tell(&self, object: &K, is_gone: bool) {
        let label = object.meta().labels.iter().flatten().find(|(label, _)| *label == LABEL);
        let database = label.map_or_else(|| name(object), |(_, name)| name.clone());
        let told = Told { kind: K::kind(&()).into_owned(), database, is_gone };
        // It is heard of until the process ends.
        let _ = self.sender.send(told);
    }
}

fn name<K: Resource>(object: &K) -> String {
    object.meta().name.clone().unwrap_or_default()
}

async fn all(following: Vec<BoxFuture<'static, ()>>) {
    futures::future::join_all(following).await;
}
