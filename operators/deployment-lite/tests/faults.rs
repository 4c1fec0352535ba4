//! deployment-lite under everything that can go wrong at each of its writes, requests and notifications, one thing at a
//! time: it comes to what it comes to without faults, and its promises hold after every commit
//! ([`deployment_lite::invariants`]).
//!
//! `DEPLOYMENT_LITE_PLANS=all` runs every plan (`cargo xtask soak faults`); a plain test runs a part of them, another one
//! each time.

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

#[test]
fn without_faults_a_rollout_is_quick() {
    let record = web().then(image("web:2")).run(1);
    let said: Vec<String> = record.violations.iter().map(ToString::to_string).collect();
    assert_eq!(said, [""; 0]);
    println!("{} requests, {} commits", record.requests.len(), record.commits.len());
}

#[test]
fn a_rollout_comes_to_its_end() {
    web().then(image("web:2")).explore(Faults::single()).assert_converges();
}

#[test]
fn a_recreation_comes_to_its_end() {
    let recreate = change(json!({"strategy": {"type": "Recreate", "rollingUpdate": null}}));
    web().then(recreate).then(image("web:2")).explore(Faults::single()).assert_converges();
}

#[test]
fn scaling_to_nothing_and_back_comes_to_its_end() {
    let sizes = [1, 0, 2].map(|replicas| change(json!({"replicas": replicas})));
    sizes.into_iter().fold(web(), Simulation::then).explore(Faults::single()).assert_converges();
}

#[test]
fn what_is_deleted_goes_with_all_that_it_owns() {
    web().then(delete(yaml!("tests/testdata/workloads/web.yaml"))).explore(Faults::single()).assert_converges();
}
