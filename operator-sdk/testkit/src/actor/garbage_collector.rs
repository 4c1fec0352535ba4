//! The garbage collector: deletes what has lost all its owners, and carries out what a deletion wants for dependents.
//!
//! It follows the documented behaviour: it decides by live reads, keeps a graph of all objects only to know whom to look
//! at, deletes under preconditions of uid and resource version, counts an owner of another uid or in another namespace as
//! absent, lets a dependent with a solid owner live and strips its other references, and leaves alone a cluster-wide object
//! that names an owner in a namespace.
//!
//! Other than the real one it works on one object at a time, and waits for a definition, not by polling, if an owner's kind
//! is not served.

mod collect;
mod graph;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures::future::BoxFuture;

use self::graph::Graph;
use super::{
    Actor,
    agenda::{Agenda, Span},
    hand::{Failed, Hand},
    kind::Kind,
    sight::{Seen, Sight},
};
use crate::simulation::Environment;

/// Kinds that are never collected.
const IGNORED: &str = "events";
/// After a failure it waits at first so long, then twice as long each time.
const RETRY_MIN: Duration = Duration::from_millis(100);
const RETRY_DOUBLINGS_MAX: u32 = 13;

/// The garbage collector, which takes its time: by default up to a second for each object.
#[derive(Clone, Debug)]
pub struct GarbageCollector {
    takes: Span,
}

/// What it has to do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Task {
    /// To find out which kinds there are.
    Discover,
    /// To look whether the object of this uid is to go.
    Delete(String),
    /// To take the object of this uid out of the owners of its dependents.
    Orphan(String),
}

struct Collector {
    hand: Hand,
    sight: Sight,
    agenda: Agenda<Task>,
    graph: Graph,
    kinds: Vec<Kind>,
    /// Whose owners are of a kind that is not served.
    unresolved: BTreeSet<String>,
    failures: BTreeMap<Task, u32>,
    takes: Span,
}

impl Default for GarbageCollector {
    fn default() -> Self {
        Self { takes: Duration::ZERO..=Duration::from_secs(1) }
    }
}

impl GarbageCollector {
    /// One that takes so long before it looks at an object.
    pub fn taking(takes: Span) -> Self {
        Self { takes }
    }
}

impl Actor for GarbageCollector {
    fn name(&self) -> &str {
        "garbage-collector"
    }

    fn run(&self, environment: Environment) -> BoxFuture<'static, ()> {
        let takes = self.takes.clone();
        Box::pin(async move {
            let hand = Hand::new(&environment, "kube-controller-manager");
            let sight = Sight::of(&hand, [definitions()]);
            let mut collector = Collector {
                hand,
                sight,
                agenda: Agenda::default(),
                graph: Graph::default(),
                kinds: Vec::new(),
                unresolved: BTreeSet::new(),
                failures: BTreeMap::new(),
                takes,
            };
            collector.agenda.within(&(Duration::ZERO..=Duration::ZERO), Task::Discover);
            loop {
                collector.step().await;
            }
        })
    }
}

impl Collector {
    async fn step(&mut self) {
        self.sight.settle().await;
        tokio::select! {
            biased;
            seen = self.sight.next() => self.see(&seen),
            task = self.agenda.next() => {
                let result = match &task {
                    Task::Discover => self.discover().await,
                    Task::Delete(uid) => self.attempt_to_delete(uid).await,
                    Task::Orphan(uid) => self.orphan(uid).await,
                };
                self.note_result(task, result);
            }
        }
    }

    fn see(&mut self, seen: &Seen) {
        if *seen.kind == definitions() {
            self.agenda.within(&self.takes, Task::Discover);
        }
        for task in self.graph.see(seen) {
            self.agenda.within(&self.takes, task);
        }
    }

    fn note_result(&mut self, task: Task, result: Result<(), Failed>) {
        if result.is_ok() {
            self.failures.remove(&task);
            return;
        }
        let failures = self.failures.entry(task.clone()).or_default();
        let wait = RETRY_MIN * 2_u32.pow((*failures).min(RETRY_DOUBLINGS_MAX));
        *failures += 1;
        self.agenda.within(&(wait..=wait), task);
    }

    async fn discover(&mut self) -> Result<(), Failed> {
        self.kinds = Kind::discover(&self.hand).await?;
        for kind in self.kinds.iter().filter(|kind| kind.plural != IGNORED && !is_definition(kind)) {
            self.sight.follow(kind.clone(), "", "");
        }
        for uid in std::mem::take(&mut self.unresolved) {
            self.agenda.within(&self.takes, Task::Delete(uid));
        }
        Ok(())
    }
}

fn definitions() -> Kind {
    Kind {
        kind: "CustomResourceDefinition".to_owned(),
        ..Kind::new("apiextensions.k8s.io", "v1", "customresourcedefinitions", false)
    }
}

/// They are followed from the start.
fn is_definition(kind: &Kind) -> bool {
    *kind == definitions()
}
