//! O10: what somebody else has written stays, unless it is overwritten by somebody who knew of it.
//!
//! Faults that touch or edit an object leave an annotation of their own. No operator has a reason to take it off.

use std::sync::Arc;

use crate::{
    object::Object,
    record::{Record, Violation},
    simulation::MARK,
    store::{Change, Commit},
};

/// Writes that took back what a fault had written in between.
pub(crate) fn judge(record: &Record) -> Vec<Violation> {
    let losing = record.commits.iter().filter(|commit| commit.request > 0 && loses(commit));
    losing.map(|commit| violation(record, commit)).collect()
}

fn loses(commit: &Commit) -> bool {
    let before = commit.before.as_ref().and_then(mark);
    commit.change == Change::Updated && before.is_some() && before != mark(&commit.after)
}

fn mark(object: &Arc<Object>) -> Option<&str> {
    object["metadata"]["annotations"][MARK].as_str()
}

fn violation(record: &Record, commit: &Commit) -> Violation {
    let by = record.requests.iter().find(|request| request.id == commit.request);
    let by = by.map(ToString::to_string).unwrap_or_default();
    let message = format!(
        "{} {}: what somebody else had just written ({MARK}) is lost by a write that did not know of it:\n  {by}",
        commit.collection.plural, commit.key
    );
    Violation { oracle: "O10 lost update", time: commit.time, message }
}
