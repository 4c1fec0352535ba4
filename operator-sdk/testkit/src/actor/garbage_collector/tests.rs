//! What becomes of dependents, as the documentation of Kubernetes has it.

use http::Method;
use serde_json::{Value, json};

use super::*;
use crate::{
    fault::{Effect, Fault, Moment, Plan, Seconds},
    record::{Record, State},
    request::Request,
    simulation::{Manifest, Simulation, act},
};

fn map(name: &str) -> Manifest {
    Manifest::from(json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name } }))
}

/// A ConfigMap with owners by name, each as [`reference`] reads it.
fn create(state: &State, namespace: &str, name: &str, owners: &[&str], finalizers: &[&str]) -> Request {
    let owners: Vec<Value> = owners.iter().map(|owner| reference(state, owner)).collect();
    let metadata = json!({ "name": name, "ownerReferences": owners, "finalizers": finalizers });
    Request::new(Method::POST, format!("/api/v1/namespaces/{namespace}/configmaps"))
        .with_body(&json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata }))
}

/// `!`: it blocks its owner's deletion. `~`: the uid is not the owner's. `/`: the owner is a namespace.
fn reference(state: &State, owner: &str) -> Value {
    let name = owner.trim_start_matches(['!', '~', '/']);
    let (plural, kind, namespace) = match owner.contains('/') {
        true => ("namespaces", "Namespace", ""),
        false => ("configmaps", "ConfigMap", "default"),
    };
    let uid = state.get("", plural, namespace, name).map(|owner| owner.uid().to_owned());
    let uid = uid.filter(|_| !owner.contains('~')).unwrap_or_else(|| "00000000-0000-4000-8000-000000000000".to_owned());
    json!({ "apiVersion": "v1", "kind": kind, "name": name, "uid": uid, "blockOwnerDeletion": owner.contains('!') })
}

fn delete(name: &str, policy: &str) -> Request {
    Request::new(Method::DELETE, format!("/api/v1/namespaces/default/configmaps/{name}"))
        .with_body(&json!({ "propagationPolicy": policy }))
}

/// Creates `a`, then does this step by step.
fn run(steps: Vec<fn(&State) -> Vec<Request>>) -> Record {
    let simulation = Simulation::new().actor(GarbageCollector::default()).with(map("a"));
    steps.into_iter().fold(simulation, |simulation, step| simulation.then(act(step))).run(1)
}

fn names(record: &Record, step: usize) -> Vec<String> {
    record.settled[step].state.list("", "configmaps").map(|(key, _)| key.to_string()).collect()
}

fn owner_names(record: &Record, step: usize, name: &str) -> Vec<String> {
    let object = record.settled[step].state.get("", "configmaps", "default", name).unwrap();
    graph::references(object).into_iter().map(|owner| owner.name).collect()
}

#[test]
fn what_has_lost_its_only_owner_goes_and_so_does_what_it_owns() {
    let record = run(vec![
        |state| vec![create(state, "default", "b", &["a"], &[])],
        |state| vec![create(state, "default", "c", &["b"], &[])],
        |_| vec![delete("a", "Background")],
    ]);
    assert_eq!(names(&record, 2), ["default/a", "default/b", "default/c"]);
    assert_eq!(names(&record, 3), [""; 0]);
}

#[test]
fn who_has_another_owner_lives_on_without_the_lost_one() {
    let record = run(vec![
        |state| vec![create(state, "default", "x", &[], &[]), create(state, "default", "b", &["a", "~z"], &[])],
        |state| vec![create(state, "default", "c", &["a", "x"], &[])],
        |_| vec![delete("a", "Background")],
    ]);
    assert_eq!(owner_names(&record, 1, "b"), ["a"], "one that never was is no owner");
    assert_eq!(owner_names(&record, 3, "c"), ["x"]);
    assert_eq!(names(&record, 3), ["default/c", "default/x"]);
}

#[test]
fn an_owner_of_another_uid_or_namespace_is_none() {
    let record = run(vec![|state| {
        vec![
            create(state, "default", "namesake", &["~a"], &[]),
            create(state, "kube-public", "abroad", &["a"], &[]),
            create(state, "kube-public", "of-cluster", &["/kube-public"], &[]),
        ]
    }]);
    assert_eq!(names(&record, 1), ["default/a", "kube-public/of-cluster"]);
}

#[test]
fn in_the_foreground_the_owner_goes_last_and_waits_for_finalizers_of_those_that_block() {
    let record = run(vec![
        |state| {
            vec![
                create(state, "default", "held", &["!a"], &["example.com/hold"]),
                create(state, "default", "blocks", &["!a"], &[]),
                create(state, "default", "waits-not", &["a"], &["example.com/hold"]),
            ]
        },
        |_| vec![delete("a", "Foreground")],
        |_| {
            vec![
                Request::new(Method::PATCH, "/api/v1/namespaces/default/configmaps/held")
                    .with_content("application/merge-patch+json", r#"{"metadata":{"finalizers":null}}"#),
            ]
        },
    ]);
    assert_eq!(names(&record, 2), ["default/a", "default/held", "default/waits-not"]);
    assert_eq!(names(&record, 3), ["default/waits-not"], "who does not block is not waited for");
    let gone: Vec<String> = record
        .commits
        .iter()
        .filter(|commit| commit.change == crate::store::Change::Deleted)
        .map(|commit| commit.key.name().to_owned())
        .collect();
    assert_eq!(gone, ["blocks", "held", "a"]);
}

#[test]
fn orphans_lose_their_owner_and_stay() {
    let record = run(vec![
        |state| vec![create(state, "default", "b", &["!a"], &[]), create(state, "default", "c", &["a"], &[])],
        |_| vec![delete("a", "Orphan")],
    ]);
    assert_eq!(names(&record, 2), ["default/b", "default/c"]);
    assert_eq!(owner_names(&record, 2, "b"), [""; 0]);
    assert_eq!(owner_names(&record, 2, "c"), [""; 0]);
}

#[test]
fn a_circle_that_is_deleted_in_the_foreground_goes() {
    let record = run(vec![
        |state| vec![create(state, "default", "b", &["!a"], &[])],
        |state| {
            let owners = json!({ "metadata": { "ownerReferences": [reference(state, "!b")] } });
            vec![
                Request::new(Method::PATCH, "/api/v1/namespaces/default/configmaps/a")
                    .with_content("application/merge-patch+json", owners.to_string()),
            ]
        },
        |_| vec![delete("a", "Foreground")],
    ]);
    assert_eq!(names(&record, 2), ["default/a", "default/b"]);
    assert_eq!(names(&record, 3), [""; 0]);
}

#[test]
fn who_names_no_owner_any_more_when_it_is_looked_at_lives_on() {
    let record = run(vec![|state| vec![create(state, "default", "b", &["a"], &[])], |_| {
        let disowned = r#"{"metadata":{"ownerReferences":null}}"#;
        let path = "/api/v1/namespaces/default/configmaps/b";
        let disown = Request::new(Method::PATCH, path).with_content("application/merge-patch+json", disowned);
        vec![delete("a", "Background"), disown]
    }]);
    assert_eq!(names(&record, 2), ["default/b"]);
}

#[test]
fn nothing_is_missed_that_happens_while_a_watch_is_broken() {
    let world = Simulation::new()
        .actor(GarbageCollector::default())
        .with(map("a"))
        .then(act(|state| vec![create(state, "default", "b", &["a"], &[])]))
        .then(act(|_| vec![delete("a", "Background")]));
    let mut struck = 0;
    for number in 1..6 {
        let gap = Effect::WatchGap(Seconds { seconds: 30 });
        let record = world.run_with(1, &Plan::of([Fault::new(Moment::notification("garbage-collector", number), gap)]));
        assert_eq!((names(&record, 1).len(), names(&record, 2).len()), (2, 0), "{number}");
        struck += record.struck.len();
    }
    assert!(struck > 2);
}

#[test]
fn objects_of_a_kind_that_is_defined_later_are_collected_too() {
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": "toys.example.com" },
        "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": { "plural": "toys", "singular": "toy", "kind": "Toy", "listKind": "ToyList" },
            "versions": [{ "name": "v1", "served": true, "storage": true,
                "schema": { "openAPIV3Schema": { "type": "object" } } }],
        },
    });
    let record = Simulation::new()
        .actor(GarbageCollector::default())
        .with(map("a"))
        .then(crate::simulation::apply(Manifest::from(definition)))
        .then(act(|state| {
            let metadata = json!({ "name": "t", "ownerReferences": [reference(state, "a")] });
            let toy = json!({ "apiVersion": "example.com/v1", "kind": "Toy", "metadata": metadata });
            vec![Request::new(Method::POST, "/apis/example.com/v1/namespaces/default/toys").with_body(&toy)]
        }))
        .then(act(|_| vec![delete("a", "Background")]))
        .run(1);
    assert_eq!(record.violations, []);
    assert_eq!(record.settled[2].state.list("example.com", "toys").count(), 1);
    assert_eq!(record.settled[3].state.list("example.com", "toys").count(), 0);
}

#[test]
fn an_idle_day_costs_no_more_than_the_renewal_of_watches() {
    let day = Duration::from_secs(24 * 3600);
    let limits = crate::simulation::Limits { stays_quiet_for: day, ..Default::default() };
    let record = Simulation::new().actor(GarbageCollector::default()).with(map("a")).limits(limits).run(1);
    assert_eq!(record.violations, []);
    let late = record.requests.iter().filter(|request| request.sent > record.settled[0].time + Duration::from_secs(60));
    assert!(late.count() <= 2 * 60, "a list and a watch of each kind");
}
