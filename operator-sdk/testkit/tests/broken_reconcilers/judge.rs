//! What is expected of an exploration: that it finds the cause, or nothing.

use std::time::Duration;

use operator_testkit::{
    actor::GarbageCollector,
    explore::Faults,
    request::User,
    simulation::{Environment, Limits, Simulation},
    yaml,
};

/// Longer than any controller here lets something lie.
const SHORT: Duration = Duration::from_secs(1200);

/// Which of two controllers: they differ in one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Twin {
    Broken,
    Correct,
}

/// A world with one controller, which may do anything.
pub(crate) fn world<F>(controller: impl Fn(Environment) -> F + Send + Sync + 'static) -> Simulation
where
    F: Future<Output = Result<(), String>> + Send + 'static,
{
    empty_world().process("controller", User::administrator(), controller)
}

pub(crate) fn empty_world() -> Simulation {
    let limits = Limits { settles_within: SHORT, stays_quiet_for: SHORT, ..Limits::default() };
    Simulation::new().limits(limits).installed(yaml!("tests/broken_reconcilers/database.yaml"))
}

/// The same with somebody who deletes what has lost its owner.
pub(crate) fn collected_world<F>(controller: impl Fn(Environment) -> F + Send + Sync + 'static) -> Simulation
where
    F: Future<Output = Result<(), String>> + Send + 'static,
{
    world(controller).actor(GarbageCollector::default())
}

/// Passes if the default exploration finds that a promise does not hold, says all of this of it, and names the fault, as
/// plans are written; empty: none.
pub(crate) fn assert_caught(simulation: &Simulation, oracle: &str, says: &[&str], fault: &str) {
    let verdict = simulation.explore(Faults::single());
    let is_named = |text: &str| {
        let (broken, rest) = text.split_once("plan:").unwrap_or_default();
        let (plan, _) = rest.split_once("log (").unwrap_or_default();
        let is_said = |one: &str| one.contains(oracle) && says.iter().all(|said| one.contains(said));
        let expected = if fault.is_empty() { "faults: []" } else { fault };
        broken.split("✗ ").any(is_said) && plan.contains(expected)
    };
    let is_caught = verdict.findings.iter().any(|finding| is_named(&finding.to_string()));
    assert!(is_caught, "not found: {oracle}, {says:?}, by {fault:?}\n{verdict}");
}

/// Passes if the default exploration finds nothing.
pub(crate) fn assert_passes(simulation: &Simulation) {
    let verdict = simulation.explore(Faults::single());
    verdict.assert_converges();
    // A plan that is replayed is not counted.
    assert!(verdict.runs == 0 || verdict.struck > 0, "{verdict}");
}
