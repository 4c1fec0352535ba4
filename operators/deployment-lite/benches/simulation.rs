//! How long simulated time takes. `cargo xtask bench testkit` runs it, and prints each figure beside its goal.

#![allow(missing_docs, reason = "a program")]

#[path = "../tests/faults/promises.rs"]
mod promises;
#[path = "../tests/faults/workloads.rs"]
#[allow(dead_code, reason = "each program uses a part")]
mod workloads;

use std::time::{Duration, Instant};

use deployment_lite::api::Lite;
use operator_testkit::{
    explore::Faults,
    fault::{Effect, Fault, Moment, Plan},
    simulation::{Limits, Simulation},
};

/// Each figure is the median of so many runs.
const RUNS: usize = 9;
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Writes of the operator in a rollout, at each of which one run is made.
const WRITES: u32 = 12;

fn main() {
    // `cargo test --all-targets` runs it, too, and is not to wait for it.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let day = Limits { stays_quiet_for: DAY, ..Limits::default() };
    let without_a_day = median(|| run(&workloads::web::<Lite>(), &Plan::default()));
    let with_it = median(|| run(&workloads::web::<Lite>().limits(day), &Plan::default()));
    println!("24 virtual hours, a LiteDeployment, its LiteReplicaSet and 3 pods: {with_it:.1?} (goal: 50 ms)");
    println!("  of it the start, and the hour that every run has: {without_a_day:.1?}");
    let rollout = workloads::rollout::<Lite>();
    println!("a rollout of 3 replicas, without faults: {:.1?}", median(|| run(&rollout, &Plan::default())));
    let mut times: Vec<Duration> =
        (1..=WRITES).flat_map(|number| plans(number).map(|plan| run(&rollout, &plan))).collect();
    times.sort_unstable();
    let (middle, slowest) = (times[times.len() / 2], times[times.len() - 1]);
    println!("a rollout with one fault, {} plans: {middle:.1?} (goal: 50 ms), the slowest {slowest:.1?}", times.len());
    explore();
}

/// A crash, a lost answer and a conflict at one write.
fn plans(number: u32) -> impl Iterator<Item = Plan> {
    let refused = Effect::refuse(409, "Conflict", "the object has been modified");
    let effects = [Effect::crash(false), Effect::crash(true), refused];
    effects.into_iter().map(move |effect| Plan::of([Fault::new(Moment::write("deployment-lite", number), effect)]))
}

/// Every single fault at every workload.
fn explore() {
    let begun = Instant::now();
    let mut plans = 0;
    let named = [
        ("rollout", workloads::rollout::<Lite>()),
        ("recreation", workloads::recreation::<Lite>()),
        ("scaling", workloads::scaling::<Lite>()),
        ("deletion", workloads::deletion::<Lite>()),
    ];
    for (name, workload) in named {
        let begun = Instant::now();
        let verdict = workload.explore(Faults::single());
        let broken = verdict.findings.len();
        println!("every single fault at a {name}: {} plans in {:.1?}, {broken} broken", verdict.runs, begun.elapsed());
        plans += verdict.runs;
    }
    println!("all of them: {plans} plans in {:.1?} (goal: 1500 or more within 3 minutes on 2 cores)", begun.elapsed());
}

fn run(simulation: &Simulation, plan: &Plan) -> Duration {
    let begun = Instant::now();
    let record = simulation.run_with(1, plan);
    let took = begun.elapsed();
    assert!(record.violations.is_empty(), "{:?}", record.violations);
    took
}

fn median(run: impl Fn() -> Duration) -> Duration {
    let mut times: Vec<Duration> = (0..RUNS).map(|_| run()).collect();
    times.sort_unstable();
    times[RUNS / 2]
}
