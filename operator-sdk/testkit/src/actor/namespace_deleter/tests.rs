//! How a namespace ends.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use super::*;
use crate::{
    actor::{Nodes, Scheduler, condition::find},
    simulation::{Manifest, Simulation, act},
    store::Change,
};

fn object(kind: &str, name: &str, finalizers: &[&str]) -> Value {
    let metadata = json!({ "name": name, "namespace": "ends", "finalizers": finalizers });
    let mut object = json!({ "apiVersion": "v1", "kind": kind, "metadata": metadata });
    if kind == "Pod" {
        object["spec"] = json!({ "containers": [{ "name": "main", "image": "app" }] });
    }
    object
}

fn world(objects: Vec<Value>) -> Simulation {
    let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "ends" } });
    let manifest: Manifest = [namespace].into_iter().chain(objects).collect();
    let end = act(|_| vec![Request::new(Method::DELETE, "/api/v1/namespaces/ends")]);
    Simulation::new().actor(NamespaceDeleter::default()).with(manifest).then(end)
}

#[test]
fn an_empty_namespace_goes_and_others_stay() {
    let record = world(vec![]).run(1);
    assert_eq!(record.violations, []);
    let names: Vec<_> = record.settled[1].state.list("", "namespaces").map(|(key, _)| key.name().to_owned()).collect();
    assert_eq!(names, ["default", "kube-node-lease", "kube-public", "kube-system"]);
}

#[test]
fn everything_in_it_goes_pods_in_good_order_first() {
    let content = vec![object("Pod", "p", &[]), object("ConfigMap", "c", &[]), object("ServiceAccount", "s", &[])];
    let nodes = Nodes::new(1).stopping_within(Duration::from_secs(20)..=Duration::from_secs(20));
    let record = world(content).actor(Scheduler::default()).actor(nodes).run(1);
    assert_eq!(record.violations, []);
    let gone = record.commits.iter().filter(|commit| commit.change == Change::Deleted);
    let gone: Vec<_> = gone.map(|commit| (commit.key.to_string(), commit.time)).collect();
    let names: Vec<_> = gone.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(names, ["ends/p", "ends/c", "ends/s", "ends"]);
    let marked = record.commits.iter().find(|commit| commit.after["status"]["phase"] == "Terminating").unwrap();
    assert!(gone[0].1.duration_since(marked.time).as_secs() >= 20);
}

#[test]
fn a_finalizer_of_its_content_holds_it_and_it_says_so_without_looking_again_and_again() {
    let release = json!({ "metadata": { "finalizers": null } });
    let record = world(vec![object("ConfigMap", "held", &["example.com/hold"]), object("ConfigMap", "free", &[])])
        .then(act(move |_| {
            let request = Request::new(Method::PATCH, "/api/v1/namespaces/ends/configmaps/held");
            vec![request.with_content("application/merge-patch+json", release.to_string())]
        }))
        .run(1);
    assert_eq!(record.violations, []);
    let namespace = record.settled[1].state.get("", "namespaces", "", "ends").unwrap();
    let says = |kind: &str| find(namespace, kind).unwrap()["message"].as_str().unwrap().to_owned();
    assert_eq!(says("NamespaceContentRemaining"), "Some resources are remaining: configmaps. has 1 resource instances");
    assert_eq!(
        says("NamespaceFinalizersRemaining"),
        "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances"
    );
    assert_eq!(find(namespace, "NamespaceDeletionContentFailure").unwrap()["status"], "False");
    let calm = record.settled[1].time + Duration::from_secs(10);
    let asked =
        record.requests.iter().filter(|request| request.sent > calm && request.sent < calm + Duration::from_secs(100));
    assert_eq!(asked.count(), 0);
    assert_eq!(record.settled[2].state.get("", "namespaces", "", "ends"), None);
}
