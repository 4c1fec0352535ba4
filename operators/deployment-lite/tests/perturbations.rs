//! The perturbations that every operator has to pass, by their numbers in `docs/track-record.md`, as far as no single fault
//! makes them: those are in `faults.rs`. Each with both forms.

#![allow(missing_docs, reason = "a test")]

#[path = "perturbations/interloper.rs"]
mod interloper;
#[path = "faults/promises.rs"]
mod promises;
#[path = "faults/workloads.rs"]
mod workloads;

use std::{collections::BTreeSet, time::Duration};

use deployment_lite::api::{BuiltIn, Lite, LiteDeployment};
use http::Method;
use operator_sdk::crd;
use operator_testkit::{
    actor::{Behaviour, Nodes},
    explore::Faults,
    fault::{Effect, Fault, Moment, Plan, Refusal},
    record::{Record, State},
    request::Request,
    simulation::{Limits, Manifest, Simulation, Step, act, apply},
};
use serde_json::{Value, json};

use self::{
    interloper::Interloper,
    workloads::{
        Mode, OPERATOR, change, changing, cluster, deletion, deployment, image, manifest, nodes, path, recreation,
        return_of_a_name, rollout, scaling, web, with_image,
    },
};

/// A rollout of three pods is over after fewer changes than this.
const CHANGES: usize = 60;
/// Of them every so many-eth is interfered with.
const STEP: usize = 6;

fn settles(simulation: &Simulation) {
    simulation.explore(Faults::single().only(|_| false)).assert_converges();
}

fn last(record: &Record) -> &State {
    &record.settled.last().unwrap().state
}

fn pods(state: &State) -> usize {
    state.list("", "pods").count()
}

/// Sends one request.
fn ask(request: Request) -> Step {
    act(move |_| vec![request.clone()])
}

/// Patches every object of a kind.
fn patch_all(group_version: &str, plural: &'static str, patch: Value) -> Step {
    let (group, root) = match group_version.split_once('/') {
        Some((group, _)) => (group.to_owned(), format!("/apis/{group_version}")),
        None => (String::new(), format!("/api/{group_version}")),
    };
    act(move |state| {
        let patched = state.list(&group, plural).map(|(key, _)| {
            let path = format!("{root}/namespaces/{}/{plural}/{}", key.namespace(), key.name());
            Request::new(Method::PATCH, path).with_content("application/merge-patch+json", patch.to_string())
        });
        patched.collect()
    })
}

#[test]
fn t06_who_sees_the_past_does_nothing_to_a_namesake_of_what_is_gone() {
    fn check<M: Mode>() {
        let faults =
            Faults::single().only(|fault| matches!(fault.effect, Effect::TimeTravel(_) | Effect::StaleView(_)));
        return_of_a_name::<M>().explore(faults).assert_converges();
    }
    check::<Lite>();
    check::<BuiltIn>();
}

#[test]
fn t06_who_is_deleted_and_comes_back_at_once_gets_pods_of_his_own() {
    fn check<M: Mode>() {
        let again = act(|_| {
            let body = deployment::<M>("web");
            let collection = path::<M>("").trim_end_matches('/').to_owned();
            let delete = Request::new(Method::DELETE, path::<M>("web"));
            vec![delete, Request::new(Method::POST, collection).with_body(&body)]
        });
        for seed in 1..10 {
            let record = web::<M>().then(again.clone()).run(seed);
            assert_eq!(record.violations, [], "seed {seed}");
            assert_eq!(pods(last(&record)), 3, "seed {seed}");
        }
    }
    check::<Lite>();
    check::<BuiltIn>();
}

#[test]
fn t13_a_thousand_come_through_a_server_that_is_busy() {
    let wanted = (0..1000).map(|number| {
        let mut wanted = deployment::<Lite>(&format!("web-{number}"));
        wanted["spec"]["replicas"] = 0.into();
        wanted
    });
    let busy = |number| {
        let message = "Too many requests, please try again later.".to_owned();
        let reason = "TooManyRequests".to_owned();
        let refusal = Refusal { code: 429, reason, message, retry_after_seconds: 2, times: 2 };
        Fault::new(Moment::write(OPERATOR, number), Effect::Refuse(refusal))
    };
    let storm = cluster::<Lite>().with(wanted.collect());
    let record = storm.run_with(1, &Plan::of((1..2000).step_by(10).map(busy)));
    assert_eq!(record.violations, []);
    assert!(record.struck.len() > 100, "{} struck", record.struck.len());
    assert_eq!(last(&record).list("apps.operator-lite.dev", "litereplicasets").count(), 1000);
}

#[test]
fn t14_what_people_change_of_what_belongs_to_a_deployment_is_made_good() {
    fn check<M: Mode>() {
        let of_sets = [
            json!({"spec": {"replicas": 1}}),
            json!({"spec": {"replicas": 7}}),
            json!({"spec": {"minReadySeconds": 5}}),
            json!({"metadata": {"ownerReferences": null}}),
            json!({"metadata": {"annotations": null}}),
        ];
        for patch in of_sets {
            println!("{patch}");
            settles(&web::<M>().then(patch_all(M::GROUP_VERSION, M::REPLICA_SET.1, patch)));
        }
        let of_pods =
            [json!({"metadata": {"ownerReferences": null}}), json!({"metadata": {"labels": {"app": "other"}}})];
        for patch in of_pods {
            println!("{patch}");
            settles(&web::<M>().then(patch_all("v1", "pods", patch)));
        }
    }
    check::<Lite>();
    check::<BuiltIn>();
}

#[test]
fn t16_what_is_deleted_in_the_middle_of_a_rollout_goes_with_all_that_it_owns() {
    fn check<M: Mode>() {
        for number in (1..CHANGES).step_by(STEP) {
            let delete = Request::new(Method::DELETE, path::<M>("web"));
            // One who comes after the first step finds what the second asks for gone.
            let simulation = web::<M>().actor(Interloper::at::<M>(number, delete));
            settles(&simulation);
            assert_eq!(pods(last(&simulation.run(1))), if number < CHANGES { 0 } else { 3 }, "change {number}");
        }
    }
    check::<Lite>();
    check::<BuiltIn>();
}

#[test]
fn t18_each_way_of_deletion_takes_along_what_it_says() {
    fn check<M: Mode>() {
        for (policy, left) in [("Background", 0), ("Foreground", 0), ("Orphan", 3)] {
            let options = json!({"propagationPolicy": policy});
            let delete = Request::new(Method::DELETE, path::<M>("web")).with_body(&options);
            let simulation = web::<M>().then(ask(delete));
            settles(&simulation);
            assert_eq!(pods(last(&simulation.run(1))), left, "{policy}");
        }
    }
    check::<Lite>();
    check::<BuiltIn>();
}

#[test]
fn t19_a_leader_that_stood_still_at_any_write_does_no_harm_when_it_wakes() {
    let replicas = Simulation::of_replicas(2, Lite::operator)
        .in_cluster(Nodes::new(3))
        .judged_by(promises::Promises::<Lite>::default)
        .with(manifest::<Lite>("web"))
        .then(image::<Lite>("web:2"));
    let frozen = |fault: &Fault| matches!(fault.effect, Effect::Freeze(_) | Effect::ClockStep(_));
    replicas.explore(Faults::single().only(frozen)).assert_converges();
}

#[test]
fn t21_another_wish_in_the_middle_of_a_rollout_is_what_counts() {
    fn check<M: Mode>() {
        for number in (1..CHANGES).step_by(STEP) {
            let third = Interloper::at::<M>(number, changing::<M>(with_image("web:3")));
            let simulation = web::<M>().actor(third);
            settles(&simulation);
            let record = simulation.run(1);
            let images: BTreeSet<_> = last(&record).list("", "pods").map(|(_, pod)| image_of(pod)).collect();
            assert_eq!(images, BTreeSet::from(["web:3"]), "change {number}");
        }
    }
    check::<Lite>();
    check::<BuiltIn>();
}

fn image_of(pod: &Value) -> &str {
    pod["spec"]["containers"][0]["image"].as_str().unwrap()
}

#[test]
fn t21_a_rollout_to_a_bad_image_can_be_taken_back() {
    fn check<M: Mode>() {
        for behaviour in [Behaviour::never_ready(), Behaviour::crash_loops(), Behaviour::image_missing()] {
            let cluster = nodes::<M>(Nodes::new(3).with_image("bad", behaviour));
            let simulation = cluster.with(manifest::<M>("web")).then(image::<M>("bad:1")).then(image::<M>("web:1"));
            settles(&simulation);
            let record = simulation.run(1);
            let [first, _, third] = [0, 1, 2].map(|step| {
                let pods = record.settled[step].state.list("", "pods");
                pods.map(|(_, pod)| image_of(pod).to_owned()).collect::<Vec<_>>()
            });
            assert_eq!(first, third);
        }
    }
    check::<Lite>();
    check::<BuiltIn>();
}

#[test]
fn t23_an_object_that_cannot_be_read_keeps_nobody_else_from_his() {
    let mut loose = serde_json::to_value(crd::definition::<LiteDeployment>().unwrap()).unwrap();
    let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    loose["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = schema;
    let mut unreadable = deployment::<Lite>("unreadable");
    unreadable["spec"]["replicas"] = "many".into();
    let simulation = web::<Lite>()
        .then(apply(Manifest::from(loose)))
        .then(apply(Manifest::from(unreadable)))
        .then(image::<Lite>("web:2"));
    let record = simulation.run(1);
    assert_eq!(record.violations, []);
    let images: Vec<_> = last(&record).list("", "pods").map(|(_, pod)| image_of(pod)).collect();
    assert_eq!(images, ["web:2"; 3]);
}

#[test]
fn t25_five_hundred_are_left_alone_for_a_day() {
    let wanted: Manifest =
        (0..500).flat_map(|number| manifest::<Lite>(&format!("web-{number}")).objects().to_vec()).collect();
    let day = Limits { stays_quiet_for: Duration::from_secs(24 * 3600), ..Limits::default() };
    let record = nodes::<Lite>(Nodes::new(20)).with(wanted).limits(day).run(1);
    assert_eq!(record.violations, []);
    assert_eq!(pods(last(&record)), 1500);
}

#[test]
fn t29_every_right_is_used_and_the_lack_of_any_is_told_and_survived() {
    fn check<M: Mode>() {
        let workloads = [rollout::<M>(), recreation::<M>(), scaling::<M>(), deletion::<M>()];
        let unused = workloads.map(|workload| workload.explore(Faults::single().only(|_| false)).unused_rights);
        let unused = unused.into_iter().reduce(|one, other| &one & &other).unwrap();
        assert_eq!(unused, BTreeSet::new());
        let record = web::<M>().run(1);
        let roles = last(&record).list("rbac.authorization.k8s.io", "clusterroles");
        let (key, role) = roles.filter(|(key, _)| key.name().contains(OPERATOR)).last().unwrap();
        let path = format!("/apis/rbac.authorization.k8s.io/v1/clusterroles/{}", key.name());
        let rules = role["rules"].as_array().unwrap().clone();
        let put = |rules: &[Value]| {
            let patch = json!({"rules": rules}).to_string();
            ask(Request::new(Method::PATCH, path.clone()).with_content("application/merge-patch+json", patch))
        };
        for lacking in 0..rules.len() {
            let mut fewer = rules.clone();
            println!("without {}", fewer.remove(lacking));
            let steps = [put(&fewer), image::<M>("web:2"), put(&rules)];
            let record = steps.into_iter().fold(web::<M>(), Simulation::then).run(1);
            assert_eq!(record.violations, []);
            let images: Vec<_> = last(&record).list("", "pods").map(|(_, pod)| image_of(pod)).collect();
            assert_eq!(images, ["web:2"; 3]);
        }
    }
    check::<Lite>();
    check::<BuiltIn>();
}

#[test]
fn t30_names_that_are_long_or_alike_are_told_apart() {
    fn check<M: Mode>() {
        let long = "w".repeat(63);
        let wanted = [long.as_str(), "a-b", "a", "a-b-c", "a.b"].map(deployment::<M>);
        let simulation = cluster::<M>().with(wanted.into_iter().collect());
        settles(&simulation);
        let record = simulation.run(1);
        assert_eq!(pods(last(&record)), 15);
    }
    check::<Lite>();
    check::<BuiltIn>();
}

#[test]
fn t32_no_limits_are_broken_whatever_they_are() {
    fn check<M: Mode>() {
        for (surge, unavailable) in
            [("0", "1"), ("1", "0"), ("25%", "25%"), ("100%", "100%"), ("3", "50%"), ("0%", "10%")]
        {
            let number = |text: &str| text.parse::<u32>().map_or_else(|_| json!(text), |number| json!(number));
            let limits = json!({"maxSurge": number(surge), "maxUnavailable": number(unavailable)});
            println!("{limits}");
            settles(
                &web::<M>()
                    .then(change::<M>(json!({"replicas": 5, "strategy": {"rollingUpdate": limits}})))
                    .then(image::<M>("web:2")),
            );
        }
    }
    check::<Lite>();
    check::<BuiltIn>();
}
