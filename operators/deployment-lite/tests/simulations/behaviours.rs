//! What deployment-lite does, seen from outside: each with both forms, in a cluster of nodes that do their part, and with the
//! numbers that upstream comes to ([BEHAVIOURS.md](../../BEHAVIOURS.md)). The promises are judged at every commit besides.

use std::{collections::BTreeSet, time::Duration};

use deployment_lite::api::{BuiltIn, Lite};
use http::Method;
use operator_testkit::{
    actor::{Behaviour, Nodes},
    record::{Record, Requested, State},
    request::Request,
    simulation::{Limits, Simulation, Step, act, apply, delete},
    store::Change,
};
use serde_json::{Value, json};

use crate::{
    bad_input::{rows, set_all},
    workloads::{
        Mode, OPERATOR, ask, assert_holds, change, cluster, deployment, group, image, image_of, loose_definitions,
        manifest, merge, nodes, path, with_image,
    },
};

/// An image of this name never gets ready.
const BAD: &str = "bad:1";
/// What takes so long is not over when the next step comes.
const MINUTES_3: Duration = Duration::from_secs(180);

/// Runs with two seeds, which have to keep all promises.
fn run(simulation: &Simulation) -> Record {
    run_aside(simulation, &["O5 races"])
}

/// The same, these judges aside.
fn run_aside(simulation: &Simulation, aside: &[&str]) -> Record {
    let mut records: Vec<Record> = [1, 2].map(|seed| simulation.run(seed)).into();
    records.iter().for_each(|record| assert_holds(record, aside));
    records.remove(0)
}

/// The deployment of three pods with another spec, on nodes where `bad:1` never gets ready.
fn with<M: Mode>(spec: Value) -> Simulation {
    with_on::<M>(Nodes::new(3).with_image("bad", Behaviour::never_ready()), "web:1", spec)
}

/// The deployment of three pods with another image and another spec, on these nodes.
fn with_on<M: Mode>(on: Nodes, image: &str, spec: Value) -> Simulation {
    let mut wanted = deployment::<M>("web");
    wanted["spec"]["template"]["spec"]["containers"][0]["image"] = image.into();
    wanted["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    nodes::<M>(on).with(wanted.into())
}

/// What people see of each ReplicaSet, by its image: its size, how many are available, and its revision.
fn sets<M: Mode>(state: &State) -> Vec<(String, u64, u64, String)> {
    let mut sets: Vec<_> = of_sets::<M, _>(state, |set| {
        let number = |value: &Value| value.as_u64().unwrap_or_default();
        let revision = set["metadata"]["annotations"]["deployment.kubernetes.io/revision"].as_str().unwrap_or("none");
        let available = number(&set["status"]["availableReplicas"]);
        (
            image_of(&set["spec"]["template"]).to_owned(),
            number(&set["spec"]["replicas"]),
            available,
            revision.to_owned(),
        )
    });
    sets.sort();
    sets
}

fn of_sets<M: Mode, T>(state: &State, view: impl Fn(&Value) -> T) -> Vec<T> {
    state.list(group::<M>(), M::REPLICA_SET.1).map(|(_, set)| view(set)).collect()
}

/// The same as text, short enough to be compared: `web:1 3/3 r1`.
fn shown<M: Mode>(record: &Record, step: usize) -> Vec<String> {
    let sets = sets::<M>(&record.settled[step].state).into_iter();
    sets.map(|(image, size, available, revision)| format!("{image} {available}/{size} r{revision}")).collect()
}

fn web_of<M: Mode>(record: &Record, step: usize) -> Value {
    let state = &record.settled[step].state;
    state.get(group::<M>(), M::DEPLOYMENT.1, "default", "web").unwrap().value().clone()
}

/// `Type=Status Reason` of each condition, sorted.
fn conditions(object: &Value) -> Vec<String> {
    let text = |condition: &Value, field: &str| condition[field].as_str().unwrap_or_default().to_owned();
    let all = object["status"]["conditions"].as_array().into_iter().flatten();
    let mut all: Vec<String> = all
        .map(|condition| {
            format!("{}={} {}", text(condition, "type"), text(condition, "status"), text(condition, "reason"))
        })
        .collect();
    all.sort();
    all
}

/// Each pod of a state.
fn pods(state: &State) -> impl Iterator<Item = &Value> {
    state.list("", "pods").map(|(_, pod)| pod.value())
}

fn names(state: &State) -> BTreeSet<String> {
    names_of(pods(state))
}

/// Those of these names that come at these places.
fn at(names: &BTreeSet<String>, places: &[usize]) -> BTreeSet<String> {
    places.iter().map(|place| names.iter().nth(*place).unwrap().clone()).collect()
}

fn names_of<'a>(pods: impl Iterator<Item = &'a Value>) -> BTreeSet<String> {
    pods.map(|pod| pod["metadata"]["name"].as_str().unwrap().to_owned()).collect()
}

/// Says annotations of `web`.
fn annotate<M: Mode>(annotations: Value) -> Step {
    ask(merge(path::<M>("web"), &json!({"metadata": {"annotations": annotations}})))
}

/// Patches the pod that comes `number`-th by its name.
fn patch_pod(number: usize, patch: Value) -> Step {
    patch_of_pod("", number, patch)
}

/// Says another status of the pod that comes `number`-th by its name.
fn patch_status(number: usize, status: Value) -> Step {
    patch_of_pod("/status", number, json!({"status": status}))
}

fn patch_of_pod(subresource: &'static str, number: usize, patch: Value) -> Step {
    act(move |state| {
        let name = names(state).into_iter().nth(number).unwrap();
        vec![merge(format!("/api/v1/namespaces/default/pods/{name}{subresource}"), &patch)]
    })
}

/// Messages of the events with this reason.
fn events(record: &Record, reason: &str) -> Vec<String> {
    let events = record.settled.last().unwrap().state.list("", "events");
    let events = events.filter(|(_, event)| event["reason"] == reason);
    events.map(|(_, event)| event["message"].as_str().unwrap().to_owned()).collect()
}

/// One check for both forms.
macro_rules! behaviours {
    ($($(#[$attribute:meta])* fn $name:ident<$mode:ident>() $body:block)*) => {$(
        #[test]
        $(#[$attribute])*
        fn $name() {
            fn check<$mode: Mode>() $body
            check::<Lite>();
            check::<BuiltIn>();
        }
    )*};
}

behaviours! {
    fn a_rollout_that_is_stuck_keeps_its_limits_and_its_proportion_at_another_size<M>() {
        // 25 % of 10: 3 more, 2 fewer.
        let simulation = with::<M>(json!({"replicas": 10}))
            .then(image::<M>(BAD))
            .then(change::<M>(json!({"replicas": 15})))
            .then(change::<M>(json!({"replicas": 5})))
            .then(image::<M>("web:1"));
        let record = run(&simulation);
        assert_eq!(shown::<M>(&record, 1), ["bad:1 0/5 r2", "web:1 8/8 r1"]);
        // 15 and 4 more: 8 of 13 are 12 of 19, 5 of 13 are 7.
        assert_eq!(shown::<M>(&record, 2), ["bad:1 0/7 r2", "web:1 12/12 r1"]);
        // 5 and 2 more: 12 of 19 are 4 of 7, 7 of 19 are 3; 4 have to be available.
        assert_eq!(shown::<M>(&record, 3), ["bad:1 0/3 r2", "web:1 4/4 r1"]);
        let sizes = of_sets::<M, _>(&record.settled[3].state, |set| {
            let annotations = &set["metadata"]["annotations"];
            ["desired-replicas", "max-replicas"].map(|name| annotations[format!("deployment.kubernetes.io/{name}")].clone())
        });
        assert_eq!(sizes, [[json!("5"), json!("7")], [json!("5"), json!("7")]]);
        assert_eq!(shown::<M>(&record, 4), ["web:1 5/5 r3"]);
    }

    fn of_two_of_one_size_the_newer_grows_first<M>() {
        let simulation = with::<M>(json!({"strategy": {"rollingUpdate": {"maxSurge": 3, "maxUnavailable": 0}}}))
            .then(image::<M>(BAD))
            .then(change::<M>(json!({"replicas": 4})))
            .then(image::<M>("web:2"));
        let record = run(&simulation);
        assert_eq!(shown::<M>(&record, 1), ["bad:1 0/3 r2", "web:1 3/3 r1"]);
        assert_eq!(shown::<M>(&record, 2), ["bad:1 0/4 r2", "web:1 3/3 r1"]);
    }

    fn pods_that_do_not_serve_make_room_for_the_next_template_first<M>() {
        let simulation = with::<M>(json!({"replicas": 4, "strategy": {"rollingUpdate": {"maxSurge": 2, "maxUnavailable": 1}}}))
            .then(image::<M>(BAD))
            .then(image::<M>("web:3"));
        let record = run(&simulation);
        assert_eq!(shown::<M>(&record, 1), ["bad:1 0/3 r2", "web:1 3/3 r1"]);
        assert_eq!(shown::<M>(&record, 2), ["web:3 4/4 r3"]);
        let begun = record.settled[1].time;
        let deleted = record.commits.iter().filter(|commit| commit.time > begun && &*commit.collection.plural == "pods");
        let marked = deleted.filter(|commit| {
            let mark = |object: &Value| !object["metadata"]["deletionTimestamp"].is_null();
            mark(&commit.after) && commit.before.as_ref().is_some_and(|before| !mark(before))
        });
        let order: Vec<String> = marked.map(|commit| image_of(&commit.after).to_owned()).collect();
        assert_eq!(order, ["bad:1", "bad:1", "bad:1", "web:1", "web:1", "web:1"]);
    }

    fn of_several_former_templates_the_oldest_makes_room_first_and_all_together_no_more_than_can_be_spared<M>() {
        let limits = |surge: u32, unavailable: u32| {
            json!({"replicas": 4, "strategy": {"rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}})
        };
        // None of them serves.
        let bad = with_on::<M>(Nodes::new(3).with_image("bad", Behaviour::never_ready()), BAD, limits(1, 2))
            .then(image::<M>("bad:2"))
            .then(image::<M>("bad:3"))
            .then(image::<M>("web:1"));
        let record = run(&bad);
        assert_eq!(shown::<M>(&record, 1), ["bad:1 0/2 r1", "bad:2 0/3 r2"]);
        assert_eq!(shown::<M>(&record, 2), ["bad:1 0/0 r1", "bad:2 0/2 r2", "bad:3 0/3 r3"]);
        // All of them serve, the second template's after some minutes, while the rollout is paused.
        let slow = Behaviour::ready_after(MINUTES_3..=MINUTES_3);
        let on = Nodes::new(3).with_image("slow", slow).with_image("bad", Behaviour::never_ready());
        let mut goes_on = with_image("bad:3");
        goes_on["paused"] = false.into();
        let good = with_on::<M>(on, "web:1", limits(2, 0))
            .then(image::<M>("slow:2"))
            .then(change::<M>(json!({"paused": true})))
            .then(change::<M>(goes_on))
            .then(image::<M>("web:1"));
        let record = run(&good);
        assert_eq!(shown::<M>(&record, 2), ["slow:2 2/2 r2", "web:1 4/4 r1"]);
        assert_eq!(shown::<M>(&record, 3), ["bad:3 0/2 r3", "slow:2 2/2 r2", "web:1 2/2 r1"]);
    }

    fn limits_that_come_to_nothing_by_rounding_still_let_one_pod_go<M>() {
        let limits = json!({"strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": "10%"}}});
        let record = run(&with::<M>(limits).then(image::<M>("web:2")).then(image::<M>(BAD)).then(image::<M>("web:2")));
        assert_eq!(shown::<M>(&record, 1), ["web:2 3/3 r2"]);
        assert_eq!(shown::<M>(&record, 2), ["bad:1 0/1 r3", "web:2 2/2 r2"]);
    }

    fn where_all_are_recreated_another_size_too_waits_until_those_of_other_templates_have_ended<M>() {
        let mut wanted = json!({"strategy": {"type": "Recreate"}, "revisionHistoryLimit": 2});
        wanted["template"] = deployment::<M>("web")["spec"]["template"].clone();
        wanted["template"]["spec"]["terminationGracePeriodSeconds"] = 300.into();
        let simulation = with_on::<M>(Nodes::new(3).stopping_within(MINUTES_3..=MINUTES_3), "web:1", wanted)
            .then(image::<M>("web:2"))
            .then(annotate::<M>(json!({"example.com/why": "to wait for them"})))
            .then(image::<M>("web:1"))
            .then(change::<M>(json!({"paused": true, "replicas": 5})));
        let record = run(&simulation);
        let running = |step: usize| pods(&record.settled[step].state).count();
        assert_eq!(([0, 1, 2, 3].map(running)), [3, 3, 3, 3]);
        assert_eq!(shown::<M>(&record, 1), ["web:1 0/0 r1"]);
        assert_eq!(shown::<M>(&record, 2), ["web:1 0/0 r1", "web:2 3/3 r2"]);
        assert_eq!(shown::<M>(&record, 3), ["web:1 0/0 r3", "web:2 0/0 r2"]);
        assert_eq!(shown::<M>(&record, 4), ["web:1 5/5 r3", "web:2 0/0 r2"]);
    }

    fn who_pauses_changes_the_size_only_and_goes_on_later<M>() {
        let simulation = with::<M>(json!({"replicas": 2, "progressDeadlineSeconds": 60}))
            .then(change::<M>(json!({"paused": true})))
            .then(image::<M>("web:2"))
            .then(change::<M>(json!({"replicas": 3})))
            .then(change::<M>(json!({"paused": false})));
        let record = run(&simulation);
        let progressing = |step| conditions(&web_of::<M>(&record, step)).pop().unwrap();
        assert_eq!(progressing(0), "Progressing=True NewReplicaSetAvailable");
        for (step, sets) in [(1, "web:1 2/2 r1"), (2, "web:1 2/2 r1"), (3, "web:1 3/3 r1")] {
            assert_eq!(shown::<M>(&record, step), [sets]);
            assert_eq!(progressing(step), "Progressing=Unknown DeploymentPaused");
        }
        assert_eq!(shown::<M>(&record, 4), ["web:2 3/3 r2"]);
        assert_eq!(progressing(4), "Progressing=True NewReplicaSetAvailable");
    }

    fn a_former_template_gets_its_replica_set_back_with_a_new_revision<M>() {
        let simulation = with::<M>(json!({"replicas": 1, "revisionHistoryLimit": 2}))
            .then(image::<M>("web:2"))
            .then(image::<M>("web:3"))
            .then(image::<M>("web:1"))
            .then(image::<M>("web:4"))
            .then(image::<M>("web:1"));
        let record = run(&simulation);
        assert_eq!(shown::<M>(&record, 2), ["web:1 0/0 r1", "web:2 0/0 r2", "web:3 1/1 r3"]);
        assert_eq!(shown::<M>(&record, 3), ["web:1 1/1 r4", "web:2 0/0 r2", "web:3 0/0 r3"]);
        assert_eq!(shown::<M>(&record, 4), ["web:1 0/0 r4", "web:3 0/0 r3", "web:4 1/1 r5"]);
        assert_eq!(shown::<M>(&record, 5), ["web:1 1/1 r6", "web:3 0/0 r3", "web:4 0/0 r5"]);
        let history = of_sets::<M, _>(&record.settled[5].state, |set| {
            set["metadata"]["annotations"]["deployment.kubernetes.io/revision-history"].clone()
        });
        assert_eq!(history.iter().filter(|history| **history == json!("1,4")).count(), 1);
        let revisions: Vec<Value> = (0..6)
            .map(|step| web_of::<M>(&record, step)["metadata"]["annotations"]["deployment.kubernetes.io/revision"].clone())
            .collect();
        assert_eq!(revisions, ["1", "2", "3", "4", "5", "6"]);
    }

    fn a_wish_to_go_back_is_met_once<M>() {
        let back = |revision| annotate::<M>(json!({"deprecated.deployment.rollback.to": revision}));
        let simulation = with::<M>(json!({"replicas": 1, "revisionHistoryLimit": 10}))
            .then(annotate::<M>(json!({"example.com/why": "first"})))
            .then(image::<M>("web:2"))
            .then(annotate::<M>(json!({"example.com/why": "second"})))
            .then(back("1"))
            .then(back("0"))
            .then(back("9"))
            .then(back("4"));
        let record = run(&simulation);
        let at = |step| {
            let web = web_of::<M>(&record, step);
            let annotations = &web["metadata"]["annotations"];
            assert_eq!(annotations["deprecated.deployment.rollback.to"], Value::Null);
            (image_of(&web["spec"]["template"]).to_owned(), annotations["example.com/why"].as_str().unwrap().to_owned())
        };
        let pair = |image: &str, why: &str| (image.to_owned(), why.to_owned());
        assert_eq!([3, 4, 5].map(at), [pair("web:2", "second"), pair("web:1", "first"), pair("web:2", "second")]);
        assert_eq!(shown::<M>(&record, 5), ["web:1 0/0 r3", "web:2 1/1 r4"]);
        assert_eq!(shown::<M>(&record, 7), ["web:1 0/0 r3", "web:2 1/1 r4"]);
        let told = |reason: &str| events(&record, reason).len();
        assert_eq!([told("DeploymentRollbackRevisionNotFound"), told("DeploymentRollbackTemplateUnchanged")], [1, 1]);
    }

    fn no_progress_is_told_when_its_time_is_over_and_taken_back_when_there_is_some<M>() {
        let long = Limits { settles_after: Duration::from_secs(300), ..Limits::default() };
        let simulation = with::<M>(json!({"progressDeadlineSeconds": 120}))
            .then(image::<M>(BAD))
            .then(image::<M>("web:2"))
            .limits(long);
        let record = run(&simulation);
        let available = "Available=True MinimumReplicasAvailable";
        let good = [available, "Progressing=True NewReplicaSetAvailable"];
        assert_eq!(conditions(&web_of::<M>(&record, 0)), good);
        assert_eq!(conditions(&web_of::<M>(&record, 1)), [available, "Progressing=False ProgressDeadlineExceeded"]);
        assert_eq!(conditions(&web_of::<M>(&record, 2)), good);
        let reason = |object: &Value| {
            let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
            conditions.into_iter().find(|condition| condition["type"] == "Progressing").map(|found| found["reason"].clone())
        };
        let of_web = record.commits.iter().filter(|commit| &*commit.collection.plural == M::DEPLOYMENT.1);
        let told = of_web.filter(|commit| reason(&commit.after) == Some(json!("ProgressDeadlineExceeded"))).map(|commit| commit.time);
        let made = record.commits.iter().filter(|commit| {
            commit.before.is_none() && &*commit.collection.plural == M::REPLICA_SET.1 && image_of(&commit.after["spec"]["template"]) == BAD
        });
        let waited = told.min().unwrap() - made.map(|commit| commit.time).min().unwrap();
        let waited = waited.total(jiff::Unit::Second).unwrap();
        assert!((120.0..140.0).contains(&waited), "{waited} s");
    }

    fn who_is_ready_counts_only_after_min_ready_seconds<M>() {
        let simulation = with::<M>(json!({"minReadySeconds": 30, "strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}}))
            .then(image::<M>("web:2"));
        let record = run(&simulation);
        assert_eq!(shown::<M>(&record, 1), ["web:2 3/3 r2"]);
        let begun = record.commits.iter().map(|commit| commit.time).find(|time| *time > record.settled[0].time);
        let took = (record.settled[1].time - begun.unwrap()).total(jiff::Unit::Second).unwrap();
        assert!((90.0..120.0).contains(&took), "one after the other, each 30 s: {took} s");
    }

    fn the_pod_whose_deletion_costs_least_goes_first<M>() {
        let cost = |number, cost: &str| {
            patch_pod(number, json!({"metadata": {"annotations": {"controller.kubernetes.io/pod-deletion-cost": cost}}}))
        };
        let simulation = with::<M>(json!({"replicas": 4}))
            .then(cost(0, "5"))
            .then(cost(1, "-5"))
            .then(cost(3, "10"))
            .then(change::<M>(json!({"replicas": 3})))
            .then(change::<M>(json!({"replicas": 2})))
            .then(change::<M>(json!({"replicas": 1})));
        let record = run(&simulation);
        let all = names(&record.settled[3].state);
        assert_eq!(names(&record.settled[4].state), at(&all, &[0, 2, 3]));
        assert_eq!(names(&record.settled[5].state), at(&all, &[0, 3]));
        assert_eq!(names(&record.settled[6].state), at(&all, &[3]));
    }

    fn of_pods_that_do_not_serve_the_younger_go_first_but_those_that_were_restarted_more_often_before_them<M>() {
        // On one node, so that none has more neighbours, and with a minute between two steps, so that ages differ.
        let grown_and_shrunk = |behaviour: Behaviour| {
            let simulation = with_on::<M>(Nodes::new(1).with_image("bad", behaviour), BAD, json!({}))
                .then(change::<M>(json!({"replicas": 6})))
                .then(change::<M>(json!({"replicas": 3})))
                .then(image::<M>("web:1"));
            let limits = Limits { settles_after: Duration::from_secs(60), ..Limits::default() };
            let record = run(&simulation.limits(limits));
            [0, 1, 2].map(|step| names(&record.settled[step].state))
        };
        let [old, _, left] = grown_and_shrunk(Behaviour::never_ready());
        assert_eq!(left, old);
        let [old, all, left] = grown_and_shrunk(Behaviour::crash_loops());
        assert_eq!(left, &all - &old);
    }

    fn who_has_not_been_started_goes_before_who_was_restarted<M>() {
        let on = Nodes::new(1).starting_within(MINUTES_3..=MINUTES_3).with_image("bad", Behaviour::crash_loops());
        let simulation = with_on::<M>(on, BAD, json!({}))
            .then(annotate::<M>(json!({"example.com/why": "to wait until they are started"})))
            .then(annotate::<M>(json!({"example.com/why": "and restarted"})))
            .then(annotate::<M>(json!({"example.com/why": "and restarted once more"})))
            .then(change::<M>(json!({"replicas": 4})))
            .then(change::<M>(json!({"replicas": 3})))
            .then(delete(manifest::<M>("web")));
        let limits = Limits { settles_after: Duration::from_secs(60), ..Limits::default() };
        let record = run(&simulation.limits(limits));
        let of = |step: usize| pods(&record.settled[step].state);
        let restarted = of(4).filter(|pod| pod["status"]["containerStatuses"][0]["restartCount"].as_u64() > Some(0));
        let restarted = names_of(restarted.filter(|pod| pod["status"]["phase"] == "Running"));
        assert_eq!((restarted.len(), of(4).count()), (3, 4));
        assert_eq!(names_of(of(5)), restarted);
    }

    fn restarts_of_a_sidecar_count_where_containers_were_restarted_alike_and_those_of_an_init_container_do_not<M>() {
        let mut template = deployment::<M>("web")["spec"]["template"].clone();
        template["spec"]["initContainers"] = json!([
            {"name": "setup", "image": "setup:1"},
            {"name": "proxy", "image": "proxy:1", "restartPolicy": "Always"},
        ]);
        let restarted = |number: usize, setup: u32, proxy: u32| {
            let statuses = [("setup", setup), ("proxy", proxy)].map(|(name, restarts)| {
                json!({"name": name, "image": name, "imageID": "", "ready": true, "restartCount": restarts})
            });
            patch_status(number, json!({"initContainerStatuses": statuses}))
        };
        let simulation = with_on::<M>(Nodes::new(1), "web:1", json!({"replicas": 4, "template": template}))
            .then(restarted(0, 9, 1))
            .then(restarted(1, 0, 2))
            .then(restarted(2, 0, 3))
            .then(restarted(3, 9, 1))
            .then(change::<M>(json!({"replicas": 3})))
            .then(change::<M>(json!({"replicas": 2})));
        let record = run(&simulation);
        let all = names(&record.settled[0].state);
        assert_eq!(names(&record.settled[5].state), at(&all, &[0, 1, 3]));
        assert_eq!(names(&record.settled[6].state), at(&all, &[0, 3]));
    }

    fn while_paused_the_rest_of_a_former_template_goes_once_the_present_one_has_the_whole_size<M>() {
        // Not yet ready when the rollout is paused, and available when it is scaled.
        let on = Nodes::new(3).with_image("slow", Behaviour::ready_after(MINUTES_3..=MINUTES_3));
        let strategy = json!({"strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}});
        let simulation = with_on::<M>(on, "web:1", strategy)
            .then(image::<M>("slow:2"))
            .then(change::<M>(json!({"paused": true})))
            .then(change::<M>(json!({"replicas": 1})))
            .then(change::<M>(json!({"paused": false})));
        let record = run(&simulation);
        assert_eq!(shown::<M>(&record, 2), ["slow:2 1/1 r2", "web:1 3/3 r1"]);
        assert_eq!(shown::<M>(&record, 3), ["slow:2 1/1 r2"]);
    }

    fn who_waits_for_a_node_goes_before_who_waits_on_one<M>() {
        let on = Nodes::new(1).with_room(4).with_image("bad", Behaviour::image_missing());
        let simulation = with_on::<M>(on, BAD, json!({"replicas": 6}))
            .then(change::<M>(json!({"replicas": 4})))
            .then(image::<M>("web:1"));
        let record = run(&simulation);
        let state = |step: usize| &record.settled[step].state;
        let placed = pods(state(0)).filter(|pod| pod["spec"]["nodeName"].is_string());
        let placed = names_of(placed);
        assert_eq!((placed.len(), names(state(0)).len()), (4, 6));
        assert_eq!(names(state(1)), placed);
    }

    fn who_has_no_node_goes_before_who_runs_and_doubles_go_before_singles<M>() {
        // Three nodes with two places each.
        let simulation =
            |replicas: u32| with_on::<M>(Nodes::new(3).with_room(2), "web:1", json!({"replicas": replicas}));
        let on_nodes = |record: &Record, step: usize| {
            let state = &record.settled[step].state;
            let nodes: Vec<_> = pods(state).filter_map(|pod| pod["spec"]["nodeName"].as_str()).collect();
            (names(state).len(), nodes.len(), nodes.into_iter().collect::<BTreeSet<_>>().len())
        };
        let waiting = run(&simulation(8).then(change::<M>(json!({"replicas": 6}))));
        assert_eq!([0, 1].map(|step| on_nodes(&waiting, step)), [(8, 6, 3), (6, 6, 3)]);
        let doubled = run(&simulation(4).then(change::<M>(json!({"replicas": 3}))));
        assert_eq!([0, 1].map(|step| on_nodes(&doubled, step)), [(4, 4, 3), (3, 3, 3)]);
    }

    fn other_limits_alone_move_no_pod<M>() {
        let simulation = with::<M>(json!({"minReadySeconds": 1}))
            .then(change::<M>(json!({"strategy": {"rollingUpdate": {"maxSurge": 2}}})))
            .then(change::<M>(json!({"minReadySeconds": 2, "revisionHistoryLimit": 3, "progressDeadlineSeconds": 700})))
            .then(annotate::<M>(json!({"example.com/why": "because"})));
        let record = run(&simulation);
        for step in 0..4 {
            assert_eq!(names(&record.settled[step].state), names(&record.settled[0].state));
            assert_eq!(shown::<M>(&record, step), ["web:1 3/3 r1"]);
        }
        let told = of_sets::<M, _>(&record.settled[3].state, |set| {
            (set["spec"]["minReadySeconds"].clone(), set["metadata"]["annotations"]["example.com/why"].clone())
        });
        assert_eq!(told, [(json!(2), json!("because"))]);
    }

    fn a_replica_set_of_ones_own_is_adopted_with_its_pods<M>() {
        let mut own = json!({
            "apiVersion": M::GROUP_VERSION,
            "kind": M::REPLICA_SET.0,
            "metadata": {"name": "own", "labels": {"app": "web"}},
            "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}},
        });
        own["spec"]["template"] = deployment::<M>("web")["spec"]["template"].clone();
        let simulation = cluster::<M>().with(own.into()).then(apply(manifest::<M>("web")));
        let record = run(&simulation);
        let before = names(&record.settled[0].state);
        let after = names(&record.settled[1].state);
        assert_eq!((before.len(), after.len()), (2, 3));
        assert!(before.is_subset(&after));
        assert_eq!(shown::<M>(&record, 1), ["web:1 3/3 r1"]);
    }

    fn what_is_done_is_told_in_numbers_and_names<M>() {
        let simulation = with::<M>(json!({"replicas": 1}))
            .then(change::<M>(json!({"replicas": 3})))
            .then(change::<M>(json!({"replicas": 2})))
            .then(image::<M>("web:2"));
        let record = run(&simulation);
        let without_name = |message: String| {
            let words: Vec<&str> = message.split(' ').collect();
            format!("{} {}", words[..2].join(" "), words[5..].join(" "))
        };
        let sizes: BTreeSet<String> = events(&record, "ScalingReplicaSet").into_iter().map(without_name).collect();
        let up = ["from 0 to 1", "from 0 to 1", "from 1 to 2", "from 1 to 3"].map(|numbers| format!("Scaled up {numbers}"));
        let down = ["from 3 to 2", "from 2 to 1", "from 1 to 0"].map(|numbers| format!("Scaled down {numbers}"));
        assert_eq!(sizes, up.into_iter().chain(down).collect());
        let of_pods = |change: Change, verb: &str| -> BTreeSet<String> {
            let commits = record.commits.iter().filter(|commit| &*commit.collection.plural == "pods" && commit.change == change);
            commits.map(|commit| format!("{verb} pod: {}", commit.key.name())).collect()
        };
        let told = |reason: &str| events(&record, reason).into_iter().collect::<BTreeSet<_>>();
        assert_eq!(told("SuccessfulCreate"), of_pods(Change::Created, "Created"));
        assert_eq!(told("SuccessfulDelete"), of_pods(Change::Deleted, "Deleted"));
    }

    fn a_name_that_somebody_else_has_is_left_to_him<M>() {
        let alone = run(&cluster::<M>().with(manifest::<M>("web")));
        let (key, _) = alone.settled[0].state.list(group::<M>(), M::REPLICA_SET.1).next().unwrap();
        let taken = key.name().to_owned();
        let mut foreign = json!({
            "apiVersion": M::GROUP_VERSION,
            "kind": M::REPLICA_SET.0,
            "metadata": {"name": taken},
            "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "other"}}},
        });
        foreign["spec"]["template"] = deployment::<M>("other")["spec"]["template"].clone();
        let record = run(&cluster::<M>().with(foreign.into()).then(apply(manifest::<M>("web"))));
        assert_eq!(web_of::<M>(&record, 1)["status"]["collisionCount"], 1);
        assert_eq!(shown::<M>(&record, 1), ["web:1 1/1 rnone", "web:1 3/3 r1"]);
        assert!(names(&record.settled[0].state).is_subset(&names(&record.settled[1].state)));
        assert_eq!(events(&record, "ReplicaSetCreateError"), [""; 0], "another name helps at once");
    }

    fn a_namespace_that_goes_gets_no_news_of_what_fails_in_it<M>() {
        let mut wanted = deployment::<M>("web");
        wanted["metadata"]["namespace"] = "team".into();
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}});
        let delete = Request::new(Method::DELETE, "/api/v1/namespaces/team");
        let simulation = cluster::<M>().with(namespace.into()).with(wanted.into()).then(ask(delete));
        // It is refused what it asks for until it hears that its own is gone.
        let record = run_aside(&simulation, &["O5 races", "O5 answers"]);
        let refused = |request: &&Requested| {
            request.path.ends_with("/team/pods") && request.answer.as_ref().is_some_and(|answer| answer.code == 403)
        };
        let first = record.requests.iter().find(refused).unwrap().sent;
        let told = record.requests.iter().filter(|request| {
            request.sent > first && &*request.process == OPERATOR && request.path.contains("/team/events")
        });
        assert_eq!(told.count(), 0);
        assert_eq!(pods(&record.settled[2].state).count(), 0);
    }

    fn the_status_says_what_there_is<M>() {
        let record = run(&with::<M>(json!({})).then(image::<M>(BAD)).then(image::<M>("web:1")));
        let status = |step| {
            let status = web_of::<M>(&record, step)["status"].clone();
            ["replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "unavailableReplicas"]
                .map(|name| status[name].as_u64().unwrap_or_default())
        };
        assert_eq!(status(0), [3, 3, 3, 3, 0]);
        assert_eq!(status(1), [4, 1, 3, 3, 1]);
        let generations = web_of::<M>(&record, 1);
        assert_eq!(generations["status"]["observedGeneration"], generations["metadata"]["generation"]);
    }
}

/// The rules that the operator knows, too, by their fields in `bad_input.yaml`.
const KNOWN: [&str; 7] = [
    "spec.replicas",
    "spec.minReadySeconds",
    "spec.revisionHistoryLimit",
    "spec.progressDeadlineSeconds",
    "spec.strategy",
    "spec.template.spec.restartPolicy",
    "spec.template.spec.activeDeadlineSeconds",
];

#[test]
fn what_slips_through_is_told_once_and_left_alone() {
    let object = |kind: &str, number: usize, set: &Value| {
        let mut object = deployment::<Lite>(&format!("web-{number}"));
        object["kind"] = kind.into();
        set_all(&mut object["spec"], set);
        object["spec"].as_object_mut().unwrap().retain(|_, value| !value.is_null());
        object
    };
    let of_table = |rows: Vec<Value>| -> Vec<(Value, &str, String)> {
        let field = |row: &Value| row["field"].as_str().unwrap().to_owned();
        let known = rows.into_iter().filter(|row| KNOWN.iter().any(|known| field(row).starts_with(known)));
        known.map(|row| (row["set"].clone(), "InvalidSpec", format!("{}: ", field(&row)))).collect()
    };
    let of_selectors = |reason: &'static str, of_all: &str| {
        let nothing = json!({"/selector": {"matchLabels": {}, "matchExpressions": []}});
        let others = json!({"/selector": {"matchLabels": {"app": "other"}}});
        [
            (json!({"/selector": {}}), reason, of_all.to_owned()),
            (nothing, reason, of_all.to_owned()),
            (others, "InvalidSpec", "spec.selector: does not match".to_owned()),
        ]
    };
    let mut of_deployments = of_table([rows("of_both"), rows("of_deployment")].concat());
    of_deployments.extend(of_selectors("SelectingAll", "This deployment is selecting all pods"));
    let mut of_sets = of_table(rows("of_both"));
    of_sets.extend(of_selectors("InvalidSpec", "spec.selector: must not be empty"));
    of_sets.push((json!({"/template": null}), "InvalidSpec", "spec.template: is missing".to_owned()));
    let bad: Vec<(Value, &str, String)> = [("LiteDeployment", of_deployments), ("LiteReplicaSet", of_sets)]
        .into_iter()
        .flat_map(|(kind, rows)| rows.into_iter().map(move |row| (kind, row)))
        .enumerate()
        .map(|(number, (kind, (set, reason, message)))| (object(kind, number, &set), reason, message))
        .collect();
    assert!(bad.len() > 25, "{}", bad.len());
    let limits = |surge: Value, unavailable: Value| json!({"/strategy": {"rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}});
    let good = [
        limits(json!(0), json!("100%")),
        limits(json!("300%"), json!(0)),
        limits(json!("1%"), json!("0%")),
        json!({"/strategy": {"type": "Recreate"}}),
        json!({"/replicas": 0, "/minReadySeconds": 0, "/progressDeadlineSeconds": 1}),
        json!({"/selector": {"matchExpressions": [{"key": "app", "operator": "Exists"}]}}),
        json!({"/template/spec/restartPolicy": "Always"}),
    ];
    let good = good.iter().enumerate().map(|(number, set)| object("LiteDeployment", 1000 + number, set));
    let plural = |kind: &str| if kind == Lite::DEPLOYMENT.0 { Lite::DEPLOYMENT.1 } else { Lite::REPLICA_SET.1 };
    // Looked at anew, when they have told of it already.
    let touched = bad.iter().map(|(object, ..)| {
        let (kind, name) = (object["kind"].as_str().unwrap(), object["metadata"]["name"].as_str().unwrap());
        let path = format!("/apis/{}/namespaces/default/{}/{name}", Lite::GROUP_VERSION, plural(kind));
        merge(path, &json!({"metadata": {"annotations": {"touched": "yes"}}}))
    });
    let touched: Vec<Request> = touched.collect();
    // Nobody judges: the promises are about objects that are as they should be.
    let simulation = Simulation::of(Lite::operator)
        .in_cluster(Nodes::new(3))
        .then(apply(loose_definitions()))
        .then(apply(bad.iter().map(|(object, ..)| object.clone()).collect()))
        .then(act(move |_| touched.clone()))
        .then(apply(good.clone().collect()));
    let record = simulation.run(1);
    assert_holds(&record, &[]);
    let state = &record.settled[3].state;
    for (object, reason, message) in &bad {
        let (kind, name) = (object["kind"].as_str().unwrap(), object["metadata"]["name"].as_str().unwrap());
        let stored = state.get(group::<Lite>(), plural(kind), "default", name).unwrap();
        assert_eq!(conditions(stored.value()), [format!("Stalled=True {reason}")], "{object}");
        let told = stored["status"]["conditions"][0]["message"].as_str().unwrap();
        assert!(told.starts_with(message), "{told} of {object}");
        let is_about = |event: &Value| {
            let about = &event["involvedObject"];
            about["name"] == name && about["kind"] == kind && event["reason"] == *reason
        };
        let events = state.list("", "events").filter(|(_, event)| is_about(event));
        let series: Vec<_> = events.map(|(_, event)| event["series"].clone()).collect();
        assert_eq!(series, [Value::Null], "{object}");
    }
    for object in good {
        let stored =
            state.get(group::<Lite>(), Lite::DEPLOYMENT.1, "default", object["metadata"]["name"].as_str().unwrap());
        let stored = stored.unwrap();
        assert_eq!(stored["status"]["availableReplicas"].as_u64().unwrap_or(0), object["spec"]["replicas"], "{object}");
        assert!(conditions(stored.value()).iter().all(|condition| !condition.starts_with("Stalled")), "{object}");
    }
    assert_eq!(pods(state).count(), 3 * 6, "none of what is bad");
}
