//! One run, from an empty server to the end of the quiet hour.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::time::timeout;

use super::{
    Installed, Manifest, Simulation, apply, logs, process::Process, quiet::stay_quiet, recorder::Recorder,
    workload::perform, world::World,
};
use crate::{
    fault::{Plan, injector::Injector},
    oracle::reference::Reference,
    record::{Record, Settled},
};

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

fn until(time: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(time - now).unwrap_or_default()
}
