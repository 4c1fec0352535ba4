//! A cache follows the server through gaps: an expired revision leads to a new list, and what was deleted meanwhile is
//! reported (H4, H12).

#![expect(clippy::unwrap_used, reason = "a test says by a panic what is wrong")]

use std::{
    collections::VecDeque,
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::body::{Body, Bytes};
use futures::{StreamExt, stream};
use http::{Request, Response};
use k8s_openapi::api::core::v1::ConfigMap;
use operator_sdk::{Key, Watch};
use serde_json::{Value, json};
use tokio::sync::mpsc;

/// Instead of a body: the stream is open and says nothing.
const SILENCE: &str = "silence";
/// Before a body: its lines come so long after each other.
const SLOWLY: &str = "slowly";
const SLOWLY_MEANS: Duration = Duration::from_secs(50);

/// Answers each request by the next line of a script: what the path must contain, the code, and the body. After the last
/// line there is silence.
type Script = Arc<Mutex<VecDeque<(&'static str, u16, String)>>>;

fn client(script: Script) -> kube::Client {
    let service = tower::service_fn(move |request: Request<kube::client::Body>| {
        let script = Arc::clone(&script);
        async move {
            let next = script.lock().unwrap().pop_front();
            // A stream that is open and says nothing.
            let silence = || Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
            let (code, body) = match next {
                None => (200, silence()),
                Some((part, code, body)) => {
                    let uri = request.uri().to_string();
                    assert!(uri.contains(part), "{uri} where {part} was expected");
                    let body = match body.strip_prefix(SLOWLY) {
                        Some(lines) => slowly(lines),
                        None if body == SILENCE => silence(),
                        None => Body::from(body),
                    };
                    (code, body)
                }
            };
            Ok::<_, Infallible>(Response::builder().status(code).body(body).unwrap())
        }
    });
    kube::Client::new(service, "default")
}

fn slowly(lines: &str) -> Body {
    let lines: Vec<_> = lines.split_inclusive('\n').map(str::to_owned).collect();
    Body::from_stream(stream::iter(lines).then(|line| async {
        tokio::time::sleep(SLOWLY_MEANS).await;
        Ok::<_, Infallible>(line)
    }))
}

fn map(name: &str, revision: u64) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {
        "name": name, "namespace": "default", "uid": name, "resourceVersion": revision.to_string(),
    }})
}

fn list(revision: u64, items: &[Value]) -> String {
    let metadata = json!({"resourceVersion": revision.to_string()});
    json!({"apiVersion": "v1", "kind": "ConfigMapList", "metadata": metadata, "items": items}).to_string()
}

fn gone() -> Value {
    json!({"apiVersion": "v1", "kind": "Status", "status": "Failure", "reason": "Expired", "code": 410, "message": "too old"})
}

fn forbidden() -> Value {
    json!({"apiVersion": "v1", "kind": "Status", "status": "Failure", "reason": "Forbidden", "code": 403, "message": "no"})
}

/// A ConfigMap that its type cannot hold.
fn spoilt(name: &str, revision: u64) -> Value {
    let mut map = map(name, revision);
    map["data"] = json!({"port": 3_000_000_000_u32});
    map
}

fn event(r#type: &str, object: &Value) -> String {
    format!("{}\n", json!({"type": r#type, "object": object}))
}

/// Runs a watch over a script and returns the names that came (`+`), went (`-`) and could not be read (`?`), once there are `count` of them.
async fn changes(script: Vec<(&'static str, u16, String)>, count: usize) -> Vec<String> {
    let watch = Watch::<ConfigMap>::new();
    let (sender, mut receiver) = mpsc::unbounded_channel();
    watch.subscribe(move |change| {
        let sign = match (&change.new, change.unreadable.is_empty()) {
            (Some(_), _) => '+',
            (None, true) => '-',
            (None, false) => '?',
        };
        sender.send(format!("{sign}{}", change.key.name)).unwrap();
    });
    let client = client(Arc::new(Mutex::new(script.into())));
    let running = tokio::spawn(watch.erased().run(client));
    let mut seen = Vec::new();
    while seen.len() < count {
        seen.push(tokio::time::timeout(Duration::from_secs(60), receiver.recv()).await.unwrap().unwrap());
    }
    running.abort();
    assert!(watch.get(&Key::namespaced("default", "b")).unwrap().is_some());
    seen
}

#[tokio::test(start_paused = true)]
async fn an_expired_revision_in_the_stream_leads_to_a_list() {
    let error = format!("{}\n", json!({"type": "ERROR", "object": gone()}));
    let script = vec![
        ("limit=500", 200, list(5, &[map("a", 1)])),
        ("watch=true", 200, error),
        ("limit=500", 200, list(9, &[map("b", 8)])),
    ];
    assert_eq!(changes(script, 3).await, ["+a", "-a", "+b"]);
}

#[tokio::test(start_paused = true)]
async fn an_expired_revision_at_the_start_of_a_watch_leads_to_a_list() {
    let script = vec![
        ("limit=500", 200, list(5, &[map("a", 1)])),
        ("watch=true", 410, gone().to_string()),
        ("limit=500", 200, list(9, &[map("a", 1), map("b", 8)])),
    ];
    assert_eq!(changes(script, 2).await, ["+a", "+b"]);
}

#[tokio::test(start_paused = true)]
async fn a_revision_that_the_server_has_yet_to_reach_leads_to_a_list_at_once() {
    let too_large = json!({
        "apiVersion": "v1", "kind": "Status", "status": "Failure", "reason": "Timeout", "code": 504,
        "message": "Timeout: Too large resource version: 5, current: 4",
        "details": {"causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]},
    });
    let script = vec![
        ("limit=500", 200, list(5, &[map("a", 1)])),
        ("watch=true", 504, too_large.to_string()),
        ("limit=500", 200, list(9, &[map("a", 1), map("b", 8)])),
    ];
    let began = tokio::time::Instant::now();
    assert_eq!(changes(script, 2).await, ["+a", "+b"]);
    assert_eq!(began.elapsed(), Duration::ZERO, "it is no failure");
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_breaks_within_a_line_goes_on_from_the_line_before() {
    let cut = event("ADDED", &map("b", 7));
    let broken = format!("\n{}\n{}", event("ADDED", &map("a", 6)), &cut[..cut.len() / 2]);
    let script =
        vec![("limit=500", 200, list(5, &[])), ("resourceVersion=5", 200, broken), ("resourceVersion=6", 200, cut)];
    assert_eq!(changes(script, 2).await, ["+a", "+b"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_event_leads_to_a_list() {
    for line in ["upstream connect error\n".to_owned(), format!("{}\n", gone()), event("ADDED", &json!(7))] {
        let script = vec![
            ("limit=500", 200, list(5, &[map("a", 1)])),
            ("resourceVersion=5", 200, line),
            ("limit=500", 200, list(9, &[map("a", 1), map("b", 8)])),
        ];
        assert_eq!(changes(script, 2).await, ["+a", "+b"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_says_something_now_and_then_goes_on() {
    let events = ["c", "d", "e", "f", "b"].iter().zip(6..).map(|(name, revision)| event("ADDED", &map(name, revision)));
    let said = format!("{SLOWLY}{}", events.collect::<String>());
    let script = vec![("limit=500", 200, list(5, &[])), ("watch=true", 200, said)];
    assert_eq!(changes(script, 5).await, ["+c", "+d", "+e", "+f", "+b"]);
}

#[tokio::test(start_paused = true)]
async fn a_broken_list_is_tried_again() {
    let script = vec![("limit=500", 503, "no".to_owned()), ("limit=500", 200, list(5, &[map("b", 1)]))];
    assert_eq!(changes(script, 1).await, ["+b"]);
}

#[tokio::test(start_paused = true)]
async fn an_object_that_cannot_be_read_is_left_out_alone() {
    let events = [event("ADDED", &map("c", 6)), event("MODIFIED", &spoilt("c", 7)), event("ADDED", &map("b", 8))];
    let script = vec![
        ("limit=500", 200, list(5, &[spoilt("a", 1), map("d", 2)])),
        ("watch=true", 200, events.concat()),
        ("resourceVersion=8", 200, event("MODIFIED", &map("a", 9))),
    ];
    assert_eq!(changes(script, 6).await, ["?a", "+d", "+c", "?c", "+b", "+a"]);
}

#[tokio::test(start_paused = true)]
async fn a_history_that_was_put_back_ends_the_watch() {
    let older = ("limit=500", 200, list(3, &[map("b", 3)]));
    // A server that was put back accepts a watch from the future, and says nothing until it gets there.
    let mut script = vec![("limit=500", 200, list(5, &[map("a", 5)])), ("watch=true", 200, SILENCE.to_owned())];
    script.extend(std::iter::repeat_n(older, 100));
    let watch = Watch::<ConfigMap>::new().erased();
    let client = client(Arc::new(Mutex::new(script.into())));
    let running = tokio::time::timeout(Duration::from_secs(600), Arc::clone(&watch).run(client));
    let started = tokio::time::Instant::now();
    let ended = running.await.unwrap().to_string();
    assert!(
        ended.contains("configmaps") && ended.contains("revision 3") && ended.contains("5 has been seen"),
        "{ended}"
    );
    assert!(started.elapsed() >= Duration::from_secs(60), "an API server that lags for a moment is no reason");
}

#[tokio::test(start_paused = true)]
async fn one_that_lags_for_a_moment_is_asked_again() {
    let script = vec![
        ("limit=500", 200, list(5, &[map("a", 5)])),
        ("watch=true", 410, gone().to_string()),
        ("limit=500", 200, list(3, &[])),
        ("limit=500", 200, list(6, &[map("a", 5), map("b", 6)])),
    ];
    assert_eq!(changes(script, 2).await, ["+a", "+b"]);
}

#[tokio::test(start_paused = true)]
async fn a_failing_watch_says_since_when_and_why_until_it_is_well() {
    let mut script = vec![("limit=500", 200, list(5, &[])), ("watch=true", 410, gone().to_string())];
    // Lists that succeed are no proof as long as the watch does not.
    for _ in 0..12 {
        script.extend([("limit=500", 500, "no".to_owned()), ("limit=500", 200, list(6, &[]))]);
        script.push(("watch=true", 403, forbidden().to_string()));
    }
    script.push(("limit=500", 200, list(6, &[])));
    let watch = Watch::<ConfigMap>::new().erased();
    let running = tokio::spawn(Arc::clone(&watch).run(client(Arc::new(Mutex::new(script.into())))));
    let mut progress = watch.progress();
    progress.wait_for(|_| watch.is_synced()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(70)).await;
    let trouble = watch.health().trouble.unwrap();
    assert!(trouble.lasts >= Duration::from_secs(60) && trouble.error.contains("failed to"), "{trouble:?}");
    let recovered = progress.wait_for(|_| watch.health().trouble.is_none());
    tokio::time::timeout(Duration::from_secs(900), recovered).await.unwrap().unwrap();
    running.abort();
}
