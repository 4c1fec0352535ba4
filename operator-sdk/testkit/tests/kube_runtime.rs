//! A `Controller` of kube-runtime runs in simulations as it is: a seed repeats it, and what it lacks is found.

#![allow(missing_docs, clippy::unwrap_used, clippy::disallowed_methods, reason = "a test, of plain kube")]

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures::StreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client, ResourceExt,
    api::{Patch, PatchParams},
    client::ClientBuilder,
    runtime::{Controller, controller::Action, watcher},
};
use operator_testkit::{
    explore::Faults,
    fault::{Effect, Fault, Moment, Plan},
    request::User,
    simulation::{Environment, Manifest, Simulation},
};
use serde_json::json;
use tower::timeout::TimeoutLayer;

const NAME: &str = "labels";

/// Puts a label on each ConfigMap.
async fn reconcile(map: Arc<ConfigMap>, client: Arc<Client>) -> kube::Result<Action> {
    if !map.labels().contains_key("seen") {
        let maps: Api<ConfigMap> = Api::namespaced(Client::clone(&client), &map.namespace().unwrap());
        let label = json!({"metadata": {"labels": {"seen": "true"}}});
        maps.patch(&map.name_any(), &PatchParams::default(), &Patch::Merge(label)).await?;
    }
    Ok(Action::await_change())
}

async fn run(client: Client) {
    Controller::new(Api::<ConfigMap>::all(client.clone()), watcher::Config::default())
        .run(reconcile, |_, _, _| Action::requeue(Duration::from_secs(5)), Arc::new(client))
        .for_each(|_| async {})
        .await;
}

fn of(client: impl Fn(&Environment) -> Client + Copy + Send + Sync + 'static) -> Simulation {
    let maps =
        ["a", "b", "c", "d"].map(|name| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}));
    Simulation::new()
        .process(NAME, User::administrator(), move |environment| async move {
            run(client(&environment)).await;
            Ok::<_, String>(())
        })
        .with(maps.into_iter().collect::<Manifest>())
}

/// With a client as kube makes it, whose requests have all the time in the world.
fn without_time_out() -> Simulation {
    of(Environment::client)
}

fn with_time_out() -> Simulation {
    of(|environment| {
        let time_out = TimeoutLayer::new(Duration::from_secs(30));
        ClientBuilder::new(environment.wire(), "default").with_layer(&time_out).build()
    })
}

#[test]
fn a_seed_repeats_it_to_the_byte_and_another_has_another_order() {
    // The first list is refused, so that it backs off: its jitter is by chance, too.
    let refused = Fault::new(Moment::request(NAME, 1), Effect::refuse(500, "InternalError", "try again"));
    let run = |seed| with_time_out().run_with(seed, &Plan::of([refused.clone()]));
    let first = run(1);
    assert_eq!(first.violations, []);
    assert_eq!(first.struck.len(), 1);
    assert_eq!(first.digest(), run(1).digest());
    let orders = (1..=6).map(|seed| {
        let patches = run(seed).requests.into_iter().filter(|request| request.method == "PATCH");
        patches.map(|patch| patch.path).collect::<Vec<_>>()
    });
    assert!(orders.collect::<BTreeSet<_>>().len() > 1, "every seed has the same order of things");
}

#[test]
fn it_comes_through_every_single_fault() {
    with_time_out().explore(Faults::single()).assert_converges();
}

#[test]
fn without_a_time_out_it_waits_for_ever_for_an_answer_that_is_lost() {
    let verdict = without_time_out().explore(Faults::single());
    assert!(!verdict.findings.is_empty());
    for finding in &verdict.findings {
        assert!(matches!(finding.plan.faults[..], [Fault { effect: Effect::Lost { .. }, .. }]), "{verdict}");
    }
}
