//! The perturbations that every operator has to pass, by their numbers in `docs/track-record.md`, as far as no single fault
//! makes them: those are in `explorations.rs`. Each with both forms. Those that take long run with `cargo xtask soak faults`.

#[cfg(feature = "soak")]
mod interloper;
#[cfg(feature = "soak")]
mod long;
#[cfg_attr(not(feature = "soak"), allow(dead_code, reason = "single verbs take long"))]
mod rules;

use std::{collections::BTreeSet, sync::Arc};

use deployment_lite::api::{BuiltIn, Lite};
use http::Method;
use operator_testkit::{
    actor::{Behaviour, Nodes},
    explore::Faults,
    record::{Record, State},
    request::Request,
    simulation::{Manifest, Simulation, Step, act, apply},
    store::Commit,
};
use serde_json::{Value, json};

use self::rules::Rules;
use crate::workloads::{
    Mode, ask, assert_holds, change, cluster, deletion, deployment, group, image, image_of, loose_definitions,
    manifest, merge, nodes, path, recreation, replacement, rollout, scaling, web,
};

fn settles(simulation: &Simulation) {
    simulation.explore(Faults::none()).assert_converges();
}

/// All that a run is judged by holds. Only that somebody else is first does not count, because people come between.
fn holds(simulation: &Simulation) -> Record {
    let mut records: Vec<Record> = (1..=3).map(|seed| simulation.run(seed)).collect();
    records.iter().for_each(|record| assert_holds(record, &["O5 races"]));
    records.remove(0)
}

fn last(record: &Record) -> &State {
    &record.settled.last().unwrap().state
}

fn pods(state: &State) -> usize {
    state.list("", "pods").count()
}

/// Where a kind is found.
fn group_version<M: Mode>(plural: &str) -> &'static str {
    if plural == "pods" { "v1" } else { M::GROUP_VERSION }
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
            merge(path, &patch)
        });
        patched.collect()
    })
}

#[test]
fn t06_who_is_deleted_and_comes_back_at_once_gets_pods_of_his_own() {
    fn check<M: Mode>() {
        for seed in 1..10 {
            let record = replacement::<M>().run(seed);
            assert_holds(&record, &["O5 races"]);
            assert_eq!(pods(last(&record)), 3, "seed {seed}");
        }
    }
    check::<Lite>();
    check::<BuiltIn>();
}

#[test]
fn t14_what_people_change_is_made_good_in_two_writes_and_what_is_theirs_stays() {
    const REVISION: &str = "/metadata/annotations/deployment.kubernetes.io~1revision";
    fn check<M: Mode>() {
        let sets = M::REPLICA_SET.1;
        let note = json!({"metadata": {"annotations": {"note": "by people"}}});
        for (plural, field, edit, is_ours) in [
            (sets, "/spec/replicas", json!({"spec": {"replicas": 1}}), true),
            (sets, "/spec/replicas", json!({"spec": {"replicas": 7}}), true),
            (sets, "/spec/minReadySeconds", json!({"spec": {"minReadySeconds": 5}}), true),
            (sets, "/metadata/ownerReferences", json!({"metadata": {"ownerReferences": null}}), true),
            (sets, REVISION, json!({"metadata": {"annotations": null}}), true),
            (sets, "/metadata/annotations/note", note.clone(), false),
            (sets, "/metadata/labels/team", json!({"metadata": {"labels": {"team": "a"}}}), false),
            ("pods", "/metadata/ownerReferences", json!({"metadata": {"ownerReferences": null}}), true),
            ("pods", "/metadata/annotations/note", note, false),
            // Another is made in its place, and this one is let go.
            ("pods", "/metadata/labels/app", json!({"metadata": {"labels": {"app": "other"}}}), false),
        ] {
            println!("{plural}: {edit}");
            let record = holds(&web::<M>().then(patch_all(group_version::<M>(plural), plural, edit.clone())));
            let edited = record.settled[0].state.all().filter(|(kind, ..)| &*kind.plural == plural);
            for (kind, key, before) in edited {
                let of_it = |commit: &&Arc<Commit>| commit.collection == *kind && commit.key == *key;
                let later = record.commits.iter().filter(|commit| commit.revision > record.settled[0].state.revision);
                let mut values: Vec<_> = later.filter(of_it).map(|commit| commit.after.pointer(field)).collect();
                values.dedup();
                let edited = edit.pointer(field).filter(|value| !value.is_null());
                let end = if is_ours { before.pointer(field) } else { edited };
                let writes_max = if is_ours { 2 } else { 0 };
                assert_eq!((values[0], values[values.len() - 1]), (edited, end), "{key} {field}");
                assert!(values.len() <= 1 + writes_max, "{key} {field}: {values:?}");
            }
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
    let mut unreadable = deployment::<Lite>("unreadable");
    unreadable["spec"]["template"] = "none".into();
    // Nobody judges: the promises are about objects that can be read.
    let simulation = Simulation::of(Lite::operator)
        .in_cluster(Nodes::new(3))
        .with(manifest::<Lite>("web"))
        .then(apply(loose_definitions()))
        .then(apply(Manifest::from(unreadable)))
        .then(image::<Lite>("web:2"));
    let record = simulation.run(1);
    assert_holds(&record, &["O5 log"]);
    let images: Vec<_> = last(&record).list("", "pods").map(|(_, pod)| image_of(pod)).collect();
    assert_eq!(images, ["web:2"; 3]);
}

#[test]
fn t29_every_right_is_used_and_the_lack_of_a_rule_is_survived() {
    fn check<M: Mode>() {
        let adoption = |plural| {
            web::<M>().then(patch_all(
                group_version::<M>(plural),
                plural,
                json!({"metadata": {"ownerReferences": null}}),
            ))
        };
        let adoptions = [adoption("pods"), adoption(M::REPLICA_SET.1)];
        let workloads = [rollout::<M>(), recreation::<M>(), scaling::<M>(), deletion::<M>()];
        let workloads: Vec<_> = workloads.into_iter().chain(adoptions).collect();
        let unused = workloads.iter().map(|workload| workload.explore(Faults::none()).unused_rights);
        let unused = unused.reduce(|one, other| &one & &other).unwrap();
        assert_eq!(unused, BTreeSet::new());
        let rules = Rules::of::<M>();
        for lacking in 0..rules.rules.len() {
            let mut fewer = rules.rules.clone();
            println!("without {}", fewer.remove(lacking));
            rules.refused_without::<M>(&fewer);
        }
    }
    check::<Lite>();
    check::<BuiltIn>();
}

#[test]
fn t29_while_pods_cannot_be_deleted_nothing_grows_beside_them() {
    fn check<M: Mode>() {
        let rules = Rules::of::<M>();
        let (_, fewer) = rules.without_each_verb().into_iter().find(|(right, _)| right == "delete pods").unwrap();
        let sizes = |record: &Record, step: usize| {
            let sets = record.settled[step].state.list(group::<M>(), M::REPLICA_SET.1);
            let mut sizes: Vec<_> = sets.map(|(_, set)| set["spec"]["replicas"].as_u64().unwrap()).collect();
            sizes.sort_unstable();
            sizes
        };
        let changed = |surge: Value, steps: Vec<Step>| {
            let surge = json!({"strategy": {"rollingUpdate": {"maxSurge": surge, "maxUnavailable": 0}}});
            let on = Nodes::new(3).with_image("bad", Behaviour::never_ready());
            let world = nodes::<M>(on).with(manifest::<M>("web")).limits(rules::patient()).then(change::<M>(surge));
            let last = [rules.put(&rules.rules), image::<M>("web:3")];
            let record = steps.into_iter().chain(last).fold(world, Simulation::then).run(1);
            assert_holds(&record, &["O5 answers", "O5 races", "O5 log"]);
            record
        };
        // The former one's pods go on taking the room that another size of all would share out.
        let size = |replicas: u32| change::<M>(json!({"replicas": replicas}));
        let stuck = changed(json!(1), vec![image::<M>("bad:2"), rules.put(&fewer), size(2), size(10)]);
        assert_eq!(sizes(&stuck, 2), [1, 3]);
        assert_eq!((sizes(&stuck, 4), pods(&stuck.settled[4].state)), (vec![1, 2], 4));
        assert_eq!(sizes(&stuck, 5), [1, 2], "nor does anybody grow beside them");
        assert_eq!(sizes(&stuck, 7), [10]);
        // The last one's, too, where the present one is the only one that is asked to have any.
        let over = changed(json!("100%"), vec![rules.put(&fewer), image::<M>("web:2"), size(5)]);
        assert_eq!((sizes(&over, 3), pods(&over.settled[3].state)), (vec![0, 3], 6));
        assert_eq!((sizes(&over, 4), pods(&over.settled[4].state)), (vec![0, 3], 6));
        assert_eq!(sizes(&over, 6), [5]);
    }
    check::<Lite>();
    check::<BuiltIn>();
}

#[test]
fn t30_names_that_are_long_or_alike_are_told_apart() {
    fn check<M: Mode>() {
        let long = "w".repeat(63);
        let mut wanted = [long.as_str(), "a-b", "a", "a-b-c", "a.b", "longest"].map(deployment::<M>);
        wanted[5]["metadata"]["name"] = "v".repeat(253).into();
        let simulation = cluster::<M>().with(wanted.into_iter().collect());
        settles(&simulation);
        let record = simulation.run(1);
        assert_eq!(pods(last(&record)), 18);
    }
    check::<Lite>();
    check::<BuiltIn>();
}
