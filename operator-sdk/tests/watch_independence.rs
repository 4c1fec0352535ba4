//! A watch that fails does not stop the others, and watches of one process do not fall due together (H7).

#![expect(clippy::unwrap_used, reason = "a test says by a panic what is wrong")]

#[path = "fixture/server.rs"]
mod server;

use std::{
    collections::BTreeSet,
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::{Request, Response};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::client::Body;
use operator_sdk::{
    Controller, Watch,
    permission::Permission,
    reconcile::{Context, Failure, Outcome, Reconciler},
};
use serde_json::json;
use server::{Running, Shared, map};
use tokio::time::sleep;

struct Counts(Arc<AtomicUsize>);

impl Reconciler for Counts {
    type Object = ConfigMap;

    async fn reconcile(&self, _: &Context<ConfigMap>) -> Result<Outcome, Failure> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(Outcome::Done)
    }

    fn permissions(&self) -> Vec<Permission> {
        Vec::new()
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_always_fails_does_not_delay_another() {
    let server = Shared::default();
    let (maps, secrets) = (Watch::<ConfigMap>::new(), Watch::<Secret>::new());
    let runs = Arc::default();
    let controller = Controller::new(Counts(Arc::clone(&runs)), &maps).owns(&secrets);
    let running = Running::start(&server, controller, &maps);
    let broken = tower::service_fn(async |_: Request<Body>| {
        Ok::<_, Infallible>(Response::builder().status(500).body(Body::empty()).unwrap())
    });
    let failing = tokio::spawn(secrets.erased().run(kube::Client::new(broken, "default")));
    for name in ["a", "b", "c"] {
        sleep(Duration::from_secs(60)).await;
        let before = runs.load(Ordering::SeqCst);
        server.lock().put(map(name));
        sleep(Duration::from_millis(1)).await;
        assert_eq!(runs.load(Ordering::SeqCst), before + 1);
    }
    assert!(secrets.erased().health().trouble.unwrap().lasts >= Duration::from_secs(179));
    assert!(maps.erased().health().trouble.is_none());
    failing.abort();
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn watches_are_renewed_at_times_of_their_own() {
    let asked: Arc<Mutex<Vec<u32>>> = Arc::default();
    let noted = Arc::clone(&asked);
    let service = tower::service_fn(move |request: Request<Body>| {
        let query = request.uri().query().unwrap_or_default().to_owned();
        let seconds = query.split('&').find_map(|part| part.strip_prefix("timeoutSeconds="));
        noted.lock().unwrap().extend(seconds.map(|seconds| seconds.parse::<u32>().unwrap()));
        async move {
            if query.contains("watch=true") {
                return std::future::pending().await;
            }
            let list = json!({"metadata": {"resourceVersion": "1"}, "items": []}).to_string();
            Ok::<_, Infallible>(Response::new(Body::from(list.into_bytes())))
        }
    });
    let client = kube::Client::new(service, "default");
    let running: Vec<_> =
        (0..20).map(|_| tokio::spawn(Watch::<ConfigMap>::new().erased().run(client.clone()))).collect();
    sleep(Duration::from_secs(1)).await;
    running.iter().for_each(tokio::task::JoinHandle::abort);
    let asked = asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 20);
    assert!(asked.iter().all(|seconds| (300..600).contains(seconds)), "{asked:?}");
    assert!(asked.iter().collect::<BTreeSet<_>>().len() > 10, "{asked:?}");
}
