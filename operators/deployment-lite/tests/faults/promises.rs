//! The operator's own promises as a judge of a simulation, which knows who wrote what: people break no promise, and what
//! they make themselves cannot be known at once.

use deployment_lite::{
    api::Api,
    invariants::{Happening, Invariants, STALENESS_MAX, Violation},
};
use jiff::Timestamp;
use operator_testkit::{
    oracle::Judge,
    record::State,
    store::{Change, Commit},
};

/// The promises about what there is beside what is written.
const OF_OTHERS: [&str; 4] = ["INV-1", "INV-4", "INV-6", "INV-7"];

pub(crate) struct Promises<A> {
    invariants: Invariants<A>,
    /// When people last made a pod or a ReplicaSet.
    foreign: Option<Timestamp>,
}

impl<A> Default for Promises<A> {
    fn default() -> Self {
        Self { invariants: Invariants::default(), foreign: None }
    }
}

impl<A: Api> Judge for Promises<A> {
    fn see(&mut self, commit: &Commit, _: &State) -> Vec<String> {
        let happening = match commit.change {
            Change::Created => Happening::Made,
            Change::Updated => Happening::Changed,
            Change::Deleted => Happening::Gone,
        };
        let found = match self.invariants.see(commit.time, happening, commit.after.value()) {
            Ok(found) => found,
            Err(error) => return vec![format!("{} {}: {error}", commit.collection.plural, commit.key)],
        };
        if commit.request == 0 {
            let is_owned = commit.after["metadata"]["ownerReferences"].is_array();
            self.foreign = (is_owned && happening == Happening::Made).then_some(commit.time).or(self.foreign);
            return Vec::new();
        }
        let is_unknown = self.foreign.is_some_and(|foreign| commit.time.duration_since(foreign) <= STALENESS_MAX);
        let counts = |violation: &Violation| !(is_unknown && OF_OTHERS.contains(&violation.invariant));
        found.into_iter().filter(counts).map(told).collect()
    }

    fn settled(&mut self, now: Timestamp, _: &State) -> Vec<String> {
        self.invariants.unsettled(now).into_iter().map(told).collect()
    }
}

fn told(Violation { invariant, object, message }: Violation) -> String {
    format!("{invariant} {object}: {message}")
}
