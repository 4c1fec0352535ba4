//! O10: what somebody else has written stays, unless it is overwritten by somebody who knew of it.
//!
//! Faults that touch or edit an object leave an annotation of their own. No operator has a reason to take it off.

use crate::{
    object::Object,
    record::{Record, Violation},
    simulation::{MARK, own_mark},
    store::{Change, Commit},
};

/// Writes that took back what a fault had written in between.
pub(crate) fn judge(record: &Record) -> Vec<Violation> {
    let losing = record.commits.iter().filter(|commit| commit.request > 0 && loses(commit));
    losing.map(|commit| violation(record, commit)).collect()
}

fn loses(commit: &Commit) -> bool {
    let Some(before) = commit.before.as_ref().filter(|_| commit.change == Change::Updated) else { return false };
    let marks = [MARK.to_owned(), own_mark(before.uid())];
    marks.iter().any(|mark| is_lost(mark, before, &commit.after))
}

fn is_lost(mark: &str, before: &Object, after: &Object) -> bool {
    let value = |object: &Object| object["metadata"]["annotations"][mark].as_str().map(str::to_owned);
    value(before).is_some_and(|value_before| value(after) != Some(value_before))
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
