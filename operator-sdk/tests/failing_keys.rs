//! A key that fails: the events of its own writes do not end its back-off, those of others do, and what its plan waits for
//! comes in time.

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

use k8s_openapi::api::core::v1::ConfigMap;
use operator_sdk::{
    Class, Controller, Error, Target, Watch,
    permission::{Permission, Verb},
    reconcile::{Context, Failure, Outcome, Reconciler},
};
use serde_json::json;
use server::{Running, Shared, map};
use tokio::time::sleep;

/// Fails always, after it has noted the attempt in the object.
struct Notes {
    runs: Arc<AtomicUsize>,
    look_again: Option<Duration>,
}

impl Reconciler for Notes {
    type Object = ConfigMap;

    async fn reconcile(&self, context: &Context<ConfigMap>) -> Result<Outcome, Failure> {
        let run = self.runs.fetch_add(1, Ordering::SeqCst);
        let target = Target::of(context.object.as_ref())?;
        context.client.patch::<ConfigMap>(&target, json!({"data": {"run": run.to_string()}})).await?;
        Err(Failure { look_again: self.look_again, ..Error::other(Class::Transient, "always").into() })
    }

    fn permissions(&self) -> Vec<Permission> {
        vec![Permission::of::<ConfigMap>(Verb::Patch)]
    }
}

/// Runs it for an hour, with an edit by somebody else every so often; returns the number of runs.
async fn runs_in_an_hour(look_again: Option<Duration>, edits: u32) -> usize {
    let server = Shared::default();
    server.lock().put(map("a"));
    let runs = Arc::default();
    let watch = Watch::<ConfigMap>::new();
    let controller = Controller::new(Notes { runs: Arc::clone(&runs), look_again }, &watch);
    let running = Running::start(&server, controller, &watch);
    for _ in 0..edits {
        sleep(Duration::from_secs(3600) / (edits + 1)).await;
        let mut edited = server.lock().get("a").unwrap().clone();
        edited["metadata"]["annotations"]["edits"] = json!(runs.load(Ordering::SeqCst).to_string());
        server.lock().put(edited);
    }
    sleep(Duration::from_secs(3600) / (edits + 1)).await;
    running.stop().await;
    runs.load(Ordering::SeqCst)
}

#[tokio::test(start_paused = true)]
async fn its_own_writes_do_not_make_it_spin() {
    // 5 ms doubled 18 times is more than 1000 s; then it is one run in 500 to 1000 s.
    let runs = runs_in_an_hour(None, 0).await;
    assert!((15..=30).contains(&runs), "{runs}");
}

#[tokio::test(start_paused = true)]
async fn an_edit_by_somebody_else_ends_the_wait() {
    let (without, with) = (runs_in_an_hour(None, 0).await, runs_in_an_hour(None, 50).await);
    assert!(with >= 50 && with <= without + 50, "{without} runs without edits, {with} with 50");
}

#[tokio::test(start_paused = true)]
async fn what_is_due_is_looked_at_in_time() {
    let runs = runs_in_an_hour(Some(Duration::from_secs(60)), 0).await;
    assert!((60..=80).contains(&runs), "{runs}");
}
