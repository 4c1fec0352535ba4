//! The quiet time at the end of a run, in which nothing may change, and hardly anything be tried, but by actors: a container
//! that crashes again and again is no fault of who is on trial.

use std::{collections::BTreeSet, time::Duration};

use jiff::{SignedDuration, Timestamp};
use tokio::time::sleep;

use super::{Simulation, recorder::Recorder, world::World};
use crate::{record::Violation, store::Commit};

/// More writes an hour that change nothing are a hot loop.
const IDLE_WRITES_MAX: u64 = 60;
/// And so are more reads: many kinds may be listed and watched anew every five minutes.
const IDLE_READS_MAX: u64 = 1200;
/// A shorter time shows no rate, and what a fault has left behind may not be over.
const MINUTES_10: u64 = 600;
/// More changes than this are not told one by one.
const TOLD_MAX: usize = 5;

/// Lets the time pass, and judges it.
pub(super) async fn stay_quiet(world: &World, simulation: &Simulation) {
    // What strikes several times in a row may not have had its fill.
    world.injector().end();
    let quiet = Quiet::begin(world, simulation.limits.stays_quiet_for);
    sleep(quiet.span).await;
    let mut recorder = world.recorder();
    let on_trial = simulation.processes.iter().filter(|process| !process.is_actor);
    let mut violations: Vec<Violation> = on_trial.flat_map(|process| quiet.tries(&recorder, &process.name)).collect();
    violations.extend(quiet.changes(&recorder, &simulation.actors().collect()));
    violations.extend(quiet.errors(&recorder));
    recorder.record_mut().violations.extend(violations);
}

struct Quiet {
    begun: Timestamp,
    span: Duration,
    /// Of a fault the last that is left behind, such as that there was no answer, may be told until then; then it is over.
    told_until: Timestamp,
    is_undisturbed: bool,
    /// How many of the record's requests and commits were before.
    requests: usize,
    commits: usize,
}

impl Quiet {
    fn begin(world: &World, span: Duration) -> Self {
        let (begun, recorder) = (world.now(), world.recorder());
        let record = recorder.record();
        let is_undisturbed = record.plan.faults.is_empty();
        Self {
            begun,
            span,
            told_until: if is_undisturbed { begun } else { begun + span / 2 },
            is_undisturbed,
            requests: record.requests.len(),
            commits: record.commits.len(),
        }
    }

    /// That a process asks again and again.
    fn tries(&self, recorder: &Recorder, process: &str) -> Vec<Violation> {
        let own = recorder.record().requests[self.requests..].iter().filter(|request| &*request.process == process);
        let counted = own.filter(|request| request.counted.request.is_some());
        let (writes, reads): (Vec<_>, Vec<_>) = counted.partition(|request| request.counted.write.is_some());
        let hours = |max: u64| max * self.span.as_secs().max(MINUTES_10) / 3600;
        let sorts = [(writes.len(), "writes", hours(IDLE_WRITES_MAX)), (reads.len(), "reads", hours(IDLE_READS_MAX))];
        let excessive = sorts.into_iter().filter(|(tried, _, max)| *tried as u64 > *max);
        let span = SignedDuration::from_secs(self.span.as_secs().cast_signed());
        let told = excessive.map(|(tried, what, _)| {
            let message = format!("{process} sent {tried} {what} in {span:#} in which there was nothing to do");
            Violation { oracle: "O2 quiescence", time: self.begun, message }
        });
        told.collect()
    }

    /// That something is still written.
    fn changes(&self, recorder: &Recorder, actors: &BTreeSet<&str>) -> Option<Violation> {
        let is_actors = |commit: &Commit| recorder.sender(commit.request).is_some_and(|name| actors.contains(name));
        let is_late = |commit: &Commit| !commit.collection.is_chatter() || commit.time > self.told_until;
        let late: Vec<String> = recorder.record().commits[self.commits..]
            .iter()
            .filter(|commit| !commit.collection.is_leases() && is_late(commit) && !is_actors(commit))
            .map(|commit| format!("{:?} {} {}", commit.change, commit.collection.plural, commit.key))
            .collect();
        let told = late[..late.len().min(TOLD_MAX)].join(", ");
        let message = format!("{} changes after everything had settled: {told}", late.len());
        (!late.is_empty()).then_some(Violation { oracle: "O2 quiescence", time: self.begun, message })
    }

    /// That somebody still fails. Where nothing goes wrong every error counts, whenever it is (O5).
    fn errors(&self, recorder: &Recorder) -> Option<Violation> {
        if self.is_undisturbed || self.span.as_secs() < MINUTES_10 {
            return None;
        }
        let log = &recorder.record().log;
        let errors = log.iter().filter(|line| line.is_error && line.time > self.told_until);
        let first = errors.clone().next()?;
        let message = format!("{} errors in the log long after everything had settled: {}", errors.count(), first.text);
        Some(Violation { oracle: "O5 log", time: self.told_until, message })
    }
}
