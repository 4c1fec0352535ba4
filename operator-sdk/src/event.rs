//! Events: what an operator tells the people who look at an object (`kubectl describe`), by `events.k8s.io/v1`.
//!
//! What repeats itself becomes a series of one Event; another note is another Event, because a note cannot be changed
//! (H13). An object that is the subject of too many has most of them dropped. Events are best effort: none is tried
//! again, and none is waited for.

mod aggregator;
mod occurrence;
mod recent;
mod task;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use aggregator::Aggregator;
use k8s_openapi::api::events::v1::Event;
use occurrence::Occurrence;
use tokio::sync::mpsc;
use tracing::debug;

use crate::{
    client::Fence,
    clock::Clock,
    object::Object,
    permission::{Permission, Verb},
};

/// What may wait to be sent; what comes when so much waits already is dropped.
const QUEUE_CAPACITY: usize = 1000;

/// How serious it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Type {
    /// As it should be.
    Normal,
    /// Somebody may have to do something.
    Warning,
}

impl Type {
    /// The type as the API spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

/// Who reports.
#[derive(Clone, Debug)]
pub struct Reporter {
    /// The operator, as a qualified name: `operator-lite.dev/deployment-lite`.
    pub controller: String,
    /// This process of it: the name of its pod.
    pub instance: String,
}

/// What recording asks of the API server.
pub fn permissions() -> [Permission; 2] {
    [Verb::Create, Verb::Patch].map(Permission::of::<Event>)
}

/// Takes what is to be told, and has it sent by one task. Cheap to clone.
///
/// # Guarantees
/// Recording neither waits nor fails. Of what is recorded, all is counted once, as sent or as dropped, except what still
/// waits when the task is aborted. Nothing is sent that could still be under way when another process may lead.
#[derive(Clone, Debug)]
pub struct Recorder {
    occurrences: mpsc::Sender<Occurrence>,
    counts: Arc<Counts>,
    clock: Clock,
}

#[derive(Debug, Default)]
struct Counts {
    sent: AtomicU64,
    dropped: AtomicU64,
}

impl Recorder {
    /// A recorder and its task, which the caller spawns. The task ends when all recorders are gone and what they
    /// recorded is sent; without it everything is dropped.
    pub fn new(
        client: kube::Client,
        fence: Fence,
        clock: Clock,
        reporter: Reporter,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (sender, receiver) = mpsc::channel(QUEUE_CAPACITY);
        let counts = Arc::<Counts>::default();
        let recorder = Self { occurrences: sender, counts: Arc::clone(&counts), clock: clock.clone() };
        let task = task::Task { client, fence, clock, reporter, counts, aggregator: Aggregator::default() };
        (recorder, task.run(receiver))
    }

    /// Tells that `reason` (why, as in `ScalingReplicaSet`) led to `action` (what was done or tried, as in `Scale`);
    /// both are for machines, at most 128 bytes and not empty. `note` is for people, and is cut after 1024 bytes.
    ///
    /// An `object` without a uid was not read from the API server; there is nothing to tell about it.
    pub fn record<K: Object>(
        &self,
        object: &K,
        r#type: Type,
        reason: &'static str,
        action: &'static str,
        note: impl Into<String>,
    ) {
        let problem = match self.occurrences.try_reserve() {
            Ok(place) => match Occurrence::of(object, r#type, reason, action, note.into(), self.clock.wall()) {
                Some(occurrence) => return place.send(occurrence),
                None => "the object has no uid",
            },
            Err(mpsc::error::TrySendError::Full(())) => "too many wait to be sent",
            Err(mpsc::error::TrySendError::Closed(())) => "nothing is sent any more",
        };
        self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        debug!(object = %object.key(), reason, problem, "event dropped");
    }

    /// How many of those recorded have reached the API server, each repetition counted.
    pub fn sent(&self) -> u64 {
        self.counts.sent.load(Ordering::Relaxed)
    }

    /// How many of those recorded have not, and will not. The count of a series includes them, except those that found
    /// the queue full.
    pub fn dropped(&self) -> u64 {
        self.counts.dropped.load(Ordering::Relaxed)
    }
}
