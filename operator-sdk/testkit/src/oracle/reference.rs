//! What a run comes to if nothing goes wrong.

use std::collections::BTreeSet;

use super::{
    budget::tries,
    canonical::{Canonical, Mask},
    summary::{Summary, summarise},
};
use crate::{
    record::{Record, State},
    store::{Collection, Key},
};

/// What each step of a workload comes to, as runs with different seeds agree.
#[derive(Debug, Default)]
pub(crate) struct Reference {
    steps: Vec<Canonical>,
    base: u64,
    mask: Mask,
    /// What was created and deleted.
    pub(crate) summary: Summary,
    /// How often was tried to write.
    pub(crate) tries: usize,
    /// What people asked for.
    pub(crate) asked: BTreeSet<(Collection, Key)>,
}

impl Reference {
    /// Of runs in which nothing went wrong; what they do not agree on is not compared later.
    pub(crate) fn of(runs: &[Record]) -> Self {
        let canonical = |run: &Record| -> Vec<Canonical> {
            run.settled.iter().map(|settled| Canonical::of(&settled.state, run.base)).collect()
        };
        let Some((first, others)) = runs.split_first() else { return Self::default() };
        let steps = canonical(first);
        let mut mask = Mask::new();
        let summary = summarise(first);
        for other in others.iter().map(canonical) {
            steps.iter().zip(&other).for_each(|(step, other)| mask.extend(step.mask(other)));
        }
        Self { steps, base: first.base, mask, summary, tries: tries(first), asked: first.asked() }
    }

    /// Runs that come to something else, in which step, and how.
    pub(crate) fn disagreements<'a>(&self, runs: &'a [Record]) -> Vec<(&'a Record, usize, String)> {
        let steps =
            runs.iter().flat_map(|run| run.settled.iter().enumerate().map(move |(step, settled)| (run, step, settled)));
        let differing =
            steps.map(|(run, step, settled)| (run, step, self.differences(step, &settled.state).join("\n  ")));
        differing.filter(|(.., differences)| !differences.is_empty()).collect()
    }

    /// How a state differs from what a step came to.
    pub(crate) fn differences(&self, step: usize, state: &State) -> Vec<String> {
        let Some(expected) = self.steps.get(step) else { return Vec::new() };
        Canonical::of(state, self.base).differences(expected, &self.mask)
    }
}
