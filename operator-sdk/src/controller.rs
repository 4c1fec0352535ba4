//! One kind's loop: changes fill a queue, workers reconcile, outcomes say when to look again.

mod finalizing;
mod hold;
mod metrics;

use std::{collections::BTreeMap, fmt, panic, sync::Arc, time::Duration};

pub use finalizing::Finalizing;
use futures::future::BoxFuture;
use hold::{Holds, Verdict};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
pub use metrics::ControllerMetrics;
use metrics::End;
use tokio::task::{self, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, debug, error, info_span, warn};

use crate::{
    backoff::Backoff,
    cache::{AnyWatch, Change, Watch},
    client::{Journal, Writes, Written},
    clock::{BootTime, Clock},
    error::{Class, Error},
    event::Recorder,
    object::{Key, Object},
    permission::{Permission, Verb},
    plan::{Planner, Planning},
    queue::{Queue, Retry},
    reconcile::{Cleanup, Context, Failure, Outcome, Reconciler},
    task::of_process,
};

const DEFAULT_CONCURRENCY: usize = 4;
/// A run that takes longer is dropped and tried again.
pub(crate) const RECONCILE_TIMEOUT: Duration = Duration::from_secs(120);
/// How long running reconciles may go on when the process is asked to stop.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

type Wiring<K> = Box<dyn FnOnce(&Queue, &Watch<K>) + Send>;

/// A reconciler with its watches, not yet running.
pub struct Controller<R: Reconciler> {
    reconciler: R,
    watch: Watch<R::Object>,
    reads: Vec<Arc<dyn AnyWatch>>,
    wiring: Vec<Wiring<R::Object>>,
    permissions: Vec<Permission>,
    concurrency: usize,
}

impl<R: Reconciler> fmt::Debug for Controller<R> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Controller").field(&R::Object::kind(&())).finish()
    }
}

impl<P: Planner> Controller<Planning<P>> {
    /// A controller for a planner.
    pub fn planner(planner: P, watch: &Watch<P::Object>) -> Self {
        Self::new(Planning::new(planner), watch)
    }
}

impl<R: Cleanup> Controller<R> {
    /// Keeps each object by a finalizer until it is cleaned up.
    pub fn with_cleanup(self) -> Controller<Finalizing<R>> {
        let reconciler = Finalizing(self.reconciler);
        Controller {
            permissions: self.permissions.into_iter().chain(reconciler.permissions()).collect(),
            reconciler,
            watch: self.watch,
            reads: self.reads,
            wiring: self.wiring,
            concurrency: self.concurrency,
        }
    }
}

impl<R: Reconciler> Controller<R> {
    /// A controller that reconciles each object of `watch` whenever it changes.
    pub fn new(reconciler: R, watch: &Watch<R::Object>) -> Self {
        Self {
            permissions: reconciler.permissions(),
            reconciler,
            watch: watch.clone(),
            reads: vec![watch.erased()],
            wiring: Vec::new(),
            concurrency: DEFAULT_CONCURRENCY,
        }
    }

    /// Reconciles an object also when a child that it controls changes, and before and after a change of owner.
    pub fn owns<C: Object>(mut self, children: &Watch<C>) -> Self {
        let watched = children.clone();
        self.reads.push(children.erased());
        // Setting blockOwnerDeletion needs it where the OwnerReferencesPermissionEnforcement plug-in is on.
        self.permissions.push(Permission::on_subresource::<R::Object>(Verb::Update, "finalizers"));
        self.wiring.push(Box::new(move |queue, owners| {
            let (queue, owners) = (queue.clone(), owners.clone());
            watched.subscribe(move |change| {
                for owner in change.metadata().filter_map(|child| owners.controller_of(child)) {
                    queue.add(owner.key(), change.mark());
                }
            });
        }));
        self
    }

    /// Reconciles an object also when something appears in its namespace that nobody controls and that it may adopt, be it
    /// that it is new, was let go, or has other labels than before.
    pub fn adopts<C: Object>(self, children: &Watch<C>, may_adopt: fn(&R::Object, &ObjectMeta) -> bool) -> Self {
        let owners = self.watch.clone();
        self.follows(children, move |change| match new_orphan(change) {
            Some(orphan) => owners.keys(orphan, |owner| may_adopt(owner, orphan)),
            None => Vec::new(),
        })
    }

    /// Reconciles also those objects that `concerned` names at a change of another kind. It is called while the cache of
    /// that kind is locked: it may read other caches, and nobody may read this one at changes of theirs.
    pub fn follows<C: Object>(
        mut self,
        others: &Watch<C>,
        concerned: impl Fn(&Change<C>) -> Vec<Key> + Send + Sync + 'static,
    ) -> Self {
        let others = others.clone();
        self.wiring.push(Box::new(move |queue, _| {
            let queue = queue.clone();
            others.subscribe(move |change| concerned(change).into_iter().for_each(|key| queue.add(key, change.mark())));
        }));
        self
    }

    /// How many objects are reconciled at once. Default 4.
    pub fn concurrency(mut self, concurrency: usize) -> Self {
        self.concurrency = concurrency.max(1);
        self
    }
}

/// What nobody controls, unless it was so before with the same labels.
fn new_orphan<C: Object>(change: &Change<C>) -> Option<&ObjectMeta> {
    let is_orphan = |object: &&C| object.controller().is_none();
    let new = change.new.as_deref().filter(is_orphan)?.meta();
    let old = change.old.as_deref().filter(is_orphan).map(C::meta);
    old.is_none_or(|old| old.labels != new.labels).then_some(new)
}

/// What a controller needs from the process.
#[derive(Clone)]
pub struct Environment {
    /// Writes of this process.
    pub writes: Writes,
    /// Events of this process.
    pub events: Recorder,
    /// The time.
    pub clock: Clock,
    /// Where runs are counted.
    pub metrics: ControllerMetrics,
    /// Set when the process wants to stop.
    pub cancellation: CancellationToken,
}

/// A controller of any kind.
pub trait AnyController: Send {
    /// The plural name of its kind.
    fn name(&self) -> String;
    /// What it may ask of the API server, its watches aside.
    fn permissions(&self) -> &[Permission];
    /// Runs until cancelled, then lets running reconciles end.
    fn run(self: Box<Self>, environment: Environment) -> BoxFuture<'static, ()>;
}

impl<R: Reconciler> AnyController for Controller<R> {
    fn name(&self) -> String {
        R::Object::plural(&()).into_owned()
    }

    fn permissions(&self) -> &[Permission] {
        &self.permissions
    }

    fn run(self: Box<Self>, environment: Environment) -> BoxFuture<'static, ()> {
        Box::pin(async move { Running::start(*self, environment).run().await })
    }
}

/// One run under way.
struct Run {
    key: Key,
    began: BootTime,
    /// Kept here, because a run may be dropped or panic.
    journal: Journal,
}

struct Running<R: Reconciler> {
    name: String,
    reconciler: Arc<R>,
    watch: Watch<R::Object>,
    queue: Queue,
    holds: Holds,
    concurrency: usize,
    environment: Environment,
    tasks: JoinSet<Result<Outcome, Failure>>,
    runs: BTreeMap<task::Id, Run>,
}

impl<R: Reconciler> Running<R> {
    fn start(controller: Controller<R>, environment: Environment) -> Self {
        let queue = Queue::new(environment.clock.clone(), Backoff::default());
        for wire in controller.wiring {
            wire(&queue, &controller.watch);
        }
        let sink = queue.clone();
        controller.watch.subscribe(move |change: &Change<R::Object>| sink.add(change.key.clone(), change.mark()));
        let name = R::Object::plural(&()).into_owned();
        Self {
            name,
            reconciler: Arc::new(controller.reconciler),
            watch: controller.watch,
            queue,
            holds: Holds::new(controller.reads),
            concurrency: controller.concurrency,
            environment,
            tasks: JoinSet::new(),
            runs: BTreeMap::new(),
        }
    }

    async fn run(mut self) {
        let cancellation = self.environment.cancellation.clone();
        let queue = self.queue.clone();
        loop {
            let is_free = self.runs.len() < self.concurrency;
            tokio::select! {
                biased;
                () = cancellation.cancelled() => break,
                Some(ended) = self.tasks.join_next_with_id() => self.finish(ended),
                Some(key) = queue.get(), if is_free => self.begin(key),
            }
            self.show();
        }
        self.queue.shut_down();
        let drained = tokio::time::timeout(DRAIN_TIMEOUT, async {
            while let Some(ended) = self.tasks.join_next_with_id().await {
                self.finish(ended);
            }
        });
        if drained.await.is_err() {
            warn!(controller = %self.name, "reconciles did not end in time and are dropped");
        }
    }

    fn begin(&mut self, key: Key) {
        let now = self.environment.clock.boot();
        if let Verdict::Hold(again) = self.holds.look(&key, now) {
            self.environment.metrics.count_hold(&self.name);
            self.queue.done(&key, Retry::Hold(again));
            return;
        }
        // One that cannot be read was named when it came; its next version brings it back here.
        let Ok(Some(object)) = self.watch.get(&key) else {
            self.reconciler.forget(&key);
            self.queue.done(&key, Retry::No);
            return;
        };
        let client = self.environment.writes.client();
        let journal = client.journal().clone();
        let context = Context {
            object,
            client,
            events: self.environment.events.clone(),
            clock: self.environment.clock.clone(),
            failures: self.queue.failures(&key),
            cancellation: self.environment.cancellation.clone(),
        };
        let span = info_span!(
            "reconcile",
            object.kind = %R::Object::kind(&()),
            object.namespace = key.namespace.as_deref().unwrap_or_default(),
            object.name = %key.name,
            object.uid = context.object.meta().uid.as_deref().unwrap_or_default(),
            reconcile.id = %format_args!("{:08x}", rand::random::<u32>()),
        );
        let reconciler = Arc::clone(&self.reconciler);
        // Boxed before it is wrapped and spawned, each of which moves it, and a reconcile is large.
        let run = Box::pin(async move {
            let reconcile = tokio::time::timeout(RECONCILE_TIMEOUT, reconciler.reconcile(&context));
            match reconcile.await {
                Ok(result) => result,
                Err(_) => {
                    let dropped = format!("dropped: it took longer than {} s", RECONCILE_TIMEOUT.as_secs());
                    Err(Error::other(Class::Transient, dropped).into())
                }
            }
        });
        let handle = self.tasks.spawn(of_process(run.instrument(span)));
        self.runs.insert(handle.id(), Run { key, began: now, journal });
    }

    fn finish(&mut self, ended: Result<(task::Id, Result<Outcome, Failure>), JoinError>) {
        let id = match &ended {
            Ok((id, _)) => *id,
            Err(error) => error.id(),
        };
        let Some(Run { key, began, journal }) = self.runs.remove(&id) else { return };
        let now = self.environment.clock.boot();
        let written = journal.take();
        let marks = written.iter().filter_map(Written::mark).collect();
        self.holds.note(&key, written, now);
        let (retry, end) = match ended {
            Ok((_, Ok(Outcome::Done))) => (Retry::No, End::Success),
            Ok((_, Ok(Outcome::RequeueAfter(delay)))) => (Retry::After(delay), End::RequeueAfter),
            Ok((_, Err(Failure { error, look_again }))) => {
                let class = error.class();
                let retry = match (class, look_again) {
                    (Class::Terminal, None) => Retry::No,
                    (Class::Terminal, Some(delay)) => Retry::After(delay),
                    _ => Retry::Backoff { at_most: look_again, written: marks },
                };
                let failures = self.queue.failures(&key) + 1;
                // A conflict is ordinary life among several writers.
                if class == Class::Conflict {
                    debug!(controller = %self.name, object = %key, %error, failures, "somebody else wrote first");
                } else {
                    warn!(controller = %self.name, object = %key, %error, ?class, failures, "reconcile failed");
                }
                (retry, End::Error)
            }
            Err(failure) => {
                let panic = failure.try_into_panic().map(panic_message).unwrap_or_else(|error| error.to_string());
                error!(controller = %self.name, object = %key, panic, "reconcile panicked");
                (Retry::Backoff { at_most: None, written: marks }, End::Panic)
            }
        };
        self.environment.metrics.count_run(&self.name, end, now.saturating_sub(began));
        self.queue.done(&key, retry);
    }

    fn show(&self) {
        self.environment.metrics.show(&self.name, self.runs.len(), self.queue.depth());
    }
}

fn panic_message(payload: Box<dyn std::any::Any + Send + 'static>) -> String {
    match payload.downcast::<&'static str>() {
        Ok(text) => (*text).to_owned(),
        Err(payload) => payload.downcast::<String>().map_or_else(|_| "no message".to_owned(), |text| *text),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::{api::core::v1::ConfigMap, apimachinery::pkg::apis::meta::v1::OwnerReference};

    use super::*;

    fn map(label: &str, is_controlled: bool) -> Arc<ConfigMap> {
        let owner = OwnerReference { controller: Some(true), ..OwnerReference::default() };
        Arc::new(ConfigMap {
            metadata: ObjectMeta {
                labels: Some([("app".to_owned(), label.to_owned())].into()),
                owner_references: is_controlled.then(|| vec![owner]),
                ..ObjectMeta::default()
            },
            ..ConfigMap::default()
        })
    }

    #[test]
    fn an_orphan_is_new_when_it_comes_is_let_go_or_gets_other_labels() {
        let is_new = |old: Option<Arc<ConfigMap>>, new: Option<Arc<ConfigMap>>| {
            let key = Key::namespaced("default", "web");
            new_orphan(&Change { key, old, new, unreadable: Vec::new() }).is_some()
        };
        assert!(is_new(None, Some(map("a", false))));
        assert!(is_new(Some(map("a", true)), Some(map("a", false))));
        assert!(is_new(Some(map("a", false)), Some(map("b", false))));
        assert!(!is_new(Some(map("a", false)), Some(map("a", false))));
        assert!(!is_new(None, Some(map("a", true))));
        assert!(!is_new(Some(map("a", false)), None));
    }
}
