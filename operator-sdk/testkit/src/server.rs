//! The API server as a state machine: a request and the time in, an answer out; no clock, no runtime, no randomness of its
//! own.

mod access;
mod admission;
mod create;
mod decode;
mod definition;
mod delete;
mod discovery;
mod eviction;
mod kinds;
mod list;
mod metadata_only;
mod namespace;
mod options;
mod patch;
mod route;
mod scale;
mod update;
mod validate;
mod watching;

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use serde_json::{Value, json};

pub use self::access::Access;
use self::{
    access::Permissions,
    kinds::Kinds,
    namespace::is_namespace,
    route::{Route, Target, Verb},
    watching::Watch,
};
pub use crate::request::{Answer, Body, List, Reply, Request, User};
use crate::{
    failure::Failure,
    object::Object,
    random::Random,
    request::READ_WAIT,
    resource::Resource,
    store::{Change, Collection, Commit, Key, Store, Write},
    view::{View, ViewId},
};

/// How often history is compacted, and how much of it is kept.
const COMPACTION_INTERVAL: Duration = Duration::from_secs(300);

/// Which watch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WatchId(u64);

/// The API server. One thread at a time uses it.
pub struct Server {
    store: Store,
    kinds: Kinds,
    views: BTreeMap<ViewId, View>,
    watches: BTreeMap<WatchId, Watch>,
    next_watch: u64,
    woken: Vec<WatchId>,
    random: Random,
    compaction: Compaction,
    observer: Option<Observer>,
    permissions: Permissions,
    /// Revisions of custom objects stored with empty labels or annotations, which an apply leaves and no reader is shown: the
    /// next write makes a revision even if it changes nothing else.
    hidden_empties: BTreeSet<u64>,
}

/// Called at every commit, with the store as it is then.
pub type Observer = Box<dyn FnMut(&Store, &Commit) + Send>;

/// When history was last compacted, and the revision at that time.
#[derive(Debug, Default)]
struct Compaction {
    next: Option<Timestamp>,
    revision: u64,
}

/// A request under way.
#[derive(Clone, Copy)]
struct Call<'a> {
    now: Timestamp,
    request: &'a Request,
    target: &'a Target,
}

impl fmt::Debug for Server {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Server").field("revision", &self.store.revision()).finish_non_exhaustive()
    }
}

impl Server {
    /// A server with the built-in kinds and the namespaces that are always there. The seed decides uids and generated names.
    pub fn new(seed: u64) -> Self {
        let mut server = Self::with(Store::default(), Kinds::built_in(), seed);
        server.make_namespaces();
        server
    }

    /// A server of its own with all that this one stores and serves; nobody watches it, and another seed decides what is to
    /// come. It costs no more than a copy of the index.
    #[must_use]
    pub fn fork(&self, seed: u64) -> Self {
        Self { hidden_empties: self.hidden_empties.clone(), ..Self::with(self.store.clone(), self.kinds.clone(), seed) }
    }

    fn with(store: Store, kinds: Kinds, seed: u64) -> Self {
        Self {
            views: BTreeMap::from([(ViewId::default(), View::new(store.revision()))]),
            store,
            kinds,
            watches: BTreeMap::new(),
            next_watch: 1,
            woken: Vec::new(),
            random: Random::new(seed),
            compaction: Compaction::default(),
            observer: None,
            permissions: Permissions::default(),
            hidden_empties: BTreeSet::new(),
        }
    }

    /// Serves one more kind.
    pub fn serve(&mut self, resource: Resource) {
        self.kinds.serve(resource);
    }

    /// The kind of this API version, as it stands in objects.
    pub fn resource(&self, api_version: &str, kind: &str) -> Option<&Resource> {
        let mut all = self.kinds.all();
        all.find(|served| served.api_version == api_version && served.resource.kind == kind)
            .map(|served| &served.resource)
    }

    /// What is stored.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Is told of every commit from now on.
    pub fn observe(&mut self, observer: Observer) {
        self.observer = Some(observer);
    }

    /// Answers a request. The same [`Request::received`] must be given when it is asked again after [`Answer::Wait`].
    pub fn handle(&mut self, now: Timestamp, request: &Request) -> Answer {
        self.compact(now);
        self.advance(now);
        let answer = self.answer(now, request).unwrap_or_else(|failure| Reply::from(failure).into());
        self.advance(now);
        let is_stripped =
            metadata_only::is_asked(request) && !matches!(answer, Answer::Reply(Reply { code: 300.., .. }));
        if is_stripped { metadata_only::strip(answer) } else { answer }
    }

    /// One more API server in front of the store.
    pub fn add_view(&mut self) -> ViewId {
        let id = ViewId(self.views.keys().next_back().map_or(0, |last| last.0 + 1));
        self.views.insert(id, View::new(self.store.revision()));
        id
    }

    /// What an API server has seen.
    pub fn view(&self, id: ViewId) -> Option<&View> {
        self.views.get(&id)
    }

    /// When a lagging API server sees something new; `None`: it has seen all, or is frozen.
    pub fn view_due(&self, id: ViewId) -> Option<Timestamp> {
        self.views.get(&id)?.next_due(&self.store)
    }

    /// From now on it sees nothing new.
    pub fn freeze(&mut self, id: ViewId) {
        self.change_view(id, |view| view.is_frozen = true);
    }

    /// From now on it sees all again.
    pub fn thaw(&mut self, id: ViewId, now: Timestamp) {
        self.change_view(id, |view| view.is_frozen = false);
        self.advance(now);
    }

    /// It sees a commit so long after it is made.
    pub fn set_lag(&mut self, id: ViewId, lag: Duration) {
        self.change_view(id, |view| view.lag = lag);
    }

    /// A frozen one sees so much more.
    pub fn advance_view(&mut self, id: ViewId, revision: u64) {
        let revision = revision.min(self.store.revision());
        self.change_view(id, |view| view.revision = view.revision.max(revision));
        self.wake_watches(Some(id));
    }

    /// It forgets all its history, as when it starts anew: watches from the past are answered with 410.
    pub fn forget_history(&mut self, id: ViewId) {
        self.change_view(id, |view| view.forgotten = view.revision);
    }

    /// Whether it keeps the last 100 events of a kind whatever their age, as the real one does.
    pub fn keep_last_events(&mut self, id: ViewId, keeps_last: bool) {
        self.change_view(id, |view| view.keeps_last = keeps_last);
    }

    /// Lets the views see what they are to see by now.
    pub fn advance(&mut self, now: Timestamp) {
        let mut is_new = false;
        for view in self.views.values_mut() {
            is_new |= view.advance(&self.store, now);
        }
        if is_new {
            self.wake_watches(None);
        }
    }

    /// The watches that may have something to say since the last call.
    pub fn take_woken(&mut self) -> Vec<WatchId> {
        std::mem::take(&mut self.woken)
    }

    fn change_view(&mut self, id: ViewId, change: impl FnOnce(&mut View)) {
        if let Some(view) = self.views.get_mut(&id) {
            change(view);
        }
    }

    fn compact(&mut self, now: Timestamp) {
        if self.compaction.next.is_some_and(|next| now < next) {
            return;
        }
        if self.compaction.next.is_some() {
            let floor = self.views.values().map(|view| view.revision).min().unwrap_or(u64::MAX);
            self.store.compact(self.compaction.revision, floor);
        }
        self.compaction = Compaction { next: Some(now + COMPACTION_INTERVAL), revision: self.store.revision() };
    }

    fn answer(&mut self, now: Timestamp, request: &Request) -> Result<Answer, Failure> {
        match route::parse(&self.kinds, request)? {
            Route::Object(target) => {
                let call = Call { now, request, target: &target };
                let resource = &target.served.resource;
                self.authorize(call)?;
                check_accept(request, resource)?;
                let answer = self.dispatch(call);
                match &resource.deprecation {
                    None => answer,
                    Some(deprecation) => Ok(warn_first(answer, deprecation)),
                }
            }
            Route::Other => self.answer_other(now, request).map(Answer::from),
            Route::Unknown { access, is_built_in } => {
                self.check(&request.user, access)?;
                if is_built_in { Err(Failure::no_such_path()) } else { Ok(discovery::not_found().into()) }
            }
        }
    }

    fn dispatch(&mut self, call: Call<'_>) -> Result<Answer, Failure> {
        let resource = &call.target.served.resource;
        let is_pod = resource.group.is_empty() && resource.plural == "pods";
        let subresource = call.target.subresource.as_str();
        match (call.target.verb, subresource) {
            (_, "status") if !resource.has_status => Err(no_subresource(call.target)),
            (_, "scale") if resource.scale.is_none() => Err(no_subresource(call.target)),
            (Verb::Get, "" | "status") => self.get(call),
            (Verb::Get, "scale") => self.get_scale(call),
            (Verb::List, "") => self.list(call),
            (Verb::Watch, "") => self.watch(call),
            (Verb::Create, "") => self.create(call).map(Answer::from),
            (Verb::Create, "eviction") if is_pod => self.evict(call).map(Answer::from),
            (Verb::Create, "binding") if is_pod => self.bind(call).map(Answer::from),
            (Verb::Update, "" | "status") => self.update(call).map(Answer::from),
            (Verb::Update, "scale") => self.write_scale(call, false).map(Answer::from),
            (Verb::Update, "finalize") if is_namespace(resource) => self.finalize(call).map(Answer::from),
            (Verb::Patch, "" | "status") => self.patch(call).map(Answer::from),
            (Verb::Patch, "scale") => self.write_scale(call, true).map(Answer::from),
            (Verb::Delete, "") => self.delete(call).map(Answer::from),
            (Verb::DeleteCollection, "") if !is_namespace(resource) => self.delete_collection(call).map(Answer::from),
            (verb, "" | "status" | "scale") if resource.is_custom => {
                Err(Failure::not_supported(resource, verb.as_str()))
            }
            (_, "" | "status" | "scale") => Err(Failure::method_not_allowed()),
            _ => Err(no_subresource(call.target)),
        }
    }

    /// Waits for the view or gives up; `Ok(None)`: it has seen the revision.
    fn wait_for_view(&self, call: Call<'_>, revision: u64) -> Result<Option<Answer>, Failure> {
        let seen = self.view_revision(call.request.view);
        if seen >= revision {
            return Ok(None);
        }
        let until = call.request.received + READ_WAIT;
        if call.now >= until {
            return Err(Failure::too_large_revision(revision, seen));
        }
        Ok(Some(Answer::Wait { view: call.request.view, revision, until }))
    }

    fn view_revision(&self, id: ViewId) -> u64 {
        self.views.get(&id).map_or_else(|| self.store.revision(), |view| view.revision)
    }

    /// The object as it is now, in the version of the request.
    fn live(&self, target: &Target) -> Result<Arc<Object>, Failure> {
        let found = self.store.get(&target.served.collection, &target.key());
        let found = found.ok_or_else(|| Failure::not_found(&target.served.resource, &target.name))?;
        Ok(target.served.present(found))
    }

    /// Whether a write of `new` leaves everything as it is stored.
    fn is_no_change(&self, new: &Value, live: &Object) -> bool {
        new == live.value() && !self.hidden_empties.contains(&live.revision())
    }

    fn commit(&mut self, call: Call<'_>, key: Key, change: Change, object: Value) -> Arc<Commit> {
        let collection = call.target.served.collection.clone();
        let object = self.kinds.store_form(&call.target.served, object);
        self.commit_to(Write { time: call.now, collection, key, change, object, request: call.request.id })
    }

    fn commit_to(&mut self, write: Write) -> Arc<Commit> {
        let commit = self.store.commit(write);
        if let Some(before) = &commit.before {
            self.hidden_empties.remove(&before.revision());
        }
        if let Some(observer) = &mut self.observer {
            observer(&self.store, &commit);
        }
        self.follow_definitions(&commit);
        commit
    }

    fn make_namespaces(&mut self) {
        for name in ["default", "kube-node-lease", "kube-public", "kube-system"] {
            let object = json!({
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {
                    "name": name,
                    "uid": self.random.uid(),
                    "creationTimestamp": "2026-01-01T00:00:00Z",
                    "labels": { "kubernetes.io/metadata.name": name },
                },
                "spec": { "finalizers": ["kubernetes"] },
                "status": { "phase": "Active" },
            });
            self.commit_to(Write {
                time: Timestamp::UNIX_EPOCH,
                collection: Collection::new("", "namespaces"),
                key: Key::new("", name),
                change: Change::Created,
                object,
                request: 0,
            });
        }
    }
}

/// The answer with a warning before all others. A watch has none to carry it.
fn warn_first(answer: Result<Answer, Failure>, warning: &str) -> Answer {
    let mut answer = answer.unwrap_or_else(|failure| Reply::from(failure).into());
    if let Answer::Reply(reply) = &mut answer {
        let told = std::mem::take(&mut reply.headers);
        *reply = decode::warn(reply.clone(), &[warning.to_owned()]);
        reply.headers.extend(told);
    }
    answer
}

fn no_subresource(target: &Target) -> Failure {
    match target.served.resource.is_custom {
        true => Failure::not_found(&target.served.resource, &target.name),
        false => Failure::no_such_path(),
    }
}

/// Whether the client takes what the server speaks; protobuf is asked for only beside JSON.
fn check_accept(request: &Request, resource: &Resource) -> Result<(), Failure> {
    let known = ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf", "application/*", "*/*"];
    let is_known = |wanted: &str| known.contains(&wanted.split(';').next().unwrap_or_default().trim());
    if request.accept.is_empty() || request.accept.split(',').any(is_known) {
        return Ok(());
    }
    let types = "application/json, application/yaml, application/vnd.kubernetes.protobuf";
    Err(if resource.is_custom {
        Failure::new(406, "NotAcceptable", format!("only the following media types are accepted: {types}"))
    } else {
        let streams = "application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch";
        let message = format!("406: Not Acceptable\n\nAvailable representations: {types}, {streams}");
        Failure::new(406, "NotAcceptable", message).with_empty_details()
    })
}
