//! A key is not reconciled before its cache shows what its last run wrote, however that run ended (H5, H8).

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test says by a panic what is wrong")]

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use http::{Method, Request, Response};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::client::Body;
use operator_sdk::{
    Controller, Key, Target, Watch,
    client::{Fence, Writes},
    clock::{BootTime, Clock, Source},
    controller::{AnyController, ControllerMetrics, Environment},
    event::{Recorder, Reporter},
    permission::{Permission, Verb},
    reconcile::{Context, Failure, Outcome, Reconciler},
};
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// tokio's own time, which passes at once while everybody waits.
struct Virtual(Instant);

impl Source for Virtual {
    fn wall(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    fn boot(&self) -> BootTime {
        self.0.elapsed()
    }
}

/// How the first run ends, after it has deleted `child`.
#[derive(Clone, Copy, PartialEq)]
enum End {
    /// By a panic, after the answer.
    Panic,
    /// By a panic beside the deletion, which is under way and never answered.
    PanicMeanwhile,
}

/// Deletes `child` on behalf of `parent` while the cache shows it.
struct Remover {
    watch: Watch<ConfigMap>,
    end: End,
}

impl Reconciler for Remover {
    type Object = ConfigMap;

    async fn reconcile(&self, context: &Context<ConfigMap>) -> Result<Outcome, Failure> {
        if context.object.metadata.name.as_deref() == Some("parent")
            && let Some(child) = self.watch.get(&Key::namespaced("default", "child"))?
        {
            let target = Target::of(child.as_ref())?;
            let deletion = context.client.delete::<ConfigMap>(&target);
            match self.end {
                End::Panic => deletion.await?,
                End::PanicMeanwhile => drop(tokio::time::timeout(Duration::from_secs(1), deletion).await),
            }
            panic!("as the test wants it");
        }
        Ok(Outcome::Done)
    }

    fn permissions(&self) -> Vec<Permission> {
        vec![Permission::of::<ConfigMap>(Verb::Delete)]
    }
}

fn map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {
        "name": name, "namespace": "default", "uid": name, "resourceVersion": "1",
    }})
}

/// An API server whose watches never say anything; lists show what has been deleted.
fn client(requests: Arc<Mutex<Vec<String>>>, answers_deletions: bool) -> kube::Client {
    let service = tower::service_fn(move |request: Request<Body>| {
        let requests = Arc::clone(&requests);
        async move {
            let query = request.uri().query().unwrap_or_default().to_owned();
            let is_deleted = requests.lock().unwrap().iter().any(|request| request == "delete");
            let (word, body) = match request.method() {
                &Method::DELETE => ("delete", map("child")),
                _ if query.contains("watch=true") => ("watch", Value::Null),
                _ => {
                    let items = if is_deleted { vec![map("parent")] } else { vec![map("child"), map("parent")] };
                    ("list", json!({"metadata": {"resourceVersion": "5"}, "items": items}))
                }
            };
            requests.lock().unwrap().push(word.to_owned());
            if word == "watch" || word == "delete" && !answers_deletions {
                return std::future::pending().await;
            }
            Ok::<_, Infallible>(Response::new(Body::from(body.to_string().into_bytes())))
        }
    });
    kube::Client::new(service, "default")
}

/// Runs a controller whose first run ends like this: it writes once, and a list comes before the next run.
async fn writes_once_when_a_run_ends_by(end: End) {
    let requests = Arc::default();
    let client = client(Arc::clone(&requests), end == End::Panic);
    let watch = Watch::<ConfigMap>::new();
    let remover = Remover { watch: watch.clone(), end };
    let controller = Box::new(Controller::new(remover, &watch));
    let allowed = Arc::new(controller.permissions().iter().cloned().collect());
    let cancellation = CancellationToken::new();
    let clock = Clock::new(Virtual(Instant::now()));
    let reporter = Reporter { controller: "example.com/test".to_owned(), instance: "test".to_owned() };
    let environment = Environment {
        // Without its task it drops everything.
        events: Recorder::new(client.clone(), Fence::closed(clock.clone()), clock.clone(), reporter).0,
        writes: Writes::new(client.clone(), allowed, Fence::open(clock.clone())),
        clock,
        metrics: ControllerMetrics::new(&mut Registry::default()),
        cancellation: cancellation.clone(),
    };
    let erased = watch.erased();
    let watching = tokio::spawn(Arc::clone(&erased).run(client));
    erased.progress().wait_for(|_| erased.is_synced()).await.unwrap();
    let controlling = tokio::spawn(controller.run(environment));
    let child = Key::namespaced("default", "child");
    while watch.get(&child).unwrap().is_some() {
        erased.progress().changed().await.unwrap();
    }
    // Time enough for any run that is owed.
    tokio::time::sleep(Duration::from_secs(600)).await;
    cancellation.cancel();
    controlling.await.unwrap();
    watching.abort();
    let requests: Vec<String> = requests.lock().unwrap().clone();
    assert_eq!(requests[..4], ["list", "watch", "delete", "list"], "{requests:?}");
    assert_eq!(requests.iter().filter(|request| *request == "delete").count(), 1, "{requests:?}");
}

#[tokio::test(start_paused = true)]
async fn a_panic_does_not_forget_what_was_written() {
    writes_once_when_a_run_ends_by(End::Panic).await;
}

#[tokio::test(start_paused = true)]
async fn nor_does_one_with_a_write_under_way() {
    writes_once_when_a_run_ends_by(End::PanicMeanwhile).await;
}
