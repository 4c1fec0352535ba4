//! O3: nothing is created or deleted more often than in a run in which nothing goes wrong.

use std::collections::BTreeMap;

use super::canonical::stable_name;
use crate::{
    explore::Excuse,
    fault::{Effect, Plan},
    record::Record,
    store::{Change, Commit},
};

/// How often objects of one name were created, and how often deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    created: usize,
    deleted: usize,
}

/// By kind, namespace and name.
pub(crate) type Summary = BTreeMap<String, Counts>;

/// What processes created and deleted; what people did aside.
pub(crate) fn summarise(record: &Record) -> Summary {
    let mut summary = Summary::new();
    for commit in &record.commits {
        let is_ours = commit.request > 0 && !commit.collection.is_chatter();
        let counts = is_ours.then(|| summary.entry(place(commit)).or_default());
        match (counts, commit.change) {
            (Some(counts), Change::Created) => counts.created += 1,
            (Some(counts), Change::Deleted) => counts.deleted += 1,
            _ => {}
        }
    }
    summary
}

/// What was done more often than in the reference. Where somebody deletes what is wanted, it, and all
/// that belongs to it, may be made once more.
pub(crate) fn excesses(found: &Summary, expected: &Summary, plan: &Plan, excuses: &[Excuse]) -> Vec<String> {
    if excuses.contains(&Excuse::AnotherEnd) {
        return more(&by_kind(found), &by_kind(expected), plan, excuses);
    }
    more(found, expected, plan, excuses)
}

fn more(found: &Summary, expected: &Summary, plan: &Plan, excuses: &[Excuse]) -> Vec<String> {
    let interfered = plan.faults.iter().filter(|fault| is_interference(&fault.effect)).count();
    let mut lines = Vec::new();
    for (place, counts) in found {
        let expected = expected.get(place).copied().unwrap_or_default();
        let excused: usize = excuses.iter().map(|excuse| excused(excuse, place)).sum();
        let allowed = interfered * expected.created.max(expected.deleted).max(1) + excused;
        for (verb, found, expected) in
            [("created", counts.created, expected.created), ("deleted", counts.deleted, expected.deleted)]
        {
            if found > expected + allowed {
                lines.push(format!("{place} was {verb} {found} times, and {expected} times if nothing goes wrong"));
            }
        }
    }
    lines
}

/// The same by kind and namespace.
fn by_kind(summary: &Summary) -> Summary {
    let mut kinds = Summary::new();
    for (place, counts) in summary {
        let of_kind = kinds.entry(place.rsplit_once('/').map_or("", |(kind, _)| kind).to_owned()).or_default();
        of_kind.created += counts.created;
        of_kind.deleted += counts.deleted;
    }
    kinds
}

fn excused(excuse: &Excuse, place: &str) -> usize {
    let Excuse::More(counts) = excuse else { return 0 };
    let is_it = |(plural, _): &&(&str, usize)| place.starts_with(&format!("{plural}/"));
    counts.iter().filter(is_it).map(|(_, count)| count).sum()
}

fn is_interference(effect: &Effect) -> bool {
    matches!(effect, Effect::UserDelete | Effect::UserRecreate | Effect::UserEdit(_))
}

fn place(commit: &Commit) -> String {
    let name = stable_name(commit.after.value(), commit.key.name());
    format!("{}/{}/{name}", commit.collection.plural, commit.key.namespace())
}
