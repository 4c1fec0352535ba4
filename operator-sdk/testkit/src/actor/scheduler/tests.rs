//! Who is placed where, and who is not.

use http::Method;
use serde_json::{Value, json};

use super::*;
use crate::{
    actor::{Nodes, condition::find},
    record::Record,
    simulation::{Manifest, Simulation, act},
};

fn pod(name: &str, more: Value) -> Value {
    let mut spec = json!({ "containers": [{ "name": "main", "image": "app" }] });
    for (field, value) in more.as_object().into_iter().flatten() {
        spec[field] = value.clone();
    }
    json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name }, "spec": spec })
}

fn pods(count: usize) -> Manifest {
    (0..count).map(|number| pod(&format!("p{number}"), json!({}))).collect()
}

/// With nodes that are there before anything else happens.
fn cluster(nodes: Nodes) -> Simulation {
    Simulation::new().actor(Scheduler::default()).actor(nodes).with(Manifest::default())
}

fn patch(path: &str, patch: &Value) -> Request {
    Request::new(Method::PATCH, path).with_content("application/merge-patch+json", patch.to_string())
}

fn cordon(node: &str, is_cordoned: bool) -> Request {
    patch(&format!("/api/v1/nodes/{node}"), &json!({ "spec": { "unschedulable": is_cordoned } }))
}

/// The nodes of all pods, in the order of the pods' names.
fn places(record: &Record, step: usize) -> Vec<String> {
    let pods = record.settled[step].state.list("", "pods");
    pods.map(|(_, pod)| pod["spec"]["nodeName"].as_str().unwrap_or("none").to_owned()).collect()
}

fn refusal(record: &Record, step: usize, name: &str) -> String {
    let pod = record.settled[step].state.get("", "pods", "default", name).unwrap();
    let condition = find(pod, "PodScheduled").unwrap();
    assert_eq!((&condition["status"], &condition["reason"]), (&json!("False"), &json!("Unschedulable")));
    condition["message"].as_str().unwrap().to_owned()
}

#[test]
fn pods_are_spread_over_the_nodes() {
    let record = cluster(Nodes::new(3)).with(pods(6)).run(1);
    assert_eq!(record.violations, []);
    let mut places = places(&record, 1);
    places.sort();
    assert_eq!(places, ["node-1", "node-1", "node-2", "node-2", "node-3", "node-3"]);
}

#[test]
fn who_finds_no_room_waits_until_somebody_goes() {
    let record = cluster(Nodes::new(2).with_room(1))
        .with(pods(3))
        .then(act(|state| {
            let (key, _) = state.list("", "pods").find(|(_, pod)| pod["spec"]["nodeName"] == "node-2").unwrap();
            vec![Request::new(Method::DELETE, format!("/api/v1/namespaces/default/pods/{}", key.name()))]
        }))
        .run(1);
    assert_eq!(record.violations, []);
    let unplaced = record.settled[1].state.list("", "pods").find(|(_, pod)| pod["spec"]["nodeName"].is_null()).unwrap();
    assert_eq!(
        refusal(&record, 1, unplaced.0.name()),
        "0/2 nodes are available: 2 Too many pods. preemption: 0/2 nodes are available: 2 No preemption victims found \
         for incoming pod."
    );
    let mut places = places(&record, 2);
    places.sort();
    assert_eq!(places, ["node-1", "node-2"]);
}

#[test]
fn a_cordoned_node_gets_no_pods_until_it_is_open_again() {
    let record = cluster(Nodes::new(1))
        .then(act(|_| vec![cordon("node-1", true)]))
        .with(pods(1))
        .then(act(|_| vec![cordon("node-1", false)]))
        .run(1);
    assert_eq!(record.violations, []);
    assert!(
        refusal(&record, 2, "p0").starts_with("0/1 nodes are available: 1 node(s) were unschedulable. preemption:")
    );
    assert_eq!(places(&record, 3), ["node-1"]);
}

#[test]
fn a_pod_goes_only_to_nodes_that_it_selects_and_whose_taints_it_tolerates() {
    let taint = json!({ "spec": { "taints": [{ "key": "a", "value": "b", "effect": "NoSchedule" }] } });
    let term = json!({ "matchExpressions": [{ "key": "zone", "operator": "In", "values": ["x"] }] });
    let affinity = json!({ "requiredDuringSchedulingIgnoredDuringExecution": { "nodeSelectorTerms": [term] } });
    let manifest = [
        pod("selects", json!({ "nodeSelector": { "zone": "x" } })),
        pod("prefers-one", json!({ "affinity": { "nodeAffinity": affinity } })),
        pod("selects-none", json!({ "nodeSelector": { "zone": "z" } })),
        pod(
            "tolerates",
            json!({ "nodeSelector": { "kubernetes.io/hostname": "node-2" },
            "tolerations": [{ "key": "a", "operator": "Equal", "value": "b" }] }),
        ),
    ];
    let record = cluster(Nodes::new(2))
        .then(act(move |_| {
            let label = json!({ "metadata": { "labels": { "zone": "x" } } });
            vec![patch("/api/v1/nodes/node-1", &label), patch("/api/v1/nodes/node-2", &taint)]
        }))
        .with(manifest.into_iter().collect())
        .run(1);
    assert_eq!(places(&record, 2), ["node-1", "node-1", "none", "node-2"]);
    let why = "0/2 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, 1 node(s) had untolerated \
               taint(s). preemption:";
    assert!(refusal(&record, 2, "selects-none").starts_with(why), "{}", refusal(&record, 2, "selects-none"));
}

#[test]
fn without_nodes_a_pod_waits_for_one() {
    let record = Simulation::new().actor(Scheduler::default()).with(pods(1)).run(1);
    assert_eq!(refusal(&record, 0, "p0"), "no nodes available to schedule pods");
}
