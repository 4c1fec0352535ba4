//! One run, from an empty server to the end of the quiet hour.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{sleep, timeout};

use super::{
    Installed, Simulation, logs,
    process::{Definition, Process},
    recorder::{Recorder, counts},
    workload::perform,
    world::World,
};
use crate::{
    fault::{Plan, injector::Injector},
    oracle::reference::Reference,
    record::{Record, Settled},
};

/// More writes an hour that change nothing are a hot loop.
const IDLE_WRITES_MAX: u64 = 60;
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
    world.recorder().record_mut().base = base;
    world.start(simulation.processes.iter().cloned().map(Process::new).collect());
    world.start_faults();
    for (number, step) in simulation.workload.iter().enumerate() {
        if let Err(error) = perform(&world, step) {
            world.recorder().violate("workload", world.now(), error);
        }
        settle(&world, simulation, number, reference).await;
    }
    let now = world.now();
    world.recorder().judge_settled(now);
    stay_quiet(&world, simulation.limits.stays_quiet_for, &simulation.processes).await;
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
    loop {
        let last = *changed.borrow_and_update();
        let last = last.max(begun);
        let quiet = until(last + limits.settles_after, world.now());
        if timeout(quiet, changed.changed()).await.is_ok()
            && world.now() < deadline(world, begun, limits.settles_within)
        {
            continue;
        }
        let differences = reference.map(|reference| reference.differences(step, world.recorder().state()));
        let differences = differences.unwrap_or_default();
        let is_over = world.now() >= deadline(world, begun, limits.settles_within);
        if differences.is_empty() && !is_over {
            break;
        }
        if is_over {
            let what = if differences.is_empty() { "it does not settle".to_owned() } else { differences.join("\n  ") };
            let message = format!("step {}: {what}", step + 1);
            world.recorder().violate("O1 convergence", world.now(), message);
            break;
        }
        let left = until(deadline(world, begun, limits.settles_within), world.now());
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
    let struck = recorder.record().struck.values().max().copied();
    struck.unwrap_or(begun).max(begun) + within
}

/// Lets time pass in which nothing may change, and hardly anything be tried.
async fn stay_quiet(world: &World, span: Duration, processes: &[Definition]) {
    let (begun, before) = (world.now(), world.recorder().record().commits.len());
    sleep(span).await;
    let mut recorder = world.recorder();
    let hours = span.as_secs().div_ceil(3600);
    for process in processes.iter().filter(|process| !process.is_actor) {
        let requests = recorder.record().requests.iter().rev().take_while(|request| request.sent >= begun);
        let writes = requests.filter(|request| request.process == process.name && request.counted.write.is_some());
        let tried = writes.count();
        if tried as u64 > IDLE_WRITES_MAX * hours {
            let message = format!("{} sent {tried} writes in {hours} h in which there was nothing to do", process.name);
            recorder.violate("O2 quiescence", begun, message);
        }
    }
    let late: Vec<String> = recorder.record().commits[before..]
        .iter()
        .filter(|commit| counts(commit))
        .map(|commit| format!("{:?} {} {}", commit.change, commit.collection.plural, commit.key))
        .collect();
    if !late.is_empty() {
        let told = late[..late.len().min(TOLD_MAX)].join(", ");
        let message = format!("{} changes after everything had settled: {told}", late.len());
        recorder.violate("O2 quiescence", begun, message);
    }
}

fn until(time: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(time - now).unwrap_or_default()
}
