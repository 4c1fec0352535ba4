//! What every run is judged by.

mod answers;
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
    record::{Record, State, Violation},
    store::Commit,
};

/// Somebody who knows what must hold at every instant. One is made for each run; a closure of these arguments is one, too.
pub trait Judge: Send {
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
        let violation = |message| Violation { oracle: "O3 summary", time: record.end, message };
        violations.extend(excesses.into_iter().map(violation));
    }
    violations.sort_by_key(|violation| violation.time);
    violations
}
