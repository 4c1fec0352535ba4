//! Promises of a simulation, shown by a process that gives each ConfigMap of a namespace a Secret of the same name.

#![allow(clippy::disallowed_methods, reason = "the process is one of plain kube")]

mod lives;

use std::time::Duration;

use futures::{StreamExt, pin_mut};
use http::Method;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{
    Api, ResourceExt,
    api::{ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams},
};
use serde_json::json;
use tokio::time::sleep;

use super::*;
use crate::{
    fault::{Effect, Fault, Moment, Outage, Seconds, Times},
    request::Request,
    store::{Change, Commit},
};

/// Lists and watches, for ever; begins anew after each error.
async fn mirror(environment: Environment) -> Result<(), String> {
    loop {
        if let Err(error) = mirror_once(&environment).await {
            tracing::warn!(%error, "failed");
            sleep(Duration::from_secs(1)).await;
        }
    }
}

async fn mirror_once(environment: &Environment) -> kube::Result<()> {
    let client = environment.client();
    let (maps, secrets) = (Api::<ConfigMap>::all(client.clone()), Api::<Secret>::namespaced(client, "default"));
    let list = maps.list(&ListParams::default()).await?;
    for map in list.items {
        create(&secrets, &map).await?;
    }
    let events = maps.watch(&WatchParams::default(), &list.metadata.resource_version.unwrap_or_default()).await?;
    pin_mut!(events);
    while let Some(event) = events.next().await {
        if let WatchEvent::Added(map) = event? {
            create(&secrets, &map).await?;
        }
    }
    Ok(())
}

async fn create(secrets: &Api<Secret>, map: &ConfigMap) -> kube::Result<()> {
    let mut secret = Secret::default();
    secret.metadata.name = Some(map.name_any());
    match tokio::time::timeout(Duration::from_secs(5), secrets.create(&PostParams::default(), &secret)).await {
        Ok(Err(kube::Error::Api(status))) if status.is_already_exists() => Ok(()),
        Ok(Err(error)) => Err(error),
        Ok(Ok(_)) => Ok(()),
        Err(_) => Box::pin(create(secrets, map)).await,
    }
}

fn maps(names: &[&str]) -> Manifest {
    let map = |name: &&str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
    names.iter().map(map).collect()
}

fn simulation() -> Simulation {
    Simulation::new()
        .process("mirror", User::administrator(), mirror)
        .with(maps(&["a", "b", "c"]))
        .then(apply(maps(&["d"])))
}

fn secrets(record: &Record) -> Vec<String> {
    let created = record.commits.iter().filter(|commit| *commit.collection.plural == *"secrets");
    created.map(|commit| commit.key.name().to_owned()).collect()
}

#[test]
fn a_process_acts_on_what_people_ask_for_and_then_all_is_quiet() {
    let record = simulation().run(1);
    assert_eq!(record.violations, []);
    let mut made = secrets(&record);
    assert_eq!(made.pop().as_deref(), Some("d"), "only after the first step had settled");
    made.sort();
    assert_eq!(made, ["a", "b", "c"]);
    assert!(record.end.duration_since(record.settled[1].time) >= jiff::SignedDuration::from_hours(1));
}

#[test]
fn a_seed_decides_the_whole_run_and_another_seed_decides_otherwise() {
    let plan = Plan::of([Fault::new(Moment::write("mirror", 2), Effect::crash(true))]);
    let digest = |seed| simulation().run_with(seed, &plan).digest();
    assert_eq!(digest(1), digest(1));
    assert_ne!(digest(1), digest(2));
}

#[test]
fn a_process_that_dies_before_a_write_has_not_made_it_and_after_a_write_has() {
    for is_applied in [false, true] {
        let plan = Plan::of([Fault::new(Moment::write("mirror", 2), Effect::crash(is_applied))]);
        let record = simulation().run_with(1, &plan);
        let second = record.requests.iter().find(|request| request.counted.write == Some(2)).unwrap();
        assert_eq!(second.is_effective(), is_applied, "{second}");
        assert_eq!(secrets(&record).len(), 4);
        assert_eq!(record.struck.len(), 1);
        assert!(record.log.iter().any(|line| line.text == "mirror starts again"), "{:?}", record.log);
    }
}

#[test]
fn a_dead_process_asks_for_nothing_until_it_is_started_again() {
    let outage = Outage { down_seconds: 90 };
    let plan = Plan::of([Fault::new(Moment::write("mirror", 1), Effect::CrashAfter(outage))]);
    let record = simulation().run_with(1, &plan);
    let first = record.requests.iter().position(|request| request.counted.write == Some(1)).unwrap();
    let pause = record.requests[first + 1].sent.duration_since(record.requests[first].sent);
    assert!(pause >= jiff::SignedDuration::from_secs(90), "{pause:?}");
}

#[test]
fn a_frozen_process_stands_still_and_goes_on_as_if_nothing_had_been() {
    let plan = Plan::of([Fault::new(Moment::write("mirror", 1), Effect::Freeze(Seconds { seconds: 60 }))]);
    let record = simulation().run_with(1, &plan);
    let sent = |number| record.requests.iter().find(|request| request.counted.write == Some(number)).unwrap().sent;
    // The first write was sent, and did its work; its answer was heard a minute later.
    assert!(sent(2).duration_since(sent(1)) >= jiff::SignedDuration::from_secs(60));
    assert_eq!(record.violations, []);
    assert!(!record.log.iter().any(|line| line.text.contains("starts again")), "{:?}", record.log);
}

/// Writes what is there already, every ten minutes.
async fn repeat(environment: Environment) -> Result<(), String> {
    let maps = Api::<ConfigMap>::namespaced(environment.client(), "default");
    loop {
        let _ = maps.patch("a", &PatchParams::default(), &Patch::Merge(json!({}))).await;
        sleep(Duration::from_secs(600)).await;
    }
}

#[test]
fn what_strikes_many_times_leaves_the_quiet_hour_alone() {
    let simulation = Simulation::new().process("repeat", User::administrator(), repeat).with(maps(&["a"]));
    let race = Effect::Race(Times { times: 50 });
    let record = simulation.run_with(1, &Plan::of([Fault::new(Moment::write("repeat", 1), race)]));
    assert_eq!(record.violations, []);
    assert_eq!(record.struck.len(), 1);
    assert!(record.effective_writes().next().is_none() && record.requests.len() > 5);
}

#[test]
fn what_strikes_at_a_set_time_is_waited_for_before_the_quiet_hour() {
    // All is settled after 120 s in which nothing happens.
    let late = Fault::new(Moment::time("mirror", 300_000), Effect::Partition(Seconds { seconds: 1 }));
    let record = simulation().run_with(1, &Plan::of([late]));
    assert_eq!(record.violations, []);
    assert!(record.end.duration_since(record.struck[&0]) >= jiff::SignedDuration::from_hours(1));
}

#[test]
fn nothing_gets_through_a_partition_until_it_heals() {
    let plan = Plan::of([Fault::new(Moment::time("mirror", 0), Effect::Partition(Seconds { seconds: 30 }))]);
    let record = simulation().run_with(1, &plan);
    let healed = record.struck[&0] + Duration::from_secs(30);
    assert!(record.notifications.iter().all(|told| told.time >= healed));
    assert!(record.commits.iter().filter(|commit| commit.request > 0).all(|commit| commit.time >= healed));
    assert_eq!(secrets(&record).len(), 4);
}

#[test]
fn a_request_counts_as_sent_when_its_process_gave_it_away_not_when_a_partition_let_it_through() {
    let plan = Plan::of([Fault::new(Moment::time("mirror", 0), Effect::Partition(Seconds { seconds: 30 }))]);
    let record = simulation().run_with(1, &plan);
    let first = &record.requests[0];
    assert_eq!(first.sent, crate::service::START, "{first}");
    assert!(first.answer.is_some(), "{first}");
}

#[test]
fn a_judge_sees_every_commit_with_the_state_that_it_made() {
    let judged = simulation().judged_by(|| {
        |commit: &Commit, state: &crate::record::State| {
            assert_eq!(state.revision, commit.revision);
            let is_third = commit.change == Change::Created && state.list("", "secrets").count() == 3;
            if is_third { vec![format!("{} is the third", commit.key)] } else { Vec::new() }
        }
    });
    let record = judged.run(1);
    assert_eq!(record.violations.len(), 2, "the third secret, and the map that came while there were three");
    assert_eq!(record.violations[0].oracle, "O4 invariant");
}

#[test]
fn a_container_that_ends_again_and_again_is_no_fault_of_who_is_on_trial() {
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"},
        "spec": {"containers": [{"name": "main", "image": "bad"}]}});
    let at_once = Duration::ZERO..=Duration::ZERO;
    let behaviour = crate::actor::Behaviour::ready_after(at_once).exiting_after(Duration::from_secs(30), 1);
    let nodes = crate::actor::Nodes::new(1).with_image("bad", behaviour);
    let record = Simulation::new().in_cluster(nodes).with(pod.into()).run(1);
    let ready = |object: &serde_json::Value| {
        let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
    };
    let has_become_ready = |commit: &&std::sync::Arc<Commit>| {
        ready(&commit.after) && commit.before.as_ref().is_some_and(|before| !ready(before))
    };
    let times = record.commits.iter().filter(has_become_ready).count();
    assert!(times > 6, "{times}");
    assert_eq!(record.broken(), []);
}

#[test]
fn a_judge_that_panics_is_heard() {
    let record = simulation().judged_by(|| |_: &Commit, _: &crate::record::State| panic!("not {}", "so")).run(1);
    assert_eq!(record.violations.len(), record.commits.iter().filter(|commit| commit.revision > record.base).count());
    assert!(record.violations.iter().all(|violation| violation.message == "the judge panicked: not so"));
}

#[test]
fn no_task_of_a_process_that_stands_still_sends_anything() {
    let ticking = Simulation::new().process("ticking", User::administrator(), |environment| async move {
        // A task of its own, which no door holds back.
        let wire = environment.wire();
        let ticks = tokio::spawn(async move {
            for _ in 0..60 {
                sleep(Duration::from_secs(1)).await;
                let _ = wire.send(Request::new(Method::GET, "/api/v1/namespaces/default/secrets")).await;
            }
            std::future::pending::<()>().await;
        });
        ticks.await.map_err(|error| error.to_string())
    });
    let freeze = Fault::new(Moment::time("ticking", 10_500), Effect::Freeze(Seconds { seconds: 20 }));
    let record = ticking.run_with(1, &Plan::of([freeze]));
    let frozen = record.struck[&0];
    let during = |time: &jiff::Timestamp| *time > frozen && *time < frozen + Duration::from_secs(20);
    let sent: Vec<_> = record.requests.iter().map(|request| request.sent).collect();
    assert!(sent.iter().any(|time| *time < frozen) && sent.iter().any(|time| *time > frozen + Duration::from_secs(20)));
    assert!(!sent.iter().any(during), "{sent:?}");
}

#[test]
fn who_tells_people_again_and_again_what_they_know_is_not_quiet() {
    let telling = Simulation::new().process("telling", User::administrator(), |environment| async move {
        for number in 0.. {
            sleep(Duration::from_secs(900)).await;
            let map = json!({"kind": "ConfigMap", "namespace": "default", "name": "a"});
            let event = json!({"metadata": {"name": format!("a.{number}")}, "involvedObject": map});
            let request = Request::new(Method::POST, "/api/v1/namespaces/default/events").with_body(&event);
            environment.wire().send(request).await.map_err(|error| format!("{error:?}"))?;
        }
        Ok(())
    });
    let record = telling.with(maps(&["a"])).run(1);
    let oracles: Vec<_> = record.violations.iter().map(|violation| violation.oracle).collect();
    assert_eq!(oracles, ["O2 quiescence"]);
    assert!(record.violations[0].message.contains("Created events"), "{}", record.violations[0]);
}

#[test]
fn who_never_rests_is_not_quiet() {
    let busy = Simulation::new().process("busy", User::administrator(), |environment| async move {
        let secrets = Api::<Secret>::namespaced(environment.client(), "default");
        for number in 0.. {
            sleep(Duration::from_secs(600)).await;
            let mut secret = Secret::default();
            secret.metadata.name = Some(format!("s{number}"));
            secrets.create(&PostParams::default(), &secret).await.map_err(|error| error.to_string())?;
        }
        Ok(())
    });
    let record = busy.with(maps(&["a"])).run(1);
    assert_eq!(record.violations.len(), 1);
    assert_eq!(record.violations[0].oracle, "O2 quiescence");
    assert!(record.violations[0].message.starts_with("6 changes"), "{}", record.violations[0]);
}

#[test]
fn a_process_that_panics_is_started_again_and_told() {
    let record = Simulation::new()
        .process("mirror", User::administrator(), |environment| async move {
            assert!(environment.restarts() > 0, "at the first start");
            mirror(environment).await
        })
        .with(maps(&["a"]))
        .run(1);
    assert_eq!(secrets(&record), ["a"]);
    assert!(record.log.iter().any(|line| line.is_error && line.text.contains("mirror panicked")), "{:?}", record.log);
}

#[test]
fn what_people_do_stands_in_the_log() {
    let path = "/api/v1/namespaces/default/configmaps/a";
    let deletion = act(move |_| vec![Request::new(Method::DELETE, path)]);
    let record = Simulation::new().with(maps(&["a", "b"])).then(deletion).run(1);
    let told: Vec<&str> = record.log.iter().map(|line| &*line.text).filter(|text| text.starts_with("step")).collect();
    assert_eq!(told, ["step 1: apply ConfigMap a, ConfigMap b", "step 2: act", &format!("step 2: DELETE {path}")]);
}

#[test]
fn what_is_installed_is_there_in_every_run_whichever_comes_first() {
    let simulation = simulation().installed(maps(&["installed"]));
    let (first, again) = (simulation.run(1).digest(), simulation.run(1).digest());
    assert_eq!(first, again);
    assert!(secrets(&simulation.run(2)).contains(&"installed".to_owned()));
}

#[test]
fn what_cannot_be_installed_is_told() {
    let thing = json!({"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "a"}});
    let record = Simulation::new().installed(Manifest::from(thing)).run(1);
    assert_eq!(record.violations[0].oracle, "installation");
}

#[test]
fn what_a_process_does_unasked_is_to_settle_too() {
    let unasked = |environment: Environment| async move {
        let secrets = Api::<Secret>::default_namespaced(environment.client());
        let mut map = ConfigMap::default();
        map.metadata.name = Some("a".to_owned());
        create(&secrets, &map).await.map_err(|error| error.to_string())?;
        std::future::pending().await
    };
    let record = Simulation::new().process("unasked", User::administrator(), unasked).run(1);
    assert!(record.settled[0].state.get("", "secrets", "default", "a").is_some());
    assert_eq!(record.violations, []);
}
