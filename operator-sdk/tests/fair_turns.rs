//! Keys take turns: a bounded number at once, in the order in which they came, with none in the way of the others, be it
//! held, failing or panicking (H8, H9).

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test says by a panic what is wrong")]

#[path = "fixture/server.rs"]
mod server;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use k8s_openapi::api::core::v1::ConfigMap;
use operator_sdk::{
    Class, Controller, Error, Object, Target, Watch,
    permission::{Permission, Verb},
    reconcile::{Context, Failure, Outcome, Reconciler},
};
use serde_json::json;
use server::{Running, Shared, failure, map};
use tokio::time::sleep;

/// Does what the name of its object says; notes each run, and how many are under way.
#[derive(Clone, Default)]
struct Worker {
    /// Name, and failures in a row before.
    runs: Arc<Mutex<Vec<(String, u32)>>>,
    /// Now, and the most there ever were.
    at_once: Arc<Mutex<(usize, usize)>>,
}

impl Reconciler for Worker {
    type Object = ConfigMap;

    async fn reconcile(&self, context: &Context<ConfigMap>) -> Result<Outcome, Failure> {
        let name = context.object.key().name;
        self.runs.lock().unwrap().push((name.clone(), context.failures));
        match name.as_str() {
            "panics" => panic!("as the test wants it"),
            "fails" => return Err(Error::other(Class::Transient, "always").into()),
            "unknown" => {
                // The server answers 500: nobody knows whether it was carried out.
                let target = Target::of(context.object.as_ref())?;
                context.client.patch::<ConfigMap>(&target, json!({})).await?;
            }
            name if name.starts_with("slow") => {
                self.count(1);
                sleep(Duration::from_secs(10)).await;
                self.count(-1);
            }
            _ => {}
        }
        Ok(Outcome::Done)
    }

    fn permissions(&self) -> Vec<Permission> {
        vec![Permission::of::<ConfigMap>(Verb::Patch)]
    }
}

impl Worker {
    fn count(&self, difference: isize) {
        let mut at_once = self.at_once.lock().unwrap();
        at_once.0 = at_once.0.saturating_add_signed(difference);
        at_once.1 = at_once.1.max(at_once.0);
    }

    /// The names of the runs so far, but those of this key.
    fn names_but(&self, name: &str) -> Vec<String> {
        let runs = self.runs.lock().unwrap();
        runs.iter().filter(|(other, _)| other != name).map(|(name, _)| name.clone()).collect()
    }

    /// How often this key had failed before each of its runs.
    fn failures(&self, name: &str) -> Vec<u32> {
        let runs = self.runs.lock().unwrap();
        runs.iter().filter(|(other, _)| other == name).map(|(_, failures)| *failures).collect()
    }

    fn start(&self, server: &Shared, concurrency: usize) -> Running {
        let watch = Watch::<ConfigMap>::new();
        Running::start(server, Controller::new(self.clone(), &watch).concurrency(concurrency), &watch)
    }
}

/// Runs one worker on `trouble`, and meanwhile others; none of them may wait.
async fn others_go_on_beside(trouble: &str) -> Worker {
    let (server, worker) = (Shared::default(), Worker::default());
    let running = worker.start(&server, 1);
    server.lock().put(map(trouble));
    let names = ["z", "b", "m"];
    for name in names {
        sleep(Duration::from_secs(1)).await;
        server.lock().put(map(name));
        sleep(Duration::from_millis(1)).await;
        assert_eq!(worker.names_but(trouble).last().map(String::as_str), Some(name));
    }
    sleep(Duration::from_secs(60)).await;
    assert_eq!(worker.names_but(trouble), names, "each once");
    running.stop().await;
    worker
}

#[tokio::test(start_paused = true)]
async fn a_reconcile_that_fails_or_panics_is_tried_again_knows_how_often_and_stops_nobody() {
    for trouble in ["fails", "panics"] {
        let failures = others_go_on_beside(trouble).await.failures(trouble);
        assert!((8..=20).contains(&failures.len()), "{failures:?}");
        assert!((0..).zip(&failures).all(|(run, failures)| run == *failures), "{failures:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_held_is_in_nobodys_way() {
    let (server, worker) = (Shared::default(), Worker::default());
    server.lock().put(map("unknown"));
    let watch = Watch::<ConfigMap>::new();
    let controller = Controller::new(worker.clone(), &watch).concurrency(1);
    let client = server.client_with(|_, line| (line == "PATCH unknown").then(|| failure(500, "InternalError", "test")));
    let running = Running::start_with(&server, client, controller, &watch);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(worker.failures("unknown").len(), 1, "held until there is a list");
    for name in ["z", "b", "m"] {
        server.lock().put(map(name));
        sleep(Duration::from_millis(1)).await;
        assert_eq!(worker.names_but("unknown").last().map(String::as_str), Some(name));
    }
    sleep(Duration::from_secs(60)).await;
    assert!((2..=12).contains(&worker.failures("unknown").len()), "it goes on after the list");
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn no_more_run_at_once_than_allowed_and_first_come_is_first_served() {
    let (server, worker) = (Shared::default(), Worker::default());
    let running = worker.start(&server, 3);
    sleep(Duration::from_secs(1)).await;
    let names = ["slow-9", "slow-1", "slow-8", "slow-2", "slow-7", "slow-3", "slow-6"];
    for name in names {
        server.lock().put(map(name));
        sleep(Duration::from_millis(1)).await;
    }
    sleep(Duration::from_secs(60)).await;
    assert_eq!(worker.names_but(""), names);
    assert_eq!(*worker.at_once.lock().unwrap(), (0, 3));
    running.stop().await;
}
