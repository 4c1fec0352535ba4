//! Each oracle speaks up where its promise is broken, and is silent where it is kept.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{reference::Reference, *};
use crate::{
    fault::{Effect, Fault, Moment, Plan},
    object::Object,
    record::{Answered, Counted, LogLine, Requested, Settled},
    simulation::MARK,
    store::{Change, Collection, Key},
};

#[test]
fn a_replica_may_do_the_work_of_another_but_nobody_may_try_without_end() {
    let tried = |process: &str, times: usize| {
        let mut record = (0..times).fold(Run::default(), |run, _| run.request(process, "PUT", 200)).record;
        record.plan = Plan::of([Fault::new(Moment::write("a", 1), Effect::Stop)]);
        record.actors.insert("nodes".into());
        record
    };
    assert_eq!(budget::tries(&tried("nodes", 9)), 0);
    assert_eq!(budget::tries(&tried("b", 9)), 9);
    assert_eq!(budget::exceeded(&tried("b", 3 * 60 + 41), 60), None);
    assert!(budget::exceeded(&tried("b", 3 * 60 + 42), 60).is_some());
}

/// A run, written down by hand.
#[derive(Default)]
struct Run {
    record: Record,
    state: State,
}

impl Run {
    /// A commit of a process; an object of another name is another object.
    fn commit(self, plural: &str, change: Change, object: Value) -> Self {
        self.commit_of(1, plural, change, object)
    }

    /// A commit of a process, or, as request 0, of people.
    fn commit_of(mut self, request: u64, plural: &str, change: Change, object: Value) -> Self {
        let revision = self.state.revision + 1;
        let mut object = object;
        object["metadata"]["resourceVersion"] = revision.to_string().into();
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        let before = self.state.get("", plural, "default", &name).cloned();
        let commit = Commit {
            revision,
            time: Timestamp::UNIX_EPOCH,
            collection: Collection::new("", plural),
            key: Key::new("default", &name),
            change,
            before,
            after: Object::new(object),
            request,
        };
        self.state.apply(&commit);
        self.record.commits.push(Arc::new(commit));
        self
    }

    fn create(self, plural: &str, object: Value) -> Self {
        self.commit(plural, Change::Created, object)
    }

    fn settle(mut self) -> Self {
        let settled = Settled { time: Timestamp::UNIX_EPOCH, state: self.state.clone() };
        self.record.settled.push(settled);
        self
    }

    fn request(self, process: &str, method: &str, code: u16) -> Self {
        self.request_of(process, method, "/api/v1/namespaces/default/pods/web", code)
    }

    fn request_of(self, process: &str, method: &str, path: &str, code: u16) -> Self {
        self.answered(process, method, path, Some((code, if code < 300 { "" } else { "Reason" })))
    }

    /// A request of a path that is not served.
    fn request_in_vain(self, process: &str, method: &str, path: &str) -> Self {
        self.answered(process, method, path, Some((404, "")))
    }

    fn answered(mut self, process: &str, method: &str, path: &str, answer: Option<(u16, &str)>) -> Self {
        let answer = answer.map(|(code, reason)| Answered {
            code,
            reason: reason.to_owned(),
            message: String::new(),
            is_effective: false,
            is_fault: false,
        });
        self.record.requests.push(Requested {
            id: 1,
            sent: Timestamp::UNIX_EPOCH,
            process: process.into(),
            counted: Counted { request: Some(1), write: Some(1), election: None },
            method: method.to_owned(),
            path: path.to_owned(),
            answer,
            faults: Vec::new(),
        });
        self
    }

    fn log(mut self, is_error: bool, text: &str) -> Self {
        self.record.log.push(LogLine { time: Timestamp::UNIX_EPOCH, is_error, text: text.to_owned() });
        self
    }

    fn with_fault(mut self, effect: Effect) -> Self {
        self.record.plan = Plan::of([Fault::new(Moment::write("a", 1), effect)]);
        self
    }

    fn broken(&self) -> Vec<&'static str> {
        self.record.broken().into_iter().map(|violation| violation.oracle).collect()
    }
}

fn pod(name: &str, uid: &str) -> Value {
    json!({"kind": "Pod", "metadata": {"name": name, "namespace": "default", "uid": uid, "generateName": "web-"}})
}

/// How the end of one run differs from that of another.
fn differences(found: Run, expected: Run) -> Vec<String> {
    let (found, expected) = (found.settle(), expected.settle());
    let reference = Reference::of(&[expected.record]);
    reference.differences(0, &found.state)
}

#[test]
fn states_that_differ_in_names_uids_times_and_versions_alone_are_the_same() {
    let run = |name: &str, uid: &str, time: &str| {
        let event = json!({"metadata": {"name": "web", "uid": format!("of {uid}"), "annotations": {"pod": name, "at": time}},
            "spec": {"ref": uid}});
        Run::default().create("pods", pod(name, uid)).create("maps", event)
    };
    let one = run("web-abcde", "11111111-1111-4111-8111-111111111111", "2026-01-01T00:00:00Z");
    let other = run("web-fghij", "22222222-2222-4222-8222-222222222222", "2026-01-01T00:00:07.5Z");
    assert_eq!(differences(one, other), [""; 0]);
}

#[test]
fn a_long_name_is_generated_from_its_beginning_alone() {
    let run = |end: &str| {
        let base = "w".repeat(70);
        let metadata = json!({"name": format!("{}{end}", &base[..58]), "uid": end, "generateName": base});
        Run::default().create("pods", json!({"metadata": metadata}))
    };
    assert_eq!(differences(run("abcde"), run("fghij")), [""; 0]);
}

#[test]
fn one_object_more_one_less_and_another_value_are_told() {
    let map = |value: &str| json!({"metadata": {"name": "web", "uid": "m"}, "data": {"text": value}});
    let found = Run::default().create("pods", pod("web-a", "1")).create("maps", map("new"));
    let wanted = Run::default().create("maps", map("old")).create("secrets", json!({"metadata": {"name": "key"}}));
    let told = differences(found, wanted);
    assert_eq!(told.len(), 3, "{told:?}");
    assert_eq!(told[0], r#"maps/default/web: /data/text: expected "old", found "new""#);
    assert!(told[1].starts_with("pods/default/web-*: expected nothing"), "{}", told[1]);
    assert!(told[2].ends_with("found nothing"), "{}", told[2]);
}

#[test]
fn what_runs_without_faults_do_not_agree_on_is_not_compared() {
    let run = |chance: &str| {
        let map = json!({"metadata": {"name": "web"}, "data": {"chance": chance, "text": "same"}});
        Run::default().create("maps", map).settle()
    };
    let reference = Reference::of(&[run("a").record, run("b").record]);
    assert_eq!(reference.differences(0, &run("c").state), [""; 0]);
}

#[test]
fn what_processes_tell_of_themselves_is_not_compared_but_other_kinds_of_such_names_are() {
    for (group, plural) in [("", "events"), ("events.k8s.io", "events"), ("coordination.k8s.io", "leases")] {
        assert!(Collection::new(group, plural).is_chatter(), "{group}/{plural}");
    }
    assert!(!Collection::new("example.com", "events").is_chatter());
    let lease = || Run::default().create("leases", json!({"metadata": {"name": "of an address"}}));
    assert_eq!(differences(Run::default(), lease()).len(), 1);
    let reference = Reference::of(&[Run::default().settle().record]);
    assert_eq!(judge(&lease().record, Some(&reference), &[]).len(), 1, "one more was made");
}

#[test]
fn a_generation_that_was_not_observed_is_a_difference() {
    let run = |observed: u32| {
        let web = json!({"metadata": {"name": "web", "generation": 7}, "status": {"observedGeneration": observed}});
        Run::default().create("deployments", web)
    };
    assert_eq!(differences(run(7), run(7)), [""; 0]);
    assert_eq!(differences(run(6), run(7)).len(), 1);
}

#[test]
fn more_creations_than_without_faults_are_told_unless_somebody_deleted_what_is_wanted() {
    let reference = Reference::of(&[Run::default().create("pods", pod("web-a", "1")).settle().record]);
    let twice = || Run::default().create("pods", pod("web-a", "1")).create("pods", pod("web-b", "2"));
    let broken = |run: Run| judge(&run.record, Some(&reference), &[]).len();
    assert_eq!(broken(twice()), 1);
    assert_eq!(broken(twice().with_fault(Effect::crash(true))), 1);
    assert_eq!(broken(twice().with_fault(Effect::UserDelete)), 0);
}

#[test]
fn an_excuse_excuses_what_it_names_as_often_as_it_is_given() {
    let pods = |names: &[&str]| names.iter().fold(Run::default(), |run, name| run.create("pods", pod(name, name)));
    let reference = Reference::of(&[pods(&["web-a"]).create("maps", json!({"metadata": {"name": "m"}})).record]);
    let broken = |run: Run, excuses: &[Excuse]| judge(&run.record, Some(&reference), excuses).len();
    let one_more = Excuse::More(&[("pods", 1)]);
    assert_eq!(broken(pods(&["web-a", "web-b"]), &[one_more]), 0);
    assert_eq!(broken(pods(&["web-a", "web-b"]), &[Excuse::More(&[("maps", 1)])]), 1);
    assert_eq!(broken(pods(&["web-a", "web-b", "web-c"]), &[one_more]), 1);
    assert_eq!(broken(pods(&["web-a", "web-b", "web-c"]), &[one_more, one_more]), 0);
    let map = |name: &str| Run::default().create("maps", json!({"metadata": {"name": name}}));
    assert_eq!(broken(map("other"), &[]), 1);
    assert_eq!(broken(map("other"), &[Excuse::AnotherEnd]), 0, "of the same kind");
    let two = map("other").create("maps", json!({"metadata": {"name": "m"}}));
    assert_eq!(broken(two, &[Excuse::AnotherEnd]), 1, "of the same kind, and one too many");
}

#[test]
fn a_refusal_of_the_servers_own_is_told_and_one_that_a_fault_explains_is_not() {
    assert_eq!(Run::default().request("a", "POST", 201).broken(), [""; 0]);
    assert_eq!(Run::default().request("a", "POST", 403).broken(), ["O5 answers"]);
    assert_eq!(Run::default().request("a", "PUT", 409).broken(), ["O5 races"]);
    assert_eq!(Run::default().request("a", "GET", 404).broken(), [""; 0], "a question");
    let crash = || Effect::crash(true);
    assert_eq!(Run::default().request("a", "PUT", 409).with_fault(crash()).broken(), [""; 0]);
    assert_eq!(Run::default().request("a", "PUT", 422).with_fault(crash()).broken(), ["O5 answers"]);
}

#[test]
fn a_kind_that_is_asked_for_and_never_served_is_told_and_one_that_comes_is_not() {
    let widgets = "/apis/example.com/v1/namespaces/default/widgets";
    let asked = |method: &str, path: &str| Run::default().request_in_vain("a", method, path);
    let anna = format!("{widgets}/anna");
    for (method, path) in [("GET", "/apis/example.com/v1/widgets?limit=500"), ("GET", &anna), ("POST", widgets)] {
        let broken = asked(method, path).record.broken();
        assert_eq!(broken.len(), 1, "{broken:?}");
        assert!(broken[0].message.contains("never serves example.com/v1 widgets: give the definition"), "{broken:?}");
    }
    let later = |process: &str, path: &str| asked("GET", widgets).request_of(process, "GET", path, 200).broken();
    assert_eq!(later("a", "/apis/example.com/v1/widgets?watch=true"), [""; 0]);
    assert_eq!(later("b", widgets), [""; 0], "of a replica");
    assert_eq!(later("a", "/apis/example.com/v1/gadgets"), ["O5 answers"]);
    assert_eq!(later("a", "/apis/example.com/v2/widgets"), ["O5 answers"]);
    assert_eq!(asked("GET", widgets).answered("a", "GET", widgets, None).broken(), ["O5 answers"]);
    assert_eq!(asked("GET", widgets).with_fault(Effect::WatchClose).broken(), [""; 0]);
    for question in ["/apis", "/apis/example.com", "/apis/example.com/v1"] {
        assert_eq!(asked("GET", question).broken(), [""; 0], "{question}");
    }
    let mut actor = asked("GET", widgets);
    actor.record.actors = ["a".into()].into();
    assert_eq!(actor.broken(), [""; 0]);
}

#[test]
fn what_actors_are_refused_is_no_fault_of_who_is_on_trial() {
    let mut run = Run::default().request("nodes", "DELETE", 404);
    run.record.actors = ["nodes".into()].into();
    assert_eq!(run.broken(), [""; 0]);
}

#[test]
fn an_error_in_the_log_needs_a_fault_and_a_panic_is_never_right() {
    assert_eq!(Run::default().log(true, "no").broken(), ["O5 log"]);
    assert_eq!(Run::default().log(false, "hm").broken(), [""; 0]);
    assert_eq!(Run::default().log(true, "no").with_fault(Effect::WatchClose).broken(), [""; 0]);
    assert_eq!(Run::default().log(true, "a panicked: b").with_fault(Effect::WatchClose).broken(), ["O5 log"]);
}

fn condition(status: &str, time: &str) -> Value {
    let condition = json!({"type": "Ready", "status": status, "lastTransitionTime": time});
    json!({"metadata": {"name": "web", "generation": 1}, "status": {"conditions": [condition]}})
}

#[test]
fn a_time_of_transition_without_a_transition_is_told() {
    let run = |later: Value| {
        Run::default().create("webs", condition("True", "t1")).commit("webs", Change::Updated, later).broken()
    };
    assert_eq!(run(condition("True", "t1")), [""; 0]);
    assert_eq!(run(condition("False", "t2")), [""; 0]);
    assert_eq!(run(condition("True", "t2")), ["O9 conditions"]);
}

#[test]
fn a_condition_that_comes_and_goes_is_told_once() {
    let mut run = Run::default().create("webs", condition("True", "t"));
    for number in 0..20 {
        let status = if number % 2 == 0 { "False" } else { "True" };
        run = run.commit("webs", Change::Updated, condition(status, &format!("t{number}")));
    }
    assert_eq!(run.broken(), ["O9 conditions"]);
}

#[test]
fn what_outlives_its_owner_is_a_leak_where_somebody_collects() {
    let mut child = pod("web-a", "1");
    child["metadata"]["ownerReferences"] = json!([{"uid": "owner"}]);
    let orphan = || Run::default().create("pods", child.clone()).settle();
    assert_eq!(orphan().broken(), [""; 0], "nobody collects");
    assert_eq!(orphan().request("garbage-collector", "GET", 200).broken(), ["O7 leaks"]);
    let owned = Run::default().create("maps", json!({"metadata": {"name": "m", "uid": "owner"}})).create("pods", child);
    assert_eq!(owned.settle().request("garbage-collector", "GET", 200).broken(), [""; 0]);
}

#[test]
fn what_a_stranger_has_just_written_may_not_be_taken_back_but_by_the_stranger() {
    let map = |mark: &str| json!({"metadata": {"name": "m", "annotations": {MARK: mark}}});
    let bare = || json!({"metadata": {"name": "m"}});
    let marked = || Run::default().create("maps", bare()).commit_of(0, "maps", Change::Updated, map("1"));
    assert_eq!(marked().commit("maps", Change::Updated, bare()).broken(), ["O10 lost update"]);
    assert_eq!(marked().commit("maps", Change::Updated, map("0")).broken(), ["O10 lost update"]);
    let mut grown = map("1");
    grown["data"] = json!({"text": "new"});
    assert_eq!(marked().commit("maps", Change::Updated, grown).broken(), [""; 0], "it knew of it");
    assert_eq!(marked().commit("maps", Change::Deleted, map("1")).broken(), [""; 0]);
    assert_eq!(marked().commit_of(0, "maps", Change::Updated, map("2")).broken(), [""; 0], "his own");
}
