//! One run, from an empty server to the end of the quiet hour.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::time::{sleep, timeout};

use super::{
    Installed, Manifest, Simulation, apply, logs, process::Process, recorder::Recorder, workload::perform, world::World,
};
use crate::{
    fault::{Plan, injector::Injector},
    oracle::reference::Reference,
    record::{Record, Settled},
    store::Commit,
};

/// More writes an hour that change nothing are a hot loop.
const IDLE_WRITES_MAX: u64 = 60;
/// And so are more reads: many kinds may be listed and watched anew every five minutes.
const IDLE_READS_MAX: u64 = 1200;
/// A shorter time shows no rate, and what a fault has left behind may not be over.
const MINUTES_10: u64 = 600;
/// More changes of a quiet time than this are not told one by one.
const TOLD_MAX: usize = 5;

/// Runs once on a thread of its own. With a `reference`, each step has to come to what it came to there.
///
/// # Panics
/// If the machine refuses what a run needs.
pub(super) fn run(simulation: &Simulation, seed: u64, plan: &Plan, reference: Option<&Reference>) -> Record {
    // Made outside the run, whose chance must not depend on whether it is the first.
    let server = simulation.server(seed);
    operator_testkit_entropy::run(seed, || {
        logs::catch(|| {
            let mut builder = tokio::runtime::Builder::new_current_thread();
            builder.enable_time().start_paused(true);
            #[cfg(tokio_unstable)]
            builder.rng_seed(tokio::runtime::RngSeed::from_bytes(&seed.to_le_bytes()));
            match builder.build() {
                Ok(runtime) => runtime.block_on(drive(simulation, server, seed, plan, reference)),
                Err(error) => panic!("failed to start a runtime: {error}"),
            }
        })
    })
}

async fn drive(
    simulation: &Simulation,
    server: Installed,
    seed: u64,
    plan: &Plan,
    reference: Option<&Reference>,
) -> Record {
    let judges = simulation.judges.iter().map(|judge| judge()).collect();
    let recorder = Recorder::new(seed, plan.clone(), judges);
    let (server, refused) = server;
    let world = World::new(server, recorder, Injector::new(plan.clone()));
    logs::belong_to(world.clone());
    if let Some(error) = refused {
        world.recorder().violate("installation", world.now(), error);
    }
    world.network().with(|server, _| server.enforce_permissions(true));
    let base = world.recorder().state().revision;
    let actors = simulation.processes.iter().filter(|process| process.is_actor);
    let actors = actors.map(|process| Arc::clone(&process.name)).collect();
    {
        let mut recorder = world.recorder();
        (recorder.record_mut().base, recorder.record_mut().actors) = (base, actors);
    }
    world.start(simulation.processes.iter().cloned().map(Process::new).collect());
    world.start_faults();
    // Where people ask for nothing, what processes do by themselves is to settle.
    let nothing = [apply(Manifest::default())];
    let workload = if simulation.workload.is_empty() { &nothing } else { &*simulation.workload };
    for (number, step) in workload.iter().enumerate() {
        if let Err(error) = perform(&world, number + 1, step) {
            world.recorder().violate("workload", world.now(), error);
        }
        settle(&world, simulation, number, reference).await;
    }
    let now = world.now();
    world.recorder().judge_settled(now);
    stay_quiet(&world, simulation).await;
    let now = world.now();
    let used = world.network().with(|server, _| server.used_permissions().clone());
    let mut recorder = world.recorder();
    recorder.record_mut().used_permissions = used;
    recorder.finish(now)
}

/// Waits until nothing has moved for a while and all is as in the reference; or until there is no more time for it.
async fn settle(world: &World, simulation: &Simulation, step: usize, reference: Option<&Reference>) {
    let limits = simulation.limits;
    let begun = world.now();
    let mut changed = world.changed();
    // Between two steps people do not wait for a fault to be over.
    let is_last = step + 1 >= simulation.workload.len();
    let busy_until = || if is_last { world.busy_until().max(begun) } else { begun };
    loop {
        let last = *changed.borrow_and_update();
        let last = last.max(begun).max(busy_until());
        let quiet = until(last + limits.settles_after, world.now());
        if timeout(quiet, changed.changed()).await.is_ok()
            && world.now() < deadline(world, busy_until(), limits.settles_within)
        {
            continue;
        }
        if world.now() < busy_until() {
            continue;
        }
        let differences = reference.map(|reference| reference.differences(step, world.recorder().state()));
        let differences = differences.unwrap_or_default();
        let is_over = world.now() >= deadline(world, busy_until(), limits.settles_within);
        if differences.is_empty() && !is_over {
            break;
        }
        if is_over {
            let what = if differences.is_empty() { "it does not settle".to_owned() } else { differences.join("\n  ") };
            let message = format!("step {}: {what}", step + 1);
            world.recorder().violate("O1 convergence", world.now(), message);
            break;
        }
        let left = until(deadline(world, busy_until(), limits.settles_within), world.now());
        let _ = timeout(left, changed.changed()).await;
    }
    let time = *changed.borrow();
    let mut recorder = world.recorder();
    let state = recorder.state().clone();
    recorder.record_mut().settled.push(Settled { time, state });
}

/// When all must have settled: so long after people did something, or a fault struck.
fn deadline(world: &World, begun: Timestamp, within: Duration) -> Timestamp {
    let recorder = world.recorder();
    recorder.last_struck().unwrap_or(begun).max(begun) + within
}

/// Lets time pass in which nothing may change, and hardly anything be tried, but by actors: a container that crashes again
/// and again is no fault of who is on trial.
async fn stay_quiet(world: &World, simulation: &Simulation) {
    let span = simulation.limits.stays_quiet_for;
    let begun = world.now();
    // What strikes several times in a row may not have had its fill.
    world.injector().end();
    let (requests, commits) = {
        let recorder = world.recorder();
        (recorder.record().requests.len(), recorder.record().commits.len())
    };
    sleep(span).await;
    let mut recorder = world.recorder();
    for process in simulation.processes.iter().filter(|process| !process.is_actor) {
        let own = recorder.record().requests[requests..].iter().filter(|request| request.process == process.name);
        let (mut reads, mut writes) = (0, 0);
        for request in own.filter(|request| request.counted.request.is_some()) {
            *if request.counted.write.is_some() { &mut writes } else { &mut reads } += 1;
        }
        for (tried, what, max) in [(writes, "writes", IDLE_WRITES_MAX), (reads, "reads", IDLE_READS_MAX)] {
            if tried > max * span.as_secs().max(MINUTES_10) / 3600 {
                let span = jiff::SignedDuration::from_secs(span.as_secs().cast_signed());
                let message =
                    format!("{} sent {tried} {what} in {span:#} in which there was nothing to do", process.name);
                recorder.violate("O2 quiescence", begun, message);
            }
        }
    }
    let actors: BTreeSet<&str> = simulation.actors().collect();
    let is_actors = |commit: &Commit| recorder.sender(commit.request).is_some_and(|name| actors.contains(name));
    // Of what a fault has left behind the last may be told in this time, such as that there was no answer; but then it is over.
    let is_undisturbed = recorder.record().plan.faults.is_empty();
    let told_until = if is_undisturbed { begun } else { begun + span / 2 };
    let is_late = |commit: &Commit| !commit.collection.is_chatter() || commit.time > told_until;
    let late: Vec<String> = recorder.record().commits[commits..]
        .iter()
        .filter(|commit| !commit.collection.is_leases() && is_late(commit) && !is_actors(commit))
        .map(|commit| format!("{:?} {} {}", commit.change, commit.collection.plural, commit.key))
        .collect();
    if !late.is_empty() {
        let told = late[..late.len().min(TOLD_MAX)].join(", ");
        let message = format!("{} changes after everything had settled: {told}", late.len());
        recorder.violate("O2 quiescence", begun, message);
    }
    // Where nothing goes wrong every error counts (O5).
    if is_undisturbed || span.as_secs() < MINUTES_10 {
        return;
    }
    let errors = recorder.record().log.iter().filter(|line| line.is_error && line.time > told_until);
    if let Some(first) = errors.clone().next() {
        let message = format!("{} errors in the log long after everything had settled: {}", errors.count(), first.text);
        recorder.violate("O5 log", told_until, message);
    }
}

fn until(time: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(time - now).unwrap_or_default()
}
