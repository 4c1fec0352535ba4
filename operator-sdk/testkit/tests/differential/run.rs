//! Sends the requests of a case to a server, and notes all that it answers.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use http::{Method, Request, Response, header};
use http_body_util::BodyExt;
use jiff::Timestamp;
use kube::{Client, client::Body};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::{
    case::{Case, File, Step},
    path,
    template::Known,
};

/// How long the real server may take to send what has already happened.
const SETTLE: Duration = Duration::from_millis(250);
const ASK_AGAIN: Duration = Duration::from_millis(50);
const ATTEMPTS: usize = 200;
const CLOSE_LIMIT: Duration = Duration::from_secs(20);

/// All that a server answered to a case.
#[derive(Debug)]
#[cfg_attr(not(feature = "real-server"), allow(dead_code, reason = "only a real server is paced"))]
pub struct Observed {
    /// The namespace that the case had.
    pub namespace: String,
    /// What names were to be generated from.
    pub bases: Vec<String>,
    /// When the case began, by the server's clock.
    pub started: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// When each step was sent, by this machine's clock.
    pub sent: Vec<Timestamp>,
    /// When each step was answered.
    pub answered: Vec<Timestamp>,
    /// The answers, one a step.
    pub answers: Vec<Answer>,
    /// The events of each watch.
    pub watches: BTreeMap<String, Watched>,
}

/// One answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The HTTP code.
    pub code: u16,
    /// The texts of the headers `Warning`.
    pub warnings: Vec<String>,
    /// The header `Retry-After`.
    pub retry_after: Option<String>,
    /// The body; nothing for a watch.
    pub body: Value,
}

/// What a watch gave.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Watched {
    /// Its events.
    pub events: Vec<Value>,
    /// Whether the server ended it.
    pub is_closed: bool,
}

/// Creates the definitions of a file and waits until their kinds are served.
pub async fn prepare(client: &Client, file: &File) {
    for definition in &file.definitions {
        let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        let answer = send(client, request("POST", path, Some(definition.to_string().into_bytes()))).await.0;
        assert!([201, 409].contains(&answer.code), "{}: a definition is refused: {}", file.name, answer.body);
        let name = &definition["metadata"]["name"];
        let name = name.as_str().expect("the definition's name");
        let one = format!("{path}/{name}");
        for attempt in 0.. {
            let answer = send(client, request("GET", &one, None)).await.0;
            let is_established = answer.body["status"]["conditions"]
                .as_array()
                .is_some_and(|all| all.iter().any(|one| one["type"] == "Established" && one["status"] == "True"));
            let listed = send(client, request("GET", &path::collection(definition, "default"), None)).await.0;
            if is_established && listed.code == 200 {
                break;
            }
            assert!(attempt < ATTEMPTS, "{name} is not served: {}", answer.body);
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }
}

/// How fast the steps of a case follow each other. What is changed in another second has another time, and some answers depend
/// on it.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(feature = "real-server"), allow(dead_code, reason = "only a real server is paced"))]
pub enum Pace<'a> {
    /// As fast as it goes.
    Swift,
    /// After so long a pause each.
    Slow(Duration),
    /// At these times, counted from the second in which the first of them lies.
    At(&'a [Timestamp]),
}

/// Runs a case in a fresh namespace of this name.
pub async fn run(client: &Client, definitions: &[Value], case: &Case, namespace: &str, pace: Pace<'_>) -> Observed {
    let mut run = Run {
        client,
        definitions,
        known: Known { namespace: namespace.to_owned(), answers: BTreeMap::new() },
        watches: BTreeMap::new(),
    };
    let started = run.make_namespace().await;
    let clock = tokio::time::Instant::now();
    let mut answers = Vec::new();
    let bases = case.steps.iter().filter_map(|step| step.body.as_ref()?["metadata"]["generateName"].as_str());
    let bases = bases.map(|base| run.known.fill(base)).collect();
    let (mut sent, mut answered) = (Vec::new(), Vec::new());
    for (index, step) in case.steps.iter().enumerate() {
        match pace {
            Pace::Swift => {}
            Pace::Slow(pause) => tokio::time::sleep(pause).await,
            Pace::At(times) => {
                let second = i128::from(times[0].as_second()) * 1_000_000_000;
                let after = u64::try_from(times[index].as_nanosecond() - second).expect("times that grow");
                tokio::time::sleep_until(clock + Duration::from_nanos(after)).await;
            }
        }
        sent.push(wall_clock());
        let answer = run.step(step).await;
        answered.push(wall_clock());
        let ids = [Some((index + 1).to_string()), step.id.clone()];
        run.known.answers.extend(ids.into_iter().flatten().map(|id| (id, answer.body.clone())));
        answers.push(answer);
    }
    let watches = run.finish_watches().await;
    Observed {
        namespace: namespace.to_owned(),
        bases,
        started,
        took: clock.elapsed(),
        sent,
        answered,
        answers,
        watches,
    }
}

#[allow(clippy::disallowed_methods, reason = "a real server's clock is that of this machine")]
fn wall_clock() -> Timestamp {
    Timestamp::now()
}

struct Run<'a> {
    client: &'a Client,
    definitions: &'a [Value],
    known: Known,
    watches: BTreeMap<String, Watch>,
}

struct Watch {
    gathered: Arc<Mutex<Watched>>,
    reader: JoinHandle<()>,
    waits_for_end: bool,
    collection: String,
}

impl Run<'_> {
    async fn make_namespace(&self) -> Timestamp {
        let namespace = &self.known.namespace;
        let body = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace } });
        let (made, _) =
            send(self.client, request("POST", "/api/v1/namespaces", Some(body.to_string().into_bytes()))).await;
        assert_eq!(made.code, 201, "no namespace: {}", made.body);
        // Pods need it, and no controller is there that would make it.
        let body = json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "default" } });
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts");
        send(self.client, request("POST", &path, Some(body.to_string().into_bytes()))).await;
        let time = made.body["metadata"]["creationTimestamp"].as_str().unwrap_or_default();
        time.parse().expect("a namespace has a creationTimestamp")
    }

    async fn step(&mut self, step: &Step) -> Answer {
        for attempt in 0.. {
            let request = self.build(step);
            let (method, path) = (request.method().clone(), request.uri().path().to_owned());
            let (answer, body) = send(self.client, request).await;
            if let (Some(name), Some(body)) = (&step.watch, body) {
                self.watches.insert(name.clone(), self.watch(step, body));
            }
            if step.until.is_none_or(|code| code == answer.code) || attempt > ATTEMPTS {
                if method != Method::GET {
                    self.let_cache_see(&method, &path, &answer).await;
                }
                return answer;
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
        unreachable!("the loop ends by itself")
    }

    fn build(&self, step: &Step) -> Request<Body> {
        let (method, path) = step.request.split_once(' ').expect("a method, a space, a path");
        let (path, kind) = path::expand(&self.known.fill(path), &self.known.namespace, self.definitions);
        let mut body = step.body.as_ref().map(|body| self.known.fill_all(body));
        let is_whole = matches!(method, "POST" | "PUT") || step.content.as_deref() == Some("apply");
        if let (Some(body), Some(kind), true) = (&mut body, &kind, is_whole) {
            path::complete(body, kind);
        }
        let bytes = match &step.raw {
            Some(raw) => Some(self.known.fill(raw).into_bytes()),
            None => body.map(|body| body.to_string().into_bytes()),
        };
        let mut request = request(method, &path, bytes);
        let mut set = |name: header::HeaderName, value: Option<&str>| {
            if let Some(value) = value {
                request.headers_mut().insert(name, value.parse().expect("a header's value"));
            }
        };
        set(header::CONTENT_TYPE, step.content.as_deref().map(content_type));
        set(header::ACCEPT, step.accept.as_deref());
        set(header::USER_AGENT, step.agent.as_deref());
        let user = step.user.as_ref().map(|user| self.known.fill(user));
        set(header::HeaderName::from_static("impersonate-user"), user.as_deref());
        request
    }

    fn watch(&self, step: &Step, body: Body) -> Watch {
        let gathered = Arc::new(Mutex::new(Watched::default()));
        let path = step.request.split_once(' ').map(|(_, path)| path).unwrap_or_default();
        let path = path.split('?').next().unwrap_or_default();
        let collection = path::expand(&self.known.fill(path), &self.known.namespace, self.definitions).0;
        let reader = tokio::spawn(read_events(body, Arc::clone(&gathered)));
        Watch { gathered, reader, waits_for_end: step.closes, collection }
    }

    async fn finish_watches(&mut self) -> BTreeMap<String, Watched> {
        for watch in self.watches.values() {
            self.catch_up(&watch.collection).await;
        }
        if !self.watches.is_empty() {
            tokio::time::sleep(SETTLE).await;
        }
        let mut gathered = BTreeMap::new();
        for (name, mut watch) in std::mem::take(&mut self.watches) {
            if watch.waits_for_end {
                let _ = tokio::time::timeout(CLOSE_LIMIT, &mut watch.reader).await;
            }
            watch.reader.abort();
            let seen = watch.gathered.lock().expect("the reader does not panic").clone();
            gathered.insert(name, seen);
        }
        gathered
    }

    /// Waits until the server's cache has what was written: a write begins with the cached object, or with the stored one if
    /// that is not there yet, and where an apply has emptied labels these two are not the same.
    async fn let_cache_see(&self, method: &Method, path: &str, answer: &Answer) {
        let metadata = &answer.body["metadata"];
        let (Some(name), Some(revision)) = (metadata["name"].as_str(), metadata["resourceVersion"].as_str()) else {
            return;
        };
        // A creation is sent to the collection, all else to the object or to a part of it.
        let mut segments: Vec<&str> = path.split('/').collect();
        if method != Method::POST {
            segments.truncate(segments.iter().rposition(|segment| *segment == name).unwrap_or(segments.len()));
        }
        self.read_not_older(&segments.join("/"), revision).await;
    }

    /// Waits until the server's cache of a kind has all that was written.
    async fn catch_up(&self, collection: &str) {
        let newest = send(self.client, request("GET", &format!("{collection}?limit=1"), None)).await.0;
        let Some(revision) = newest.body["metadata"]["resourceVersion"].as_str() else { return };
        self.read_not_older(collection, revision).await;
    }

    async fn read_not_older(&self, collection: &str, revision: &str) {
        let query = format!("resourceVersion={revision}&resourceVersionMatch=NotOlderThan&limit=1");
        send(self.client, request("GET", &format!("{collection}?{query}"), None)).await;
    }
}

fn content_type(name: &str) -> &str {
    match name {
        "json" => "application/json-patch+json",
        "merge" => "application/merge-patch+json",
        "strategic" => "application/strategic-merge-patch+json",
        "apply" => "application/apply-patch+yaml",
        other => other,
    }
}

fn request(method: &str, path: &str, body: Option<Vec<u8>>) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(escape(path))
        .header(header::ACCEPT, "application/json")
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::USER_AGENT, "differential")
        .body(Body::from(body.unwrap_or_default()))
        .expect("a request")
}

/// Writes what a URI may not hold as it may: cases are for people.
fn escape(path: &str) -> String {
    path.bytes().fold(String::new(), |escaped, byte| match byte {
        b'!'..=b'~' if !b"\"<>\\^`{|}".contains(&byte) => escaped + char::from(byte).encode_utf8(&mut [0; 4]),
        _ => escaped + &format!("%{byte:02X}"),
    })
}

/// The answer, and the body if it is a watch's.
async fn send(client: &Client, request: Request<Body>) -> (Answer, Option<Body>) {
    let query = request.uri().query().unwrap_or_default();
    let is_watch = query.split('&').any(|part| matches!(part, "watch=true" | "watch=1" | "watch"));
    let what = format!("{} {}", request.method(), request.uri());
    let response = client.send(request).await.unwrap_or_else(|error| panic!("{what}: {error}"));
    let mut answer = read_head(&response);
    if is_watch && answer.code == 200 {
        return (answer, Some(response.into_body()));
    }
    let bytes = response.into_body().collect_bytes().await.unwrap_or_else(|error| panic!("{what}: {error}"));
    answer.body =
        serde_json::from_slice(&bytes).unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()));
    (answer, None)
}

fn read_head(response: &Response<Body>) -> Answer {
    let texts = |name| {
        let all = response.headers().get_all(name).iter();
        all.filter_map(|value| Some(value.to_str().ok()?.to_owned())).collect::<Vec<_>>()
    };
    Answer {
        code: response.status().as_u16(),
        warnings: texts(header::WARNING),
        retry_after: texts(header::RETRY_AFTER).pop(),
        body: Value::Null,
    }
}

async fn read_events(mut body: Body, gathered: Arc<Mutex<Watched>>) {
    let mut buffer = Vec::new();
    while let Some(Ok(frame)) = body.frame().await {
        buffer.extend_from_slice(frame.data_ref().map(AsRef::as_ref).unwrap_or_default());
        while let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = buffer.drain(..=end).collect();
            let event = serde_json::from_slice(&line).unwrap_or_else(|_| json!(String::from_utf8_lossy(&line)));
            gathered.lock().expect("nobody panics").events.push(event);
        }
    }
    gathered.lock().expect("nobody panics").is_closed = true;
}
