//! O5: nobody panics, and the server has no reason to refuse what is asked of it.

use std::collections::BTreeSet;

use crate::{
    failure::Failure,
    record::{Answered, Record, Requested, Violation},
    simulation::place::Place,
};

/// What the server refuses only if a program is wrong, or may not do what it does.
const NEVER: [u16; 5] = [400, 403, 405, 415, 422];
/// What may come of it that something went wrong, or that somebody else was first.
const IF_FAULTS: [u16; 2] = [404, 409];

/// Refusals that are not of the plan's making, and panics.
pub(crate) fn judge(record: &Record) -> Vec<Violation> {
    let is_undisturbed = record.plan.faults.is_empty();
    let on_trial = record.requests.iter().filter(|request| record.is_on_trial(request));
    let unserved = if is_undisturbed { unserved(on_trial.clone()) } else { BTreeSet::new() };
    let refused = on_trial.filter_map(|request| {
        let answer = request.answer.as_ref().filter(|answer| !answer.is_fault)?;
        let violation = |oracle, message| {
            Some(Violation { oracle, time: request.sent, message: format!("{message}\n  {request}") })
        };
        let asked = if answer.code == 404 { kind(request) } else { None };
        match asked.filter(|kind| unserved.contains(kind)) {
            Some(kind) => violation("O5 answers", &missing(&kind)),
            None if is_undisturbed && is_unexpected(request, answer.code) => violation("O5 races", &answer.message),
            None if NEVER.contains(&answer.code) => violation("O5 answers", &answer.message),
            None => None,
        }
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

/// A group, as in `apps`, a version and a plural.
type Kind = (String, String, String);

/// Kinds that were asked for and never served: who waits for their objects does nothing, which looks like doing well.
fn unserved<'a>(requests: impl Iterator<Item = &'a Requested> + Clone) -> BTreeSet<Kind> {
    let answered = requests.filter_map(|request| Some((request, request.answer.as_ref()?)));
    let refused = answered.clone().filter(|(_, answer)| is_of_no_kind(answer));
    let mut kinds: BTreeSet<Kind> = refused.filter_map(|(request, _)| kind(request)).collect();
    if !kinds.is_empty() {
        let served = answered.filter(|(_, answer)| !is_of_no_kind(answer)).filter_map(|(request, _)| kind(request));
        served.for_each(|kind| _ = kinds.remove(&kind));
    }
    kinds
}

/// Whether it was the path that was not found, and not an object: of a group that is not there the server says so in plain
/// text.
fn is_of_no_kind(answer: &Answered) -> bool {
    answer.code == 404 && (answer.reason.is_empty() || answer.message == Failure::no_such_path().message)
}

/// What kind a request is about; discovery is about none.
fn kind(request: &Requested) -> Option<Kind> {
    let Place { group, version, plural, .. } = Place::of(request.path.split('?').next()?);
    (!plural.is_empty()).then_some((group, version, plural))
}

fn missing((group, version, plural): &Kind) -> String {
    let api_version = if group.is_empty() { version } else { &format!("{group}/{version}") };
    format!(
        "the server never serves {api_version} {plural}: give the definition by `Simulation::installed`, or by `installs` of \
         your operator; if it is there, look at its versions and its scope; if it may be missing, ask discovery first"
    )
}
