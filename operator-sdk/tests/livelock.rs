//! A plan whose steps succeed and change nothing is found out: the object says so, and it goes on more and more slowly
//! until something changes.

#![expect(clippy::unwrap_used, reason = "a test says by a panic what is wrong")]

#[path = "fixture/server.rs"]
mod server;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetCondition, ReplicaSetStatus};
use operator_sdk::{
    Controller, Error, Result, Target, Watch,
    permission::{Permission, Verb},
    plan::{Declared, Now, Plan, Planner, Results, Step},
    reconcile::Context,
};
use serde_json::{Value, json};
use server::{Running, Shared};
use tokio::time::sleep;

const HOUR: Duration = Duration::from_secs(3600);

/// Labels its object as long as it has replicas; the server accepts the label and drops it.
struct Labels {
    taken: Arc<AtomicUsize>,
}

#[derive(Clone, Debug, PartialEq)]
struct Label;

impl Step for Label {
    fn variant(&self) -> &'static str {
        "Label"
    }
}

#[derive(PartialEq)]
struct Observed {
    replicas: Option<i32>,
    now: Now,
}

impl Planner for Labels {
    type Object = ReplicaSet;
    type Observed = Observed;
    type Step = Label;
    type Output = ();
    type Status = ReplicaSetStatus;

    async fn observe(&self, context: &Context<ReplicaSet>) -> Result<Observed> {
        let replicas = context.object.spec.replicas;
        Ok(Observed { replicas, now: Now(context.clock.wall()) })
    }

    fn plan(&self, observed: &Observed) -> Plan<Label> {
        let mut plan = Plan::default();
        if observed.replicas != Some(0) && observed.now.0 > jiff::Timestamp::MIN {
            plan.step(Label, "the label is missing");
        }
        plan
    }

    async fn act(&self, context: &Context<ReplicaSet>, _: &Label) -> Result<()> {
        self.taken.fetch_add(1, Ordering::SeqCst);
        let target = Target::of(context.object.as_ref())?;
        context.client.patch::<ReplicaSet>(&target, json!({})).await?;
        Ok(())
    }

    fn permissions(&self) -> Declared {
        vec![("Label", vec![Permission::of::<ReplicaSet>(Verb::Patch)])]
    }

    fn status(&self, _: &Observed, _: &Plan<Label>, results: &Results<Label, ()>) -> ReplicaSetStatus {
        let is_livelocked = results.iter().any(|(_, result)| matches!(result, Err(Error::Livelock { .. })));
        let condition = ReplicaSetCondition { type_: Some("Livelock".to_owned()), ..ReplicaSetCondition::default() };
        ReplicaSetStatus { conditions: is_livelocked.then(|| vec![condition]), ..ReplicaSetStatus::default() }
    }
}

fn set() -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {"name": "web", "namespace": "default", "uid": "u"},
        "spec": {"replicas": 3, "selector": {}},
    })
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_repeats_is_told_and_slowed_down_until_another_comes() {
    let server = Shared::default();
    server.lock().put(set());
    let taken = Arc::default();
    let watch = Watch::<ReplicaSet>::new();
    let controller = Controller::planner(Labels { taken: Arc::clone(&taken) }, &watch);
    let running = Running::start(&server, controller, &watch);
    let condition = || server.lock().get("web").unwrap()["status"]["conditions"][0]["type"].clone();
    let scale = |replicas: u8| {
        let mut server = server.lock();
        let mut set = server.get("web").unwrap().clone();
        set["spec"]["replicas"] = json!(replicas);
        server.put(set);
    };

    sleep(HOUR).await;
    assert_eq!(condition(), "Livelock");
    let first = taken.load(Ordering::SeqCst);
    assert!((8..=16).contains(&first), "taken {first} times");
    assert!(server.lock().count("PUT web") <= 2, "it is told once");
    sleep(HOUR).await;
    let second = taken.load(Ordering::SeqCst) - first;
    assert!((1..=4).contains(&second), "taken {second} times in the second hour");

    scale(0);
    sleep(HOUR).await;
    assert_eq!(condition(), Value::Null);
    let after = taken.load(Ordering::SeqCst);
    scale(1);
    sleep(Duration::from_secs(60)).await;
    assert!(taken.load(Ordering::SeqCst) > after + 2, "the back-off begins anew");

    running.stop().await;
}
