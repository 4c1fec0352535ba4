//! What is expected of an exploration: that it finds the cause, or nothing.

use operator_testkit::{
    explore::Faults,
    request::User,
    simulation::{Environment, Simulation},
    yaml,
};

/// Which of two controllers: they differ in one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Twin {
    Broken,
    Correct,
}

/// How a verdict names a cause.
pub(crate) struct Cause {
    /// Which promise is broken.
    pub(crate) oracle: &'static str,
    /// What is said of it: the object, and what is wrong with it.
    pub(crate) says: &'static [&'static str],
    /// What has to go wrong for it, as plans write it; empty: nothing.
    pub(crate) fault: &'static str,
}

/// A world with one controller, which may do anything.
pub(crate) fn world<F>(controller: impl Fn(Environment) -> F + Send + Sync + 'static) -> Simulation
where
    F: Future<Output = Result<(), String>> + Send + 'static,
{
    empty_world().process("controller", User::administrator(), controller)
}

pub(crate) fn empty_world() -> Simulation {
    Simulation::new().installed(yaml!("tests/broken_reconcilers/database.yaml"))
}

/// Passes if the default exploration finds this cause.
pub(crate) fn assert_caught(simulation: &Simulation, cause: &Cause) {
    let verdict = simulation.explore(Faults::single());
    let is_named = |text: &str| {
        let broken = text.split("plan:").next().unwrap_or_default();
        let plan = text.split("plan:").nth(1).and_then(|rest| rest.split("log (").next()).unwrap_or_default();
        broken.split("✗ ").any(|one| one.contains(cause.oracle) && cause.says.iter().all(|said| one.contains(said)))
            && (if cause.fault.is_empty() { plan.contains("faults: []") } else { plan.contains(cause.fault) })
    };
    let is_caught = verdict.findings.iter().any(|finding| is_named(&finding.to_string()));
    assert!(is_caught, "not found: {}, {:?}, by {:?}\n{verdict}", cause.oracle, cause.says, cause.fault);
}

/// Passes if the default exploration finds nothing.
pub(crate) fn assert_passes(simulation: &Simulation) {
    let verdict = simulation.explore(Faults::single());
    verdict.assert_converges();
    assert!(verdict.struck > 0, "{verdict}");
}
