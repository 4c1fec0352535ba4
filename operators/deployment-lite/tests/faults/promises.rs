//! The operator's own promises as a judge of a simulation.

use deployment_lite::{
    api::Api,
    invariants::{Happening, Invariants, Violation},
};
use jiff::Timestamp;
use operator_testkit::{
    oracle::Judge,
    record::State,
    store::{Change, Commit},
};

pub(crate) struct Promises<A>(Invariants<A>);

impl<A> Default for Promises<A> {
    fn default() -> Self {
        Self(Invariants::default())
    }
}

impl<A: Api> Judge for Promises<A> {
    fn see(&mut self, commit: &Commit, _: &State) -> Vec<String> {
        let happening = match commit.change {
            Change::Created => Happening::Made,
            Change::Updated => Happening::Changed,
            Change::Deleted => Happening::Gone,
        };
        match self.0.see(commit.time, happening, commit.after.value()) {
            // What people do themselves breaks no promise.
            Ok(_) if commit.request == 0 => Vec::new(),
            Ok(found) => found.into_iter().map(told).collect(),
            Err(error) => vec![format!("{} {}: {error}", commit.collection.plural, commit.key)],
        }
    }

    fn settled(&mut self, now: Timestamp, _: &State) -> Vec<String> {
        self.0.unsettled(now).into_iter().map(told).collect()
    }
}

fn told(Violation { invariant, object, message }: Violation) -> String {
    format!("{invariant} {object}: {message}")
}
