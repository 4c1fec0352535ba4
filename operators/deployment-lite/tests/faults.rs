//! deployment-lite under everything that can go wrong at each of its writes, requests and notifications, one thing at a
//! time: it comes to what it comes to without faults, and its promises hold after every commit
//! ([`deployment_lite::invariants`]).
//!
//! The explorations are long, and not in a plain run: `cargo xtask soak faults` runs them. What runs always is each
//! workload without faults.

#![allow(missing_docs, reason = "a test")]

#[path = "faults/promises.rs"]
mod promises;

use deployment_lite::controllers;
use http::Method;
use operator_sdk::Operator;
use operator_testkit::{
    actor::Nodes,
    explore::Faults,
    request::Request,
    simulation::{Simulation, Step, act, delete},
    yaml,
};
use serde_json::{Value, json};

use self::promises::Promises;

fn operator() -> Operator {
    let mut operator = Operator::builder("deployment-lite", "test");
    controllers::add_lite(&mut operator);
    operator
}

/// A cluster of three nodes in which somebody asks for three pods.
fn web() -> Simulation {
    Simulation::of(operator)
        .in_cluster(Nodes::new(3))
        .judged_by(Promises::default)
        .with(yaml!("tests/testdata/workloads/web.yaml"))
}

/// Somebody changes the spec of what was asked for.
fn change(spec: Value) -> Step {
    let patch = json!({"spec": spec}).to_string();
    act(move |_| {
        let path = "/apis/apps.operator-lite.dev/v1alpha1/namespaces/default/litedeployments/web";
        vec![Request::new(Method::PATCH, path).with_content("application/merge-patch+json", patch.clone())]
    })
}

fn image(image: &str) -> Step {
    change(json!({"template": {"spec": {"containers": [{"name": "web", "image": image}]}}}))
}

fn rollout() -> Simulation {
    web().then(image("web:2"))
}

fn recreation() -> Simulation {
    web().then(change(json!({"strategy": {"type": "Recreate", "rollingUpdate": null}}))).then(image("web:2"))
}

fn scaling() -> Simulation {
    [1, 0, 2].map(|replicas| change(json!({"replicas": replicas}))).into_iter().fold(web(), Simulation::then)
}

fn deletion() -> Simulation {
    web().then(delete(yaml!("tests/testdata/workloads/web.yaml")))
}

#[test]
fn without_faults_every_workload_comes_to_the_same_end_whatever_the_seed() {
    for simulation in [rollout(), recreation(), scaling(), deletion()] {
        simulation.explore(Faults::single().only(|_| false)).assert_converges();
    }
}

#[cfg(feature = "soak")]
#[test]
fn a_rollout_comes_to_its_end() {
    rollout().explore(Faults::single()).assert_converges();
}

#[cfg(feature = "soak")]
#[test]
fn a_recreation_comes_to_its_end() {
    recreation().explore(Faults::single()).assert_converges();
}

#[cfg(feature = "soak")]
#[test]
fn scaling_to_nothing_and_back_comes_to_its_end() {
    scaling().explore(Faults::single()).assert_converges();
}

#[cfg(feature = "soak")]
#[test]
fn what_is_deleted_goes_with_all_that_it_owns() {
    deletion().explore(Faults::single()).assert_converges();
}
