//! What becomes of pods on nodes.

use std::time::Duration;

use http::Method;
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::*;
use crate::{
    actor::{Scheduler, condition::find},
    fault::{Effect, Fault, Moment, Outage as Down, Plan},
    object::Object,
    record::Record,
    request::Request,
    simulation::{Manifest, Simulation, act},
    store::{Change, Commit},
};

const SECOND: Duration = Duration::from_secs(1);

fn pod(name: &str, image: &str, more: Value) -> Manifest {
    let mut spec = json!({ "containers": [{ "name": "main", "image": image }] });
    for (field, value) in more.as_object().into_iter().flatten() {
        spec[field] = value.clone();
    }
    Manifest::from(json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name }, "spec": spec }))
}

fn cluster(nodes: Nodes) -> Simulation {
    Simulation::new().actor(Scheduler::default()).actor(nodes)
}

fn delete(path: &str) -> Request {
    Request::new(Method::DELETE, path)
}

fn delete_pod(name: &str) -> Request {
    delete(&format!("/api/v1/namespaces/default/pods/{name}"))
}

fn commits<'a>(record: &'a Record, name: &str) -> Vec<&'a Commit> {
    let commits = record.commits.iter().filter(|commit| *commit.collection.plural == *"pods");
    commits.filter(|commit| commit.key.name() == name).map(AsRef::as_ref).collect()
}

fn settled<'a>(record: &'a Record, step: usize, name: &str) -> Option<&'a Object> {
    record.settled[step].state.get("", "pods", "default", name).map(AsRef::as_ref)
}

fn container(pod: &Object) -> &Value {
    &pod["status"]["containerStatuses"][0]
}

fn status<'a>(object: &'a Object, condition: &str) -> &'a str {
    find(object, condition).and_then(|condition| condition["status"].as_str()).unwrap_or("none")
}

/// Phase and readiness as they changed.
fn course(record: &Record, name: &str) -> Vec<(String, String)> {
    let of = |commit: &&Commit| {
        let phase = commit.after["status"]["phase"].as_str().unwrap_or_default().to_owned();
        (phase, status(&commit.after, "Ready").to_owned())
    };
    let mut course: Vec<_> = commits(record, name).iter().map(of).collect();
    course.dedup();
    course
}

#[test]
fn a_pod_is_placed_then_runs_then_is_ready() {
    let nodes = Nodes::new(2).ready_within(SECOND..=2 * SECOND);
    let record = cluster(nodes).with(pod("a", "app:1", json!({}))).run(1);
    assert_eq!(record.violations, []);
    let expected = [("Pending", "none"), ("Pending", "False"), ("Running", "False"), ("Running", "True")];
    assert_eq!(course(&record, "a"), expected.map(|(phase, ready)| (phase.to_owned(), ready.to_owned())));
    let pod = settled(&record, 0, "a").unwrap();
    for kind in ["PodScheduled", "PodReadyToStartContainers", "Initialized", "ContainersReady", "Ready"] {
        assert_eq!(status(pod, kind), "True", "{kind}");
    }
    assert_eq!(find(pod, "Ready").unwrap()["reason"], Value::Null);
    assert_eq!(container(pod)["restartCount"], 0);
    assert!(container(pod)["state"]["running"]["startedAt"].is_string());
    assert!(pod["status"]["podIP"].as_str().unwrap().starts_with("10.244."));
    let (created, ready) = (&commits(&record, "a")[0].time, &commits(&record, "a").last().unwrap().time);
    assert!(ready.duration_since(*created) < SignedDuration::from_secs(5));
}

#[test]
fn an_image_decides_how_its_container_behaves() {
    let nodes = Nodes::new(1)
        .with_image("slow", Behaviour::ready_after(30 * SECOND..=30 * SECOND))
        .with_image("never", Behaviour::never_ready())
        .with_image("missing", Behaviour::image_missing());
    let manifest = ["slow", "never", "missing"]
        .iter()
        .flat_map(|image| pod(image, &format!("registry/{image}:1"), json!({})).objects().to_vec());
    let record = cluster(nodes).with(manifest.collect()).run(1);
    let (slow, never, missing) = (
        settled(&record, 0, "slow").unwrap(),
        settled(&record, 0, "never").unwrap(),
        settled(&record, 0, "missing").unwrap(),
    );
    let times: Vec<_> = commits(&record, "slow").iter().rev().take(2).map(|commit| commit.time).collect();
    assert_eq!(times[0].duration_since(times[1]).as_secs_f64().round() as i64, 30);
    assert_eq!((status(slow, "Ready"), status(never, "Ready"), status(missing, "Ready")), ("True", "False", "False"));
    assert_eq!(find(never, "Ready").unwrap()["message"], "containers with unready status: [main]");
    assert_eq!((&never["status"]["phase"], &missing["status"]["phase"]), (&json!("Running"), &json!("Pending")));
    assert_eq!(container(missing)["state"]["waiting"]["reason"], "ImagePullBackOff");
}

#[test]
fn a_container_that_crashes_is_restarted_after_ever_longer_waits() {
    let nodes = Nodes::new(1).with_image("bad", Behaviour::crash_loops());
    let record = cluster(nodes).with(pod("a", "bad:1", json!({}))).run(1);
    assert_eq!(record.violations, [], "nobody on trial is to blame");
    let mut restarts = Vec::new();
    for commit in commits(&record, "a") {
        let count = container(&commit.after)["restartCount"].as_u64().unwrap_or_default();
        if count > restarts.len() as u64 {
            restarts.push(commit.time);
        }
    }
    let waits: Vec<u64> =
        restarts.windows(2).map(|pair| pair[1].duration_since(pair[0]).as_secs_f64().round() as u64).collect();
    assert_eq!(waits[..7], [10, 20, 40, 80, 160, 300, 300]);
    let last = commits(&record, "a").last().unwrap().after.clone();
    assert_eq!(container(&last)["state"]["waiting"]["reason"], "CrashLoopBackOff");
    assert_eq!(container(&last)["lastState"]["terminated"]["exitCode"], 1);
    assert_eq!((&last["status"]["phase"], status(&last, "Ready")), (&json!("Running"), "False"));
}

#[test]
fn a_program_that_ends_for_good_ends_its_pod() {
    for (code, policy, phase, reason) in [
        (0, "Never", "Succeeded", "PodCompleted"),
        (3, "Never", "Failed", "PodFailed"),
        (0, "OnFailure", "Succeeded", "PodCompleted"),
    ] {
        let behaviour = Behaviour::ready_after(SECOND..=SECOND).exiting_after(20 * SECOND, code);
        let nodes = Nodes::new(1).with_image("job", behaviour);
        let record = cluster(nodes).with(pod("a", "job:1", json!({ "restartPolicy": policy }))).run(1);
        assert_eq!(record.violations, []);
        let pod = settled(&record, 0, "a").unwrap();
        assert_eq!((&pod["status"]["phase"], &find(pod, "Ready").unwrap()["reason"]), (&json!(phase), &json!(reason)));
        assert_eq!(container(pod)["state"]["terminated"]["exitCode"], code);
    }
}

#[test]
fn a_deleted_pod_ends_within_its_grace_and_then_goes() {
    for (takes, code, phase) in [(2, 0, "Succeeded"), (60, 137, "Failed")] {
        let nodes = Nodes::new(1).stopping_within(takes * SECOND..=takes * SECOND);
        let record = cluster(nodes)
            .with(pod("a", "app:1", json!({ "terminationGracePeriodSeconds": 5 })))
            .then(act(|_| vec![delete_pod("a")]))
            .run(1);
        assert_eq!(record.violations, []);
        let commits = commits(&record, "a");
        let marked = commits.iter().find(|commit| commit.after["metadata"]["deletionTimestamp"].is_string()).unwrap();
        let gone = commits.last().unwrap();
        assert_eq!(gone.change, Change::Deleted);
        assert_eq!(gone.time.duration_since(marked.time).as_secs(), takes.min(5) as i64);
        assert_eq!(gone.after["status"]["phase"], phase);
        assert_eq!(container(&gone.after)["state"]["terminated"]["exitCode"], code);
    }
}

#[test]
fn a_finalizer_holds_a_pod_whose_program_has_ended() {
    let held = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "a", "finalizers": ["example.com/hold"] },
        "spec": { "containers": [{ "name": "main", "image": "app" }] },
    });
    let record = cluster(Nodes::new(1)).with(Manifest::from(held)).then(act(|_| vec![delete_pod("a")])).run(1);
    assert_eq!(record.violations, []);
    let pod = settled(&record, 1, "a").unwrap();
    assert_eq!(
        (&pod["status"]["phase"], &pod["metadata"]["deletionGracePeriodSeconds"]),
        (&json!("Succeeded"), &json!(0))
    );
}

#[test]
fn readiness_gates_hold_a_pod_back() {
    let gated = json!({ "readinessGates": [{ "conditionType": "example.com/open" }] });
    let record = cluster(Nodes::new(1))
        .with(pod("a", "app", gated))
        .then(act(|_| {
            let open = json!({ "status": { "conditions": [{ "type": "example.com/open", "status": "True" }] } });
            let request = Request::new(Method::PATCH, "/api/v1/namespaces/default/pods/a/status");
            vec![request.with_content("application/strategic-merge-patch+json", open.to_string())]
        }))
        .run(1);
    let before = settled(&record, 0, "a").unwrap();
    assert_eq!((status(before, "ContainersReady"), status(before, "Ready")), ("True", "False"));
    assert_eq!(find(before, "Ready").unwrap()["reason"], "ReadinessGatesNotReady");
    assert_eq!(status(settled(&record, 1, "a").unwrap(), "Ready"), "True");
}

#[test]
fn a_kubelet_that_starts_again_leaves_what_runs_alone() {
    let nodes = Nodes::new(1).ready_within(SECOND..=SECOND);
    let crash = Effect::CrashBefore(Down { down_seconds: 5 });
    let plan = Plan::of([Fault::new(Moment::time("nodes", 60_000), crash)]);
    let record = cluster(nodes).with(pod("a", "app", json!({}))).run_with(1, &plan);
    assert_eq!((record.violations.len(), record.struck.len()), (0, 1));
    assert_eq!(course(&record, "a").last().unwrap().1, "True");
    let ready = commits(&record, "a").last().unwrap().time;
    assert!(ready < record.struck[&0], "nothing is written of what has not changed");
}

/// A pod on the one node, which is without power from the 100th second on.
fn outage(lasting: Duration, tolerations: Value) -> Record {
    let nodes = Nodes::new(1).with_outage("node-1", 100 * SECOND, lasting);
    cluster(nodes).with(pod("a", "app", json!({ "tolerations": tolerations }))).run(1)
}

#[test]
fn a_node_that_was_away_for_a_moment_starts_its_pods_anew() {
    let record = outage(30 * SECOND, json!([]));
    let pod = &commits(&record, "a").last().unwrap().after;
    assert_eq!((&container(pod)["restartCount"], status(pod, "Ready")), (&json!(1), "True"));
    assert_eq!(container(pod)["lastState"]["terminated"]["reason"], "Unknown");
}

#[test]
fn the_pods_of_a_lost_node_are_not_ready_then_evicted_and_go_when_it_is_back() {
    let record = outage(1000 * SECOND, json!([]));
    let since = |commit: &Commit| commit.time.duration_since(crate::service::START).as_secs();
    let commits = commits(&record, "a");
    let mut later = commits.iter().filter(|commit| since(commit) > 60);
    let unready = later.next().unwrap();
    assert_eq!((status(&unready.after, "Ready"), since(unready)), ("False", 150));
    assert_eq!(unready.after["status"]["phase"], "Running");
    let evicted = commits.iter().find(|commit| commit.after["metadata"]["deletionTimestamp"].is_string()).unwrap();
    assert_eq!((since(evicted), status(&evicted.after, "DisruptionTarget")), (450, "True"));
    let gone = commits.last().unwrap();
    assert_eq!(gone.change, Change::Deleted);
    assert!((1100..1110).contains(&since(gone)), "{}", since(gone));
    let nodes: Vec<_> = record.commits.iter().filter(|commit| *commit.collection.plural == *"nodes").collect();
    assert!(nodes.iter().any(|commit| status(&commit.after, "Ready") == "Unknown"));
    let node = &nodes.last().unwrap().after;
    assert_eq!((status(node, "Ready"), &node["spec"]["taints"]), ("True", &Value::Null));
}

#[test]
fn a_pod_that_tolerates_the_loss_of_its_node_stays() {
    let record = outage(1000 * SECOND, json!([{ "operator": "Exists" }]));
    let pod = record.commits.iter().rev().find(|commit| commit.key.name() == "a").unwrap();
    assert_eq!((&pod.after["metadata"]["deletionTimestamp"], status(&pod.after, "Ready")), (&Value::Null, "True"));
}

#[test]
fn the_pods_of_a_node_that_is_no_more_are_removed() {
    let nodes = Nodes::new(1).with_outage("node-1", 100 * SECOND, Duration::MAX);
    let record =
        cluster(nodes).with(pod("a", "app", json!({}))).then(act(|_| vec![delete("/api/v1/nodes/node-1")])).run(1);
    let gone = commits(&record, "a").last().cloned().unwrap();
    assert_eq!((gone.change, &gone.after["status"]["phase"]), (Change::Deleted, &json!("Failed")));
    assert_eq!(find(&gone.after, "DisruptionTarget").unwrap()["reason"], "DeletionByPodGC");
}

#[test]
fn an_idle_day_costs_no_more_than_the_renewal_of_watches() {
    let limits = crate::simulation::Limits { stays_quiet_for: 24 * 3600 * SECOND, ..Default::default() };
    let record = cluster(Nodes::new(3)).with(pod("a", "app", json!({}))).limits(limits).run(1);
    assert_eq!(record.violations, []);
    let late = record.requests.iter().filter(|request| request.sent > record.settled[0].time + 60 * SECOND);
    assert!(late.count() <= 2 * 8, "a list and a watch of each");
}
