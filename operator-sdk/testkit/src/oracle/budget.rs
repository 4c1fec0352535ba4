//! O6: who fails tries again after longer and longer pauses, so that in the end it has not written much more often than if
//! nothing had gone wrong.

use std::collections::BTreeMap;

use crate::record::Record;

/// So many times as often as if nothing goes wrong: what a fault makes a process begin anew, it may do anew.
const TIMES_MAX: usize = 3;
/// And so often more for each fault, beside the tries that it refuses itself: a pause that doubles from milliseconds gets to
/// an hour within 20 tries, and two keys may fail.
const TRIES_MAX: usize = 40;

/// How often each process, actors aside, tried to write, whether or not it went through.
pub(crate) type Tries = BTreeMap<String, usize>;

pub(crate) fn tries(record: &Record) -> Tries {
    let mut tries = Tries::new();
    let writes = record.requests.iter().filter(|request| request.counted.write.is_some());
    for request in writes.filter(|request| !record.actors.contains(&*request.process)) {
        *tries.entry(request.process.to_string()).or_default() += 1;
    }
    tries
}

/// Who tried much more often than in the reference.
pub(crate) fn exceeded(record: &Record, reference: &Tries) -> Vec<String> {
    let faults = record.plan.faults.iter();
    let more: usize = faults.map(|fault| TRIES_MAX + usize::try_from(fault.effect.times()).unwrap_or(usize::MAX)).sum();
    let expected = |process: &str| reference.get(process).copied().unwrap_or_default();
    let found = tries(record).into_iter().map(|(process, tried)| (expected(&process), process, tried));
    let much = found.filter(|(expected, _, tried)| *tried > TIMES_MAX * expected + more);
    let line = |(expected, process, tried)| {
        format!(
            "{process} tried to write {tried} times, and {expected} times if nothing goes wrong; does it pause between tries?"
        )
    };
    much.map(line).collect()
}
