//! O6: who fails tries again after longer and longer pauses, so that in the end not much more has been written than if
//! nothing had gone wrong.

use crate::record::Record;

/// So many times as often as if nothing goes wrong: what a fault makes a process begin anew, it may do anew.
const TIMES_MAX: usize = 3;
/// And so often more for each fault, beside the tries that it refuses itself: a pause that doubles from milliseconds gets to
/// an hour within 20 tries, and two keys may fail.
const TRIES_MAX: usize = 40;

/// How often all processes together, actors aside, tried to write, whether or not it went through: of two replicas one may
/// do the work of the other.
pub(crate) fn tries(record: &Record) -> usize {
    let writes = record.requests.iter().filter(|request| request.counted.write.is_some());
    writes.filter(|request| record.is_on_trial(request)).count()
}

/// Says so if that was much more often than in the reference.
pub(crate) fn exceeded(record: &Record, expected: usize) -> Option<String> {
    let faults = record.plan.faults.iter();
    let more: usize = faults.map(|fault| TRIES_MAX + usize::try_from(fault.effect.times()).unwrap_or(usize::MAX)).sum();
    let tried = tries(record);
    let message = || {
        format!(
            "{tried} times was tried to write, and {expected} times if nothing goes wrong; is there a pause between tries?"
        )
    };
    (tried > TIMES_MAX * expected + more).then(message)
}
