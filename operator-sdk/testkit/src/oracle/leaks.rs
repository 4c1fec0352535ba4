//! O7: what belongs to something that is gone goes with it.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::record::{Record, State, Violation};

/// Who takes away what belongs to nobody any more, if it is there at all.
const COLLECTOR: &str = "garbage-collector";

/// Objects all of whose owners are gone, at each point at which nothing moved any more.
pub(crate) fn judge(record: &Record) -> Vec<Violation> {
    if !record.requests.iter().any(|request| &*request.process == COLLECTOR) {
        return Vec::new();
    }
    let leaks = |state: &State| leaks(state).into_iter().collect::<Vec<_>>().join(", ");
    let steps = record.settled.iter().enumerate().map(|(step, settled)| (step, settled.time, leaks(&settled.state)));
    let leaking = steps.filter(|(.., leaks)| !leaks.is_empty());
    let violation = |(step, time, leaks)| Violation {
        oracle: "O7 leaks",
        time,
        message: format!("after step {} there is left, without its owners: {leaks}", step + 1),
    };
    leaking.map(violation).collect()
}

fn leaks(state: &State) -> Vec<String> {
    let alive: BTreeSet<&str> = state.all().map(|(.., object)| object.uid()).collect();
    let is_orphaned = |object: &Value| {
        let owners = object["metadata"]["ownerReferences"].as_array().map(Vec::as_slice).unwrap_or_default();
        !owners.is_empty() && owners.iter().all(|owner| !alive.contains(owner["uid"].as_str().unwrap_or_default()))
    };
    let orphaned = state.all().filter(|(.., object)| is_orphaned(object.value()));
    orphaned.map(|(kind, key, _)| format!("{} {key}", kind.plural)).collect()
}
