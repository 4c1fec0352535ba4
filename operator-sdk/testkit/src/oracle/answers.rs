//! O5: nobody panics, and the server has no reason to refuse what is asked of it.

use crate::record::{Record, Requested, Violation};

/// What the server refuses only if a program is wrong, or may not do what it does.
const NEVER: [u16; 5] = [400, 403, 405, 415, 422];
/// What may come of it that something went wrong, or that somebody else was first.
const IF_FAULTS: [u16; 2] = [404, 409];

/// Refusals that are not of the plan's making, and panics.
pub(crate) fn judge(record: &Record) -> Vec<Violation> {
    let is_undisturbed = record.plan.faults.is_empty();
    let on_trial = record.requests.iter().filter(|request| !record.actors.contains(&request.process));
    let refused = on_trial.filter_map(|request| {
        let answer = request.answer.as_ref().filter(|answer| !answer.is_fault)?;
        let is_race = is_undisturbed && is_unexpected(request, answer.code);
        let oracle = if is_race { "O5 races" } else { "O5 answers" };
        let message = format!("{}\n  {request}", answer.message);
        (is_race || NEVER.contains(&answer.code)).then_some(Violation { oracle, time: request.sent, message })
    });
    let told = record.log.iter().filter(|line| line.is_error && (is_undisturbed || line.text.contains("panicked")));
    let told = told.map(|line| Violation { oracle: "O5 log", time: line.time, message: line.text.clone() });
    let mut violations: Vec<Violation> = refused.chain(told).collect();
    violations.sort_by_key(|violation| violation.time);
    violations
}

/// A Lease that two want at once goes to one of them; and that something is not there may be what was asked.
fn is_unexpected(request: &Requested, code: u16) -> bool {
    let is_question = code == 404 && request.method == "GET";
    IF_FAULTS.contains(&code) && request.counted.election.is_none() && !is_question
}
