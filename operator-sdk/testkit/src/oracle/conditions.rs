//! O9: a condition says when it last changed, and says so only when it has.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::{
    record::{Record, Violation},
    store::Commit,
};

const ORACLE: &str = "O9 conditions";
/// So often, and once more for each fault, may a condition change its status while what is wanted does not.
const FLAPS_MAX: usize = 6;

/// Times of transition that do not tell of transitions, and conditions that come and go. What actors write is not judged: a
/// container that ends again and again is no fault of who is on trial.
pub(crate) fn judge(record: &Record) -> Vec<Violation> {
    let mut flaps: BTreeMap<(String, i64, String), usize> = BTreeMap::new();
    let mut violations = Vec::new();
    let of_actors = record.requests.iter().filter(|request| record.actors.contains(&request.process));
    let of_actors: BTreeSet<u64> = of_actors.map(|request| request.id).collect();
    for commit in record.commits.iter().filter(|commit| !of_actors.contains(&commit.request)) {
        for (kind, before, after) in pairs(commit) {
            let has_changed = before["status"] != after["status"];
            let (was, is) = (&before["lastTransitionTime"], &after["lastTransitionTime"]);
            let object = format!("{} {}", commit.collection.plural, commit.key);
            if !has_changed && was != is && !was.is_null() {
                let message =
                    format!("{object}: {kind} moves its lastTransitionTime from {was} to {is}, and its status stays");
                violations.push(Violation { oracle: ORACLE, time: commit.time, message });
            }
            if has_changed {
                let generation = commit.after["metadata"]["generation"].as_i64().unwrap_or_default();
                let count = flaps.entry((object.clone(), generation, kind.to_owned())).or_default();
                *count += 1;
                if *count == FLAPS_MAX + record.plan.faults.len() {
                    let message = format!("{object}: {kind} has changed {count} times in generation {generation}");
                    violations.push(Violation { oracle: ORACLE, time: commit.time, message });
                }
            }
        }
    }
    violations
}

/// Each condition before and after a commit, by type, where there are both.
fn pairs(commit: &Commit) -> Vec<(&str, &Value, &Value)> {
    let Some(before) = &commit.before else { return Vec::new() };
    let before = before["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let after = commit.after["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let pair = |after: &'_ Value| before.iter().position(|held| held["type"] == after["type"]);
    after
        .iter()
        .filter_map(|condition| Some((condition["type"].as_str()?, &before[pair(condition)?], condition)))
        .collect()
}
