//! What every run is judged by.
//!
//! | oracle | what has to be so |
//! |---|---|
//! | O1 convergence | after each step there is what there is without faults |
//! | O2 quiescence | in the quiet hour nothing is written, Leases aside, and hardly anything is asked; after a fault an Event may still be, in its first half |
//! | O3 summary | nothing is created or deleted more often than without faults |
//! | O4 invariant | what your own judges say |
//! | O5 answers, log, races | nobody panics; no 400, 403, 405, 415 or 422 that no fault made; without faults also no 409, no 404 but to a GET, no kind that is asked for and never served, and no error in the log; none in the second half of the quiet hour with them |
//! | O6 budget | nobody tries to write much more often than without faults: who fails waits |
//! | O7 leaks | what belongs to something that is gone goes with it |
//! | O8 determinism | the same seed gives the same run |
//! | O9 conditions | `lastTransitionTime` changes with the status, and only then; none comes and goes |
//! | O10 lost update | what somebody else wrote is not overwritten unseen |
//!
//! What actors do is not judged by O2, O6 and O9, nor what they are answered by O5. etcd's promises about watches are
//! judged on all that watches tell, too.

mod answers;
mod budget;
pub(crate) mod canonical;
mod conditions;
mod leaks;
mod marks;
pub(crate) mod reference;
mod summary;
#[cfg(test)]
mod tests;

use jiff::Timestamp;

use self::reference::Reference;
use crate::{
    explore::Excuse,
    fault::Plan,
    record::{Record, State, Violation},
    store::Commit,
};

/// Somebody who knows what must hold at every instant. One is made for each run; a closure of these arguments is one, too.
pub trait Judge: Send {
    /// Is told before all else what is to go wrong: who is late twice may be later.
    fn begin(&mut self, _plan: &Plan) {}

    /// Takes in a commit and the state that it made; returns what it breaks.
    fn see(&mut self, commit: &Commit, state: &State) -> Vec<String>;

    /// What does not hold, now that nothing moves any more.
    fn settled(&mut self, _now: Timestamp, _state: &State) -> Vec<String> {
        Vec::new()
    }
}

impl<F: FnMut(&Commit, &State) -> Vec<String> + Send> Judge for F {
    fn see(&mut self, commit: &Commit, state: &State) -> Vec<String> {
        self(commit, state)
    }
}

/// Everything that does not hold of a run, in the order of time: what was found on the way, and what only the whole shows.
pub(crate) fn judge(record: &Record, reference: Option<&Reference>, excuses: &[Excuse]) -> Vec<Violation> {
    let mut violations = record.violations.clone();
    violations.extend(answers::judge(record));
    violations.extend(conditions::judge(record));
    violations.extend(leaks::judge(record));
    violations.extend(marks::judge(record));
    if let Some(reference) = reference {
        let excesses = summary::excesses(&summary::summarise(record), &reference.summary, &record.plan, excuses);
        let exceeded = budget::exceeded(record, reference.tries);
        let at_end = |oracle, message| Violation { oracle, time: record.end, message };
        violations.extend(excesses.into_iter().map(|message| at_end("O3 summary", message)));
        violations.extend(exceeded.map(|message| at_end("O6 budget", message)));
    }
    violations.sort_by_key(|violation| violation.time);
    violations
}
