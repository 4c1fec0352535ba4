//! What is told about objects: once as an Event, then as its series, never with a note that is not true, never at a cost
//! for the reconcile (H13).

#![expect(clippy::unwrap_used, reason = "a test says by a panic what is wrong")]

use std::{
    collections::BTreeSet,
    convert::Infallible,
    future::pending,
    sync::{Arc, Mutex},
    time::Duration,
};

use http::{Method, Request, Response};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Node};
use kube::client::Body;
use operator_sdk::{
    client::Fence,
    clock::{BootTime, Clock, Source},
    event::{self, Recorder, Reporter, Type},
    permission::rules,
};
use serde_json::{Value, json};
use tokio::{task::JoinHandle, time::Instant};

/// tokio's own time, which passes at once while everybody waits.
struct Virtual(Instant);

impl Source for Virtual {
    fn wall(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH + self.0.elapsed()
    }

    fn boot(&self) -> BootTime {
        self.0.elapsed()
    }
}

#[derive(Clone, Debug)]
struct Sent {
    method: Method,
    path: String,
    body: Value,
}

impl Sent {
    fn event_name(&self) -> &str {
        match self.method {
            Method::POST => self.body["metadata"]["name"].as_str().unwrap(),
            _ => self.path.rsplit('/').next().unwrap(),
        }
    }
}

/// An API server that keeps a list of requests, also of those that it is told to refuse or not to answer.
#[derive(Clone, Default)]
struct Server {
    requests: Arc<Mutex<Vec<Sent>>>,
    /// A method, and the code of its answers; 0 for none.
    trouble: Arc<Mutex<Option<(Method, u16)>>>,
}

impl Server {
    fn client(&self) -> kube::Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move {
                let (parts, body) = request.into_parts();
                let body: Value = serde_json::from_slice(&body.collect_bytes().await.unwrap()).unwrap();
                let (method, path) = (parts.method, parts.uri.path().to_owned());
                let trouble = server.trouble.lock().unwrap().clone().filter(|(troubled, _)| *troubled == method);
                let event = json!({"metadata": {"name": "event"}, "eventTime": "1970-01-01T00:00:00.000000Z"});
                server.requests.lock().unwrap().push(Sent { method, path, body });
                let (code, answer) = match trouble.map(|(_, code)| code) {
                    Some(0) => pending().await,
                    Some(code) => (code, json!({"status": "Failure", "code": code, "reason": "", "message": "no"})),
                    None => (200, event),
                };
                let answer = Body::from(answer.to_string().into_bytes());
                Ok::<_, Infallible>(Response::builder().status(code).body(answer).unwrap())
            }
        });
        kube::Client::new(service, "default")
    }

    fn trouble(&self, method: Method, code: u16) {
        *self.trouble.lock().unwrap() = Some((method, code));
    }

    fn no_trouble(&self) {
        *self.trouble.lock().unwrap() = None;
    }

    fn requests(&self) -> Vec<Sent> {
        self.requests.lock().unwrap().clone()
    }

    fn methods(&self) -> Vec<Method> {
        self.requests().into_iter().map(|sent| sent.method).collect()
    }
}

/// A recorder whose task runs, and its server.
struct Fixture {
    server: Server,
    recorder: Recorder,
    fence: Fence,
    task: JoinHandle<()>,
}

impl Fixture {
    fn new() -> Self {
        Self::of(reporter())
    }

    fn of(reporter: Reporter) -> Self {
        let server = Server::default();
        let clock = Clock::new(Virtual(Instant::now()));
        let fence = Fence::open(clock.clone());
        let (recorder, task) = Recorder::new(server.client(), fence.clone(), clock, reporter);
        Self { server, recorder, fence, task: tokio::spawn(task) }
    }

    fn record(&self, note: &str) {
        self.recorder.record(&map("web"), Type::Normal, "ScalingUp", "Scale", note);
    }

    /// Waits until so many are sent or dropped; returns how many are which.
    async fn settled(&self, count: u64) -> (u64, u64) {
        let counts = || (self.recorder.sent(), self.recorder.dropped());
        let settled = async {
            while counts().0 + counts().1 < count {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), settled).await.unwrap();
        counts()
    }
}

fn reporter() -> Reporter {
    Reporter { controller: "operator-lite.dev/hello".to_owned(), instance: "hello-0".to_owned() }
}

fn map(name: &str) -> ConfigMap {
    serde_json::from_value(json!({"metadata": {"name": name, "namespace": "shop", "uid": format!("uid of {name}")}}))
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn it_is_told_once_and_then_as_a_series() {
    let fixture = Fixture::new();
    for count in 1..=3 {
        fixture.record("from 1 to 2");
        assert_eq!(fixture.settled(count).await, (count, 0));
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let [post, second, third] = &fixture.server.requests()[..] else { unreachable!() };
    let name = post.event_name();
    assert_eq!((post.method.as_str(), post.path.as_str()), ("POST", "/apis/events.k8s.io/v1/namespaces/shop/events"));
    let (object, random) = name.split_once('.').unwrap();
    assert!(object == "web" && random.len() == 16 && random.chars().all(|digit| digit.is_ascii_hexdigit()), "{name}");
    let expected = json!({
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": "shop"},
        "eventTime": "1970-01-01T00:00:00.000000Z",
        "regarding": {
            "apiVersion": "v1", "kind": "ConfigMap", "namespace": "shop", "name": "web", "uid": "uid of web",
        },
        "type": "Normal",
        "reason": "ScalingUp",
        "action": "Scale",
        "note": "from 1 to 2",
        "reportingController": "operator-lite.dev/hello",
        "reportingInstance": "hello-0",
    });
    assert_eq!(post.body, expected);
    for (patch, count) in [(second, 2), (third, 3)] {
        assert_eq!(patch.method, Method::PATCH);
        assert_eq!(patch.path, format!("{}/{name}", post.path));
        let last = patch.body["series"]["lastObservedTime"].as_str().unwrap();
        assert!(last.starts_with(&format!("1970-01-01T00:00:0{}.", count - 1)), "{last}");
        // Whatever else it held, the API server would refuse.
        assert_eq!(patch.body, json!({"series": {"count": count, "lastObservedTime": last}}));
    }
}

#[tokio::test(start_paused = true)]
async fn another_note_is_another_event() {
    let fixture = Fixture::new();
    for note in ["from 1 to 2", "from 2 to 3", "from 1 to 2"] {
        fixture.record(note);
    }
    assert_eq!(fixture.settled(3).await, (3, 0));
    let requests = fixture.server.requests();
    assert_eq!(fixture.server.methods(), [Method::POST, Method::POST, Method::PATCH]);
    assert_eq!(requests[1].body["note"], "from 2 to 3");
    assert_ne!(requests[0].event_name(), requests[1].event_name());
    assert_eq!(requests[2].event_name(), requests[0].event_name());
}

#[tokio::test(start_paused = true)]
async fn what_has_no_namespace_is_told_in_default() {
    let fixture = Fixture::new();
    let node: Node = serde_json::from_value(json!({"metadata": {"name": "worker", "uid": "u"}})).unwrap();
    fixture.recorder.record(&node, Type::Warning, "Lost", "Watch", "no answer");
    assert_eq!(fixture.settled(1).await, (1, 0));
    let [post] = &fixture.server.requests()[..] else { unreachable!() };
    assert_eq!(post.path, "/apis/events.k8s.io/v1/namespaces/default/events");
    assert_eq!(post.body["regarding"]["namespace"], Value::Null);
    assert_eq!(post.body["type"], "Warning");
}

#[tokio::test(start_paused = true)]
async fn an_object_that_was_never_created_is_not_told_of() {
    let fixture = Fixture::new();
    fixture.recorder.record(&ConfigMap::default(), Type::Normal, "ScalingUp", "Scale", "up");
    assert_eq!(fixture.settled(1).await, (0, 1));
    assert!(fixture.server.requests().is_empty());
}

#[tokio::test(start_paused = true)]
async fn texts_are_cut_to_what_the_api_server_takes() {
    let fixture = Fixture::of(Reporter { instance: "i".repeat(253), ..reporter() });
    let note = format!("{}é", "n".repeat(1023));
    let word = || format!("{}é", "w".repeat(127)).leak();
    // The cut comes after the dot, with which no name may end.
    let name = format!("{}.{}", "a".repeat(235), "b".repeat(17));
    fixture.recorder.record(&map(&name), Type::Normal, word(), word(), note);
    fixture.record("short");
    assert_eq!(fixture.settled(2).await, (2, 0));
    let [long, short] = &fixture.server.requests()[..] else { unreachable!() };
    assert_eq!(long.body["note"], "n".repeat(1023));
    for field in ["reason", "action"] {
        assert_eq!(long.body[field], "w".repeat(127));
    }
    assert_eq!(long.body["reportingInstance"], "i".repeat(128));
    assert_eq!(long.body["regarding"]["name"], name);
    let event_name = long.event_name();
    assert_eq!(event_name.len(), 235 + 1 + 16);
    assert!(event_name.starts_with(&format!("{}.", "a".repeat(235))) && !event_name.contains(".."), "{event_name}");
    assert_eq!(short.body["note"], "short");
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_gone_begins_anew() {
    let fixture = Fixture::new();
    fixture.record("up");
    assert_eq!(fixture.settled(1).await, (1, 0));
    fixture.server.trouble(Method::PATCH, 404);
    fixture.record("up");
    assert_eq!(fixture.settled(2).await, (2, 0));
    fixture.server.no_trouble();
    fixture.record("up");
    assert_eq!(fixture.settled(3).await, (3, 0));
    let requests = fixture.server.requests();
    assert_eq!(fixture.server.methods(), [Method::POST, Method::PATCH, Method::POST, Method::PATCH]);
    assert_eq!(requests[1].event_name(), requests[0].event_name());
    assert_ne!(requests[2].event_name(), requests[0].event_name());
    assert_eq!(requests[2].body["series"], Value::Null);
    assert_eq!(requests[3].event_name(), requests[2].event_name());
    assert_eq!(requests[3].body["series"]["count"], 2);
}

#[tokio::test(start_paused = true)]
async fn a_refused_event_is_dropped_and_has_no_series() {
    let fixture = Fixture::new();
    fixture.server.trouble(Method::POST, 403);
    fixture.record("up");
    assert_eq!(fixture.settled(1).await, (0, 1));
    fixture.server.no_trouble();
    fixture.record("up");
    assert_eq!(fixture.settled(2).await, (1, 1));
    assert_eq!(fixture.server.methods(), [Method::POST, Method::POST]);
}

#[tokio::test(start_paused = true)]
async fn a_refused_repetition_is_dropped_and_counted_by_the_next() {
    let fixture = Fixture::new();
    fixture.record("up");
    assert_eq!(fixture.settled(1).await, (1, 0));
    fixture.server.trouble(Method::PATCH, 500);
    fixture.record("up");
    assert_eq!(fixture.settled(2).await, (1, 1));
    fixture.server.no_trouble();
    fixture.record("up");
    assert_eq!(fixture.settled(3).await, (2, 1));
    assert_eq!(fixture.server.methods(), [Method::POST, Method::PATCH, Method::PATCH]);
    assert_eq!(fixture.server.requests()[2].body["series"]["count"], 3);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_answer_is_given_up_after_five_seconds() {
    let fixture = Fixture::new();
    fixture.server.trouble(Method::POST, 0);
    let began = Instant::now();
    fixture.record("up");
    assert_eq!(fixture.settled(1).await, (0, 1));
    assert!((5.0..5.1).contains(&began.elapsed().as_secs_f64()), "{:?}", began.elapsed());
    fixture.server.no_trouble();
    fixture.record("down");
    assert_eq!(fixture.settled(2).await, (1, 1));
    assert_eq!(fixture.server.methods(), [Method::POST, Method::POST]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_behind_a_closed_fence() {
    let fixture = Fixture::new();
    fixture.fence.close();
    fixture.record("up");
    assert_eq!(fixture.settled(1).await, (0, 1));
    // An answer could come when another process leads.
    fixture.fence.extend(Duration::from_secs(4));
    fixture.record("up");
    assert_eq!(fixture.settled(2).await, (0, 2));
    assert!(fixture.server.requests().is_empty());
    fixture.fence.extend(Duration::from_secs(60));
    fixture.record("up");
    assert_eq!(fixture.settled(3).await, (1, 2));
    assert_eq!(fixture.server.methods(), [Method::POST]);
    fixture.fence.close();
    fixture.record("up");
    assert_eq!(fixture.settled(4).await, (1, 3));
    assert_eq!(fixture.server.methods(), [Method::POST]);
}

#[tokio::test(start_paused = true)]
async fn a_chatty_object_silences_only_itself() {
    let fixture = Fixture::new();
    for number in 0..100 {
        fixture.record(&number.to_string());
    }
    assert_eq!(fixture.settled(100).await, (25, 75));
    fixture.recorder.record(&map("other"), Type::Normal, "ScalingUp", "Scale", "up");
    assert_eq!(fixture.settled(101).await, (26, 75));
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_drops_what_comes_and_loses_nothing_else() {
    let fixture = Fixture::new();
    // Until the first await, nobody takes anything out.
    for number in 0..1010 {
        let object = map(&number.to_string());
        fixture.recorder.clone().record(&object, Type::Normal, "ScalingUp", "Scale", "up");
    }
    assert_eq!((fixture.recorder.sent(), fixture.recorder.dropped()), (0, 10));
    let Fixture { server, recorder, task, .. } = fixture;
    drop(recorder);
    tokio::time::timeout(Duration::from_secs(60), task).await.unwrap().unwrap();
    let names: BTreeSet<_> = server.requests().iter().map(|sent| sent.event_name().to_owned()).collect();
    assert_eq!(names.len(), 1000);
    assert!(server.methods().iter().all(|method| *method == Method::POST));
}

#[tokio::test(start_paused = true)]
async fn without_its_task_a_recorder_drops_everything() {
    let clock = Clock::new(Virtual(Instant::now()));
    let server = Server::default();
    let (recorder, task) = Recorder::new(server.client(), Fence::open(clock.clone()), clock, reporter());
    drop(task);
    recorder.record(&map("web"), Type::Normal, "ScalingUp", "Scale", "up");
    assert_eq!((recorder.sent(), recorder.dropped()), (0, 1));
}

#[test]
fn recording_needs_to_create_and_patch_events_and_nothing_else() {
    let rules = serde_json::to_value(rules(&event::permissions())).unwrap();
    let rule = json!({"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create", "patch"]});
    assert_eq!(rules, json!([rule]));
}
