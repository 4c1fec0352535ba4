//! Every single thing that can go wrong in a run, from the record of one in which nothing did.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;

use crate::{
    fault::{Edit, Effect, Fault, Garbling, Loss, Moment, Outage, Refusal, Seconds, Seen, Step, Times},
    record::{Notified, Record, Requested},
    simulation::MARK,
    store::Commit,
};

/// Longer than people wait between two steps, so that a process may forget one of them.
const TRAVELS_AFTER_SECONDS: u64 = 150;
/// Requests for Leases beyond this many of a process are all alike.
const ELECTIONS_MAX: u32 = 6;

/// All single faults that are worth a run. A write that changed nothing, and an event after which the process wrote
/// nothing more, change nothing when they go wrong.
pub(super) fn singles(record: &Record, processes: &BTreeSet<&str>) -> Vec<Fault> {
    // What is asked in the quiet time at the end is asked over and over.
    let end = record.settled.last().map_or(record.end, |settled| settled.time);
    let in_time = record.requests.iter().take_while(|request| request.sent <= end);
    let requests = in_time.filter(|request| processes.contains(&*request.process));
    let wanted = wanted(record);
    let of_requests =
        requests.flat_map(at_request).filter(|fault| fault.effect != Effect::UserDelete || !wanted.contains(&fault.at));
    of_requests.chain(at_notifications(record, processes, &at_notification())).collect()
}

/// What no correct server does, at each notification.
pub(super) fn hostile(record: &Record, processes: &BTreeSet<&str>) -> Vec<Fault> {
    at_notifications(record, processes, &[Effect::WatchDrop, Effect::WatchTwice, Effect::WatchGarbage])
}

fn at_notifications(record: &Record, processes: &BTreeSet<&str>, effects: &[Effect]) -> Vec<Fault> {
    let last_writes: BTreeMap<&str, Timestamp> =
        record.effective_writes().map(|write| (&*write.process, write.sent)).collect();
    let told = record.notifications.iter().filter(|told| processes.contains(&*told.process));
    let causal = told.filter(|told| last_writes.get(&*told.process).is_some_and(|last| told.time < *last));
    let at = |told: &Notified| Moment::notification(&*told.process, told.number);
    causal.flat_map(|told| effects.iter().map(move |effect| Fault::new(at(told), effect.clone()))).collect()
}

/// The writes to what people have asked for: who deletes that wants something else.
fn wanted(record: &Record) -> BTreeSet<Moment> {
    let asked = record.asked();
    let of_asked = |commit: &&Arc<Commit>| asked.contains(&(commit.collection.clone(), commit.key.clone()));
    let requests: BTreeSet<u64> = record.commits.iter().filter(of_asked).map(|commit| commit.request).collect();
    let writes = record.effective_writes().filter(|write| requests.contains(&write.id));
    writes.filter_map(|write| Some(Moment::write(&*write.process, write.counted.write?))).collect()
}

fn at_request(request: &Requested) -> Vec<Fault> {
    let process = &*request.process;
    let counted = request.counted;
    let (at, effects) = match (counted.write, counted.request, counted.election) {
        (Some(number), ..) if request.is_effective() => (Moment::write(process, number), at_write(request)),
        (None, Some(number), _) => (Moment::request(process, number), at_read(request)),
        (.., Some(number)) if number <= ELECTIONS_MAX => (Moment::election(process, number), at_election()),
        _ => return Vec::new(),
    };
    effects.into_iter().map(|effect| Fault::new(at.clone(), effect)).collect()
}

fn at_write(request: &Requested) -> Vec<Effect> {
    let mut effects = vec![
        Effect::crash(false),
        Effect::crash(true),
        Effect::CrashAfter(Outage { down_seconds: 60 }),
        Effect::Stop,
        lost(true, Seen::Silence),
        lost(true, Seen::Reset),
        lost(true, Seen::GatewayTimeout),
        lost(false, Seen::Reset),
        lost(false, Seen::Silence),
        Effect::refuse(500, "InternalError", "Internal error occurred: etcdserver: request timed out"),
        Effect::refuse(503, "ServiceUnavailable", "the server is currently unable to handle the request"),
        Effect::refuse(504, "Timeout", "Timeout: request did not complete within the allotted timeout"),
        Effect::refuse(403, "Forbidden", "User \"operator\" cannot do this: RBAC is being changed"),
        overload(),
        Effect::Garbled(Garbling::Truncated),
        Effect::Garbled(Garbling::Page),
        Effect::Late(Seconds { seconds: 3 }),
        Effect::Freeze(Seconds { seconds: 20 }),
        Effect::Partition(Seconds { seconds: 20 }),
        Effect::StaleView(Seconds { seconds: 30 }),
        Effect::UserEdit(Edit { merge: format!(r#"{{"metadata":{{"annotations":{{"{MARK}":"by a user"}}}}}}"#) }),
        Effect::UserDelete,
        Effect::UserRecreate,
    ];
    if request.method == "POST" {
        let exceeded = "exceeded quota: compute, requested: count=1, used: count=10, limited: count=10";
        effects.push(Effect::refuse(403, "Forbidden", exceeded));
        let denied = "admission webhook \"policy.example.com\" denied the request: not today";
        effects.push(Effect::refuse(403, "Forbidden", denied));
    } else {
        effects.extend([1, 5, 50].map(|times| Effect::Race(Times { times })));
        let changed = "the object has been modified; please apply your changes to the latest version and try again";
        effects.push(Effect::refuse(409, "Conflict", changed));
    }
    effects
}

fn at_read(request: &Requested) -> Vec<Effect> {
    let mut effects = vec![
        Effect::crash(false),
        lost(false, Seen::Silence),
        lost(false, Seen::Reset),
        Effect::refuse(500, "InternalError", "Internal error occurred: etcdserver: leader changed"),
        Effect::refuse(503, "ServiceUnavailable", "the server is currently unable to handle the request"),
        overload(),
    ];
    if request.path.contains("watch=") {
        effects.push(Effect::refuse(410, "Expired", "too old resource version: 1 (2)"));
        effects.push(Effect::refuse(504, "Timeout", "Too large resource version: 2, current: 1"));
    } else {
        effects.extend([Effect::Garbled(Garbling::Truncated), Effect::Garbled(Garbling::Page)]);
    }
    if request.path.contains("continue=") {
        let too_old = "The provided continue parameter is too old to display a consistent list result.";
        effects.push(Effect::refuse(410, "Expired", too_old));
    }
    effects
}

fn at_election() -> Vec<Effect> {
    vec![
        Effect::crash(false),
        Effect::crash(true),
        lost(true, Seen::Silence),
        lost(false, Seen::Silence),
        Effect::refuse(500, "InternalError", "Internal error occurred: etcdserver: request timed out"),
        Effect::refuse(403, "Forbidden", "leases.coordination.k8s.io is forbidden: RBAC is being changed"),
        Effect::Late(Seconds { seconds: 10 }),
        Effect::Slow(Seconds { seconds: 10 }),
        Effect::Freeze(Seconds { seconds: 20 }),
        Effect::Partition(Seconds { seconds: 20 }),
        Effect::ClockStep(Step { seconds: 3600 }),
        Effect::ClockStep(Step { seconds: -3600 }),
        Effect::LeaseSteal,
        Effect::LeaseEmpty,
        Effect::LeaseDelete,
    ]
}

fn at_notification() -> Vec<Effect> {
    vec![
        Effect::crash(false),
        Effect::TimeTravel(Seconds { seconds: TRAVELS_AFTER_SECONDS }),
        Effect::WatchClose,
        Effect::WatchBreak,
        Effect::WatchHang,
        Effect::WatchExpired,
        Effect::WatchDelay(Seconds { seconds: 10 }),
        Effect::WatchGap(Seconds { seconds: 30 }),
        Effect::StaleView(Seconds { seconds: 30 }),
        Effect::Freeze(Seconds { seconds: 20 }),
    ]
}

fn lost(is_applied: bool, seen_as: Seen) -> Effect {
    Effect::Lost(Loss { is_applied, seen_as })
}

fn overload() -> Effect {
    Effect::Refuse(Refusal {
        code: 429,
        reason: "TooManyRequests".to_owned(),
        message: "Too many requests, please try again later.".to_owned(),
        retry_after_seconds: 2,
        times: 2,
    })
}
