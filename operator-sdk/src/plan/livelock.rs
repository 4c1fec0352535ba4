//! Finds plans that repeat themselves: their steps succeed, and yet the same is seen and the same is planned again.
//!
//! It compares only passes that follow each other. It says nothing of a status that is written again and again, nor of
//! steps that somebody undoes in a way that the observation shows, such as by a newer revision.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::Plan;
use crate::object::{Key, Uid};

/// What a pass is to do with its steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Take them.
    Go,
    /// Refuse them: they repeat what the last pass did.
    Refuse,
    /// Take them although they repeat, as it may be over; the pass counts as failed, so that the back-off grows.
    TryAgain,
}

/// The last pass of a key whose steps all succeeded, or were refused.
#[derive(Debug)]
struct Last<O, S> {
    uid: Option<Uid>,
    observed: O,
    plan: Plan<S>,
    /// `Go` until it has been seen to repeat.
    verdict: Verdict,
}

/// The last passes of all keys whose last plan had steps.
#[derive(Debug)]
pub(super) struct Guard<O, S>(Mutex<BTreeMap<Key, Last<O, S>>>);

impl<O, S> Default for Guard<O, S> {
    fn default() -> Self {
        Self(Mutex::new(BTreeMap::new()))
    }
}

impl<O: PartialEq, S: PartialEq> Guard<O, S> {
    /// What to do with `plan`. Forgets the last pass; whoever takes or refuses the steps notes the new one.
    ///
    /// Once a plan has been seen to repeat, the plan alone is compared: our own report of it changes what is observed.
    pub(super) fn judge(&self, key: &Key, uid: Option<&Uid>, observed: &O, plan: &Plan<S>) -> Verdict {
        let Some(last) = self.passes().remove(key) else { return Verdict::Go };
        if plan.is_empty() || last.uid.as_ref() != uid || last.plan.groups != plan.groups {
            return Verdict::Go;
        }
        match last.verdict {
            Verdict::Go if last.observed != *observed => Verdict::Go,
            Verdict::Go | Verdict::TryAgain => Verdict::Refuse,
            Verdict::Refuse => Verdict::TryAgain,
        }
    }

    /// Notes a pass whose steps all succeeded, or were refused.
    pub(super) fn note(&self, key: Key, uid: Option<Uid>, observed: O, plan: Plan<S>, verdict: Verdict) {
        self.passes().insert(key, Last { uid, observed, plan, verdict });
    }

    /// Forgets an object that is gone.
    pub(super) fn forget(&self, key: &Key) {
        self.passes().remove(key);
    }

    fn passes(&self) -> MutexGuard<'_, BTreeMap<Key, Last<O, S>>> {
        // Every operation leaves the map whole, so a panic elsewhere does not spoil it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: &[u8] = &[1];

    /// A pass over this observation and plan, all of whose steps succeed.
    fn pass(guard: &Guard<u8, u8>, uid: &str, observed: u8, steps: &[u8]) -> Verdict {
        let (key, uid) = (Key::namespaced("default", "web"), Uid::from(uid));
        let mut plan = Plan::default();
        steps.iter().for_each(|step| plan.step(*step, "test"));
        let verdict = guard.judge(&key, Some(&uid), &observed, &plan);
        if !plan.is_empty() {
            guard.note(key, Some(uid), observed, plan, verdict);
        }
        verdict
    }

    fn passes(passes: &[(&str, u8, &[u8])]) -> Vec<Verdict> {
        let guard = Guard::default();
        passes.iter().map(|(uid, observed, steps)| pass(&guard, uid, *observed, steps)).collect()
    }

    #[test]
    fn a_plan_that_repeats_is_refused_and_tried_by_turns() {
        let repeats = passes(&[("u", 0, FULL); 5]);
        assert_eq!(repeats, [Verdict::Go, Verdict::Refuse, Verdict::TryAgain, Verdict::Refuse, Verdict::TryAgain]);
    }

    #[test]
    fn what_is_reported_of_a_livelock_does_not_end_it() {
        let reported = passes(&[("u", 0, FULL), ("u", 0, FULL), ("u", 1, FULL), ("u", 2, FULL)]);
        assert_eq!(reported, [Verdict::Go, Verdict::Refuse, Verdict::TryAgain, Verdict::Refuse]);
    }

    #[test]
    fn another_observation_or_plan_or_object_is_progress() {
        let others: [(&str, u8, &[u8]); 3] = [("u", 1, FULL), ("u", 0, &[2]), ("v", 0, FULL)];
        for other in others {
            assert_eq!(passes(&[("u", 0, FULL), other]), [Verdict::Go, Verdict::Go], "{other:?}");
        }
    }

    #[test]
    fn a_plan_without_steps_and_the_end_of_an_object_are_the_end_of_it() {
        let healed = passes(&[("u", 0, FULL), ("u", 0, FULL), ("u", 0, &[]), ("u", 0, FULL)]);
        assert_eq!(healed, [Verdict::Go, Verdict::Refuse, Verdict::Go, Verdict::Go]);
        let guard = Guard::default();
        pass(&guard, "u", 0, FULL);
        guard.forget(&Key::namespaced("default", "web"));
        assert!(guard.passes().is_empty());
        pass(&guard, "u", 0, FULL);
        pass(&guard, "u", 0, &[]);
        assert!(guard.passes().is_empty(), "nothing is kept of objects at rest");
    }
}
