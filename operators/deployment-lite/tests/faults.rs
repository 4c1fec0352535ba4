//! deployment-lite under everything that can go wrong at each of its writes, requests and notifications, one thing at a
//! time: it comes to what it comes to without faults, and its promises hold after every commit
//! ([`deployment_lite::invariants`]).
//!
//! The explorations are long, and not in a plain run: `cargo xtask soak faults` runs them. What runs always is each
//! workload without faults.

#![allow(missing_docs, reason = "a test")]

#[path = "faults/promises.rs"]
mod promises;
#[path = "faults/workloads.rs"]
#[allow(dead_code, reason = "each program uses a part")]
mod workloads;

use std::sync::Arc;

use deployment_lite::api::{BuiltIn, Lite};
use operator_testkit::{
    explore::Faults,
    fault::{Effect, Fault, Moment, Plan},
    simulation::Simulation,
    store::{Change, Commit},
};

use self::workloads::{Mode, OPERATOR, deletion, recreation, return_of_a_name, rollout, scaling};

/// Which faults a workload is spared, by what they do and at which path.
type Spared = fn(&Fault, &str) -> bool;

/// What people do, by name, and what cannot come to what it comes to without faults.
fn workloads<M: Mode>() -> [(&'static str, Simulation, Spared); 5] {
    [
        ("rollout", rollout::<M>(), is_made_anew),
        ("recreation", recreation::<M>(), is_made_anew_or_forgotten),
        ("scaling", scaling::<M>(), is_made_anew),
        ("deletion", deletion::<M>(), is_made_anew),
        ("return of a name", return_of_a_name::<M>(), is_made_anew_or_unheard),
    ]
}

/// Who deletes a deployment and makes it anew at once gets another ReplicaSet if the old one still has its name, as upstream
/// has it: `t06_…` in `perturbations.rs`.
fn is_made_anew(fault: &Fault, path: &str) -> bool {
    fault.effect == Effect::UserRecreate && path.contains("deployments/web")
}

/// Revisions are counted by the ReplicaSets that there are: who deletes one begins anew, as upstream has it.
fn is_made_anew_or_forgotten(fault: &Fault, path: &str) -> bool {
    let is_deletion = matches!(fault.effect, Effect::UserDelete | Effect::UserRecreate);
    is_made_anew(fault, path) || is_deletion && path.contains("replicasets/web")
}

/// Who does not hear that a deployment is gone makes its ReplicaSet once more:
/// [`who_does_not_hear_that_a_deployment_is_gone_makes_its_replica_set_once_more_and_no_more`].
fn is_made_anew_or_unheard(fault: &Fault, path: &str) -> bool {
    let is_unheard = matches!(fault.effect, Effect::WatchHang | Effect::WatchGap(_) | Effect::WatchDelay(_));
    is_made_anew(fault, path) || is_unheard && !path.ends_with("pods")
}

fn explore<M: Mode>(faults: Faults) {
    let mut broken = Vec::new();
    for (name, workload, spared) in workloads::<M>() {
        let verdict = workload.explore(faults.except(spared));
        println!("{} {name}: {verdict}", M::DEPLOYMENT.0);
        if !verdict.is_good() {
            broken.push(name);
        }
    }
    assert!(broken.is_empty(), "broken: {broken:?}; the verdicts stand above");
}

#[test]
fn without_faults_every_workload_comes_to_the_same_end_whatever_the_seed() {
    explore::<Lite>(Faults::single().only(|_| false));
    explore::<BuiltIn>(Faults::single().only(|_| false));
}

#[cfg(feature = "soak")]
#[test]
fn no_single_fault_keeps_a_lite_deployment_from_its_end() {
    explore::<Lite>(Faults::single());
}

#[cfg(feature = "soak")]
#[test]
fn no_single_fault_keeps_a_deployment_from_its_end() {
    explore::<BuiltIn>(Faults::single());
}

#[test]
fn what_a_fault_once_broke_holds() {
    recreation::<Lite>().replay_saved("tests/testdata/plans/recreation").assert_converges();
}

#[test]
fn who_does_not_hear_that_a_deployment_is_gone_makes_its_replica_set_once_more_and_no_more() {
    let made = (25..35).map(|number| {
        let hangs = Fault::new(Moment::notification(OPERATOR, number), Effect::WatchHang);
        let record = return_of_a_name::<Lite>().run_with(1, &Plan::of([hangs]));
        assert_eq!(record.violations, [], "notification {number}");
        let is_set = |commit: &&Arc<Commit>| &*commit.collection.plural == Lite::REPLICA_SET.1;
        record.commits.iter().filter(is_set).filter(|commit| commit.change == Change::Created).count()
    });
    assert_eq!(made.max(), Some(3), "one for each deployment, and one in vain");
}
