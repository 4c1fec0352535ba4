//! What is sent more than once: reads, and writes that the server says it has not looked at (H2).

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test says by a panic what is wrong")]

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, http::StatusCode};
use http::{Request, Response};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::client::Body;
use operator_sdk::{
    Key,
    client::{Client, Fence, Writes, connect},
    clock::Clock,
    error::RequestError,
    permission::{Permission, Verb},
};
use serde_json::json;
use tokio::time::Instant;

/// Answers with these codes, one a request, then with success; notes the methods.
#[derive(Clone)]
struct Server {
    codes: Arc<Mutex<Vec<u16>>>,
    retry_after: Option<u64>,
    methods: Arc<Mutex<Vec<String>>>,
    fence: Fence,
}

impl Server {
    fn new(codes: &[u16]) -> Self {
        let codes = codes.iter().rev().copied().collect();
        let fence = Fence::open(Clock::system());
        Self { codes: Arc::new(Mutex::new(codes)), retry_after: None, methods: Arc::default(), fence }
    }

    fn client(&self) -> Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = server.clone();
            server.methods.lock().unwrap().push(request.method().to_string());
            let code = server.codes.lock().unwrap().pop().unwrap_or(200);
            let answer = server
                .retry_after
                .iter()
                .fold(Response::builder(), |answer, seconds| answer.header("Retry-After", *seconds));
            async move {
                // As the API server's fairness does it: an error need not be JSON.
                let body = if code == 200 { json!(map()).to_string() } else { "later".to_owned() };
                Ok::<_, Infallible>(answer.status(code).body(Body::from(body.into_bytes())).unwrap())
            }
        });
        let allowed = [Verb::Create, Verb::Get].map(Permission::of::<ConfigMap>).into();
        Writes::new(kube::Client::new(service, "default"), Arc::new(allowed), self.fence.clone()).client()
    }

    fn count(&self) -> usize {
        self.methods.lock().unwrap().len()
    }
}

fn map() -> ConfigMap {
    serde_json::from_value(json!({"metadata": {
        "name": "a", "namespace": "default", "uid": "u", "resourceVersion": "1",
    }}))
    .unwrap()
}

fn key() -> Key {
    Key::namespaced("default", "a")
}

#[tokio::test(start_paused = true)]
async fn a_write_that_may_have_been_carried_out_is_sent_once() {
    for code in [500, 502, 503, 504, 409] {
        let server = Server::new(&[code]);
        assert!(server.client().create(&map()).await.is_err());
        assert_eq!(server.count(), 1, "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_the_server_did_not_look_at_is_sent_again_when_it_says() {
    let server = Server { retry_after: Some(2), ..Server::new(&[429]) };
    let began = Instant::now();
    assert!(server.client().create(&map()).await.is_ok());
    assert_eq!(server.count(), 2);
    assert!((2..=3).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_longer_than_a_request_may_last() {
    let server = Server { retry_after: Some(60), ..Server::new(&[429]) };
    let (client, began) = (server.client(), Instant::now());
    let error = client.create(&map()).await.unwrap_err();
    assert!(matches!(error, RequestError::Failed { .. }), "{error}");
    assert!(!error.may_have_been_applied());
    assert_eq!((server.count(), began.elapsed()), (1, Duration::ZERO));

    let server = Server::new(&[429; 100]);
    assert!(server.client().create(&map()).await.is_err());
    assert!((4..=10).contains(&server.count()), "{}", server.count());
    assert!(began.elapsed() <= Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn no_write_is_sent_again_behind_a_closed_fence() {
    let server = Server { retry_after: Some(1), ..Server::new(&[429]) };
    let client = server.client();
    let map = map();
    let (created, ()) = tokio::join!(client.create(&map), async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        server.fence.close();
    });
    assert!(created.is_err());
    assert_eq!(server.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_read_is_sent_again_while_the_server_is_not_ready() {
    let server = Server::new(&[429, 503, 504]);
    assert!(server.client().get::<ConfigMap>(&key()).await.is_ok());
    assert_eq!(server.count(), 4);
    let server = Server::new(&[500]);
    assert!(server.client().get::<ConfigMap>(&key()).await.is_err());
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn a_connection_has_no_retries_of_its_own() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let requests = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&requests);
    let answers = Router::new().fallback(move || {
        *counted.lock().unwrap() += 1;
        async { (StatusCode::SERVICE_UNAVAILABLE, "later") }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move { axum::serve(listener, answers).await });
    let kubeconfig = format!("{}/request_retries_{}.yaml", env!("CARGO_TARGET_TMPDIR"), address.port());
    let content = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": format!("http://{address}")}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "users": [{"name": "test", "user": {}}],
    });
    std::fs::write(&kubeconfig, content.to_string()).unwrap();
    let client = connect(Some(kubeconfig.as_ref())).await.unwrap_or_else(|error| panic!("{error}"));
    for method in ["POST", "GET"] {
        let request = Request::builder().method(method).uri("/api/v1/configmaps").body(Vec::new()).unwrap();
        assert!(client.request_text(request).await.is_err());
    }
    assert_eq!(*requests.lock().unwrap(), 2);
    std::fs::remove_file(kubeconfig).unwrap();
    serving.abort();
}
