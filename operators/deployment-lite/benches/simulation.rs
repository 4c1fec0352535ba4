//! How long simulated time takes. `cargo xtask bench testkit` runs it, and prints each figure beside its goal.

#![allow(missing_docs, clippy::unwrap_used, reason = "a program")]

#[path = "../tests/simulations/promises.rs"]
#[allow(unused_imports, reason = "a program has no tests")]
mod promises;
#[path = "../tests/simulations/workloads.rs"]
#[allow(dead_code, reason = "each program uses a part")]
mod workloads;

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use deployment_lite::api::Lite;
use operator_testkit::{
    explore::Faults,
    fault::{Effect, Fault, Moment, Plan},
    simulation::{Limits, Simulation},
};
use serde_json::Value;

use self::workloads::{OPERATOR, rollout, web, workloads};

/// Each figure is the median of so many runs.
const RUNS: usize = 21;
const DAY: Duration = Duration::from_secs(24 * 3600);

fn main() {
    // `cargo test --all-targets` runs it, too, and is not to wait for it.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let begun = Instant::now();
    let web = web::<Lite>();
    println!("deriving the definitions, once in a process: {:.1?}", begun.elapsed());
    let yardstick = Yardstick::new(&web);
    println!("a yardstick, the JSON of a pod of {} bytes read and written 1000 times:", yardstick.0.len());
    println!("  {}", yardstick.measure(RUNS, |_| yardstick.take()));
    let hour = yardstick.measure(RUNS, |_| run(&web, &Plan::default()));
    let web = web.limits(Limits { stays_quiet_for: DAY, ..Limits::default() });
    println!("24 virtual hours, a LiteDeployment, its LiteReplicaSet and 3 pods (goal: 50 ms):");
    println!("  {}", yardstick.measure(RUNS, |_| run(&web, &Plan::default())));
    println!("  of it the start, and the hour that every run has: {hour}");
    let rollout = rollout::<Lite>();
    println!("a rollout of 3 replicas, without faults:");
    println!("  {}", yardstick.measure(RUNS, |_| run(&rollout, &Plan::default())));
    let plans = plans(&rollout);
    println!("a rollout with one fault, {} plans (goal: 50 ms):", plans.len());
    println!("  {}", yardstick.measure(plans.len(), |number| run(&rollout, &plans[number])));
    explore();
}

/// A piece of work that is the same whatever becomes of this code, as long as the pod has as many bytes: beside it the
/// other figures tell a slow machine from slow code.
struct Yardstick(Vec<u8>);

impl Yardstick {
    /// With the JSON of a pod of this simulation.
    fn new(simulation: &Simulation) -> Self {
        let record = simulation.run(1);
        let mut pods = record.commits.iter().rev().filter(|commit| &*commit.collection.plural == "pods");
        Self(pods.next().unwrap().after.json().to_vec())
    }

    fn take(&self) -> Duration {
        let begun = Instant::now();
        for _ in 0..1000 {
            let pod: Value = serde_json::from_slice(black_box(&self.0)).unwrap();
            black_box(serde_json::to_vec(&pod).unwrap());
        }
        begun.elapsed()
    }

    /// The median of so many runs, the fastest, the slowest, and the median of how they compare with the yardstick taken just
    /// before.
    fn measure(&self, runs: usize, run: impl Fn(usize) -> Duration) -> String {
        let measured = |number| {
            let yardstick = self.take();
            let time = run(number);
            (time, time.as_secs_f64() / yardstick.as_secs_f64())
        };
        let (mut times, mut ratios): (Vec<Duration>, Vec<f64>) = (0..runs).map(measured).unzip();
        times.sort_unstable();
        ratios.sort_unstable_by(f64::total_cmp);
        let (fastest, median, slowest) = (times[0], times[runs / 2], times[runs - 1]);
        let ratio = ratios[runs / 2];
        format!("{median:.1?}, from {fastest:.1?} to {slowest:.1?}; {ratio:.1} yardsticks")
    }
}

/// A crash before, a crash after and a conflict at each write of the rollout itself.
fn plans(rollout: &Simulation) -> Vec<Plan> {
    let record = rollout.run(1);
    let begun = record.settled[0].time;
    let of_rollout = record.effective_writes().filter(|write| write.sent > begun && &*write.process == OPERATOR);
    let numbers = of_rollout.filter_map(|write| write.counted.write);
    let effects =
        [Effect::crash(false), Effect::crash(true), Effect::refuse(409, "Conflict", "the object has been modified")];
    let plan = |number: u32, effect: &Effect| Plan::of([Fault::new(Moment::write(OPERATOR, number), effect.clone())]);
    numbers.flat_map(|number| effects.each_ref().map(|effect| plan(number, effect))).collect()
}

/// Every single fault at every workload. All of them begin with the same step, and faults in it are tried with the first;
/// with the others they are in `cargo xtask soak faults`.
fn explore() {
    let begun = Instant::now();
    let mut plans = 0;
    for (number, (name, workload, excused)) in workloads::<Lite>().into_iter().enumerate() {
        let begun = Instant::now();
        let verdict = workload.explore(Faults::single().after_step(number.min(1)).excused(excused));
        let (of, broken) = (verdict.plans, verdict.findings.len());
        println!(
            "every single fault, {name}: {} plans of {of} in {:.1?}, {broken} broken",
            verdict.runs,
            begun.elapsed()
        );
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
