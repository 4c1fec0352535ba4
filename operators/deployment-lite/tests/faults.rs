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

use deployment_lite::api::{BuiltIn, Lite};
use operator_testkit::{explore::Faults, fault::Effect, simulation::Simulation};

use self::workloads::{Mode, deletion, recreation, return_of_a_name, rollout, scaling};

/// What people do, by name.
fn workloads<M: Mode>() -> [(&'static str, Simulation); 5] {
    [
        ("rollout", rollout::<M>()),
        ("recreation", recreation::<M>()),
        ("scaling", scaling::<M>()),
        ("deletion", deletion::<M>()),
        ("return of a name", return_of_a_name::<M>()),
    ]
}

/// Who deletes a deployment and makes it anew at once gets another ReplicaSet if the old one still has its name, as upstream
/// has it: `t06_…` in `perturbations.rs`.
fn explore<M: Mode>(faults: Faults) {
    let faults = faults.except(|fault, path| fault.effect == Effect::UserRecreate && path.contains("deployments/web"));
    for (name, workload) in workloads::<M>() {
        println!("{} {name}", M::DEPLOYMENT.0);
        workload.explore(faults).assert_converges();
    }
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
