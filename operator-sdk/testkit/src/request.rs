//! What a client asks, and what it is told.

use std::{fmt::Write, sync::Arc, time::Duration};

use bytes::{BufMut, Bytes, BytesMut};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    failure::Failure,
    object::{Object, json_of},
    server::WatchId,
    view::ViewId,
};

/// One request.
#[derive(Clone, Debug)]
pub struct Request {
    /// Unique in a run; commits name the request that caused them.
    pub id: u64,
    /// When the server got it.
    pub received: Timestamp,
    /// `GET`, `POST`, `PUT`, `PATCH` or `DELETE`.
    pub method: http::Method,
    /// As in `/api/v1/namespaces/default/pods`.
    pub path: String,
    /// In the order given.
    pub query: Vec<(String, String)>,
    /// As in `application/json`; empty: none.
    pub content_type: String,
    /// As in `application/json`; empty: none.
    pub accept: String,
    /// As in `kubectl/v1.37.0`; empty: none.
    pub user_agent: String,
    /// What is sent.
    pub body: Bytes,
    /// Who asks.
    pub user: User,
    /// Which of the API servers.
    pub view: ViewId,
}

/// Who asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "as in UserInfo of authentication.k8s.io")]
pub struct User {
    pub name: String,
    pub groups: Vec<String>,
    pub extra: Vec<(String, Vec<String>)>,
}

/// What the server says to a request.
#[derive(Debug)]
pub enum Answer {
    /// This.
    Reply(Reply),
    /// Events, to be taken from [`crate::server::Server::next_events`].
    Watch(WatchId),
    /// Ask the same again when the view has reached the revision, or at that time.
    Wait {
        /// Which view.
        view: ViewId,
        /// Which revision it lacks.
        revision: u64,
        /// When the server gives up.
        until: Timestamp,
    },
}

/// A whole reply.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The HTTP code.
    pub code: u16,
    /// Beside the content type.
    pub headers: Vec<(&'static str, String)>,
    /// What is sent.
    pub body: Body,
}

/// What a reply holds.
#[derive(Clone, Debug)]
pub enum Body {
    /// An object of the store.
    Object(Arc<Object>),
    /// Objects of the store.
    List(List),
    /// Anything else.
    Value(Value),
    /// No JSON.
    Text(Bytes),
}

/// Objects of one kind at one revision.
#[derive(Clone, Debug, Default)]
pub struct List {
    /// As in `apps/v1`.
    pub api_version: String,
    /// As in `DeploymentList`.
    pub kind: String,
    /// Of the snapshot.
    pub resource_version: String,
    /// Where the next page begins; `None`: there is none.
    pub continue_token: Option<String>,
    /// How many more there are, if the server knows.
    pub remaining: Option<usize>,
    /// Whether the kind is a custom one: only then each item has its kind and version, and `continue` is there even if there
    /// is nothing to go on with.
    pub is_custom: bool,
    /// Whether each item has its kind and version even so.
    pub has_kinds: bool,
    /// By key.
    pub items: Vec<Arc<Object>>,
}

impl Request {
    /// A request without query and body, of the system's own user to the first view.
    pub fn new(method: http::Method, path: impl Into<String>) -> Self {
        Self {
            id: 0,
            received: Timestamp::UNIX_EPOCH,
            method,
            path: path.into(),
            query: Vec::new(),
            content_type: String::new(),
            accept: String::new(),
            user_agent: String::new(),
            body: Bytes::new(),
            user: User::administrator(),
            view: ViewId::default(),
        }
    }

    /// The same with one more parameter.
    #[must_use]
    pub fn with_query(mut self, name: &str, value: impl Into<String>) -> Self {
        self.query.push((name.to_owned(), value.into()));
        self
    }

    /// The same with a JSON body.
    #[must_use]
    pub fn with_body(self, body: &Value) -> Self {
        self.with_content("application/json", body.to_string())
    }

    /// The same with a body of a kind.
    #[must_use]
    pub fn with_content(mut self, content_type: &str, body: impl Into<Bytes>) -> Self {
        self.content_type = content_type.to_owned();
        self.body = body.into();
        self
    }

    /// The last value of a parameter; a parameter without value is empty.
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// Reads a query as it stands in a URL.
    pub fn parse_query(query: &str) -> Vec<(String, String)> {
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        pairs
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                (decode(name, true), decode(value, true))
            })
            .collect()
    }

    /// Reads a path as it stands in a URL.
    pub fn parse_path(path: &str) -> String {
        decode(path, false)
    }
}

impl User {
    /// One that may do anything.
    pub fn administrator() -> Self {
        Self {
            name: "admin".to_owned(),
            groups: vec!["system:masters".to_owned(), "system:authenticated".to_owned()],
            extra: Vec::new(),
        }
    }

    /// A ServiceAccount.
    pub fn service_account(namespace: &str, name: &str) -> Self {
        let groups = ["system:serviceaccounts", &format!("system:serviceaccounts:{namespace}"), "system:authenticated"];
        Self {
            name: format!("system:serviceaccount:{namespace}:{name}"),
            groups: groups.map(str::to_owned).to_vec(),
            extra: Vec::new(),
        }
    }
}

impl Reply {
    /// A reply with an object of the store.
    pub fn object(code: u16, object: Arc<Object>) -> Self {
        Self { code, headers: Vec::new(), body: Body::Object(object) }
    }

    /// A reply with a value.
    pub fn value(code: u16, value: Value) -> Self {
        Self { code, headers: Vec::new(), body: Body::Value(value) }
    }

    /// A reply of plain text.
    pub fn text(code: u16, text: impl Into<Bytes>) -> Self {
        Self { code, headers: Vec::new(), body: Body::Text(text.into()) }
    }

    /// Whether the request was granted.
    pub fn is_success(&self) -> bool {
        self.code < 300
    }

    /// The body as a value.
    pub fn to_value(&self) -> Value {
        match &self.body {
            Body::Object(object) => object.value().clone(),
            Body::Value(value) => value.clone(),
            Body::Text(text) => Value::String(String::from_utf8_lossy(text).into_owned()),
            Body::List(list) => list.to_value(),
        }
    }

    /// The body as bytes.
    pub fn bytes(&self) -> Bytes {
        match &self.body {
            Body::Object(object) => object.json().clone(),
            Body::Value(value) => json_of(value),
            Body::Text(text) => text.clone(),
            Body::List(list) => list.bytes(),
        }
    }

    /// `reason` of a Status; empty: none.
    pub fn reason(&self) -> &str {
        match &self.body {
            Body::Value(value) => value["reason"].as_str().unwrap_or_default(),
            _ => "",
        }
    }

    /// The content type of the body.
    pub fn content_type(&self) -> &'static str {
        if self.is_json() { "application/json" } else { "text/plain; charset=utf-8" }
    }

    /// Whether the body is JSON.
    pub fn is_json(&self) -> bool {
        !matches!(self.body, Body::Text(_))
    }
}

impl From<Failure> for Reply {
    fn from(failure: Failure) -> Self {
        let mut reply = Self::value(failure.code, failure.status());
        if failure.details.retry_after_seconds > 0 && matches!(failure.code, 429 | 500 | 503 | 504) {
            reply.headers.push(("retry-after", failure.details.retry_after_seconds.to_string()));
        }
        reply
    }
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Self {
        Self::Reply(reply)
    }
}

impl List {
    fn metadata(&self) -> Value {
        let mut metadata = json!({ "resourceVersion": self.resource_version });
        if self.is_custom {
            metadata["continue"] = "".into();
        }
        if let Some(token) = &self.continue_token {
            metadata["continue"] = token.as_str().into();
        }
        if let Some(remaining) = self.remaining {
            metadata["remainingItemCount"] = remaining.into();
        }
        metadata
    }

    fn to_value(&self) -> Value {
        let items = self.items.iter();
        let items: Vec<Value> = match self.has_kinds || self.is_custom {
            true => items.map(|object| object.value().clone()).collect(),
            false => items.map(|object| object.bare_value()).collect(),
        };
        json!({ "kind": self.kind, "apiVersion": self.api_version, "metadata": self.metadata(), "items": items })
    }

    fn json<'a>(&self, object: &'a Object) -> &'a Bytes {
        if self.has_kinds || self.is_custom { object.json() } else { object.bare_json() }
    }

    fn bytes(&self) -> Bytes {
        let head = format!(
            r#"{{"kind":"{}","apiVersion":"{}","metadata":{},"items":["#,
            self.kind,
            self.api_version,
            self.metadata()
        );
        let size: usize = self.items.iter().map(|object| self.json(object).len() + 1).sum();
        let mut bytes = BytesMut::with_capacity(head.len() + size + 2);
        bytes.put_slice(head.as_bytes());
        for (index, object) in self.items.iter().enumerate() {
            if index > 0 {
                bytes.put_u8(b',');
            }
            bytes.put_slice(self.json(object));
        }
        bytes.put_slice(b"]}");
        bytes.freeze()
    }
}

/// Undoes percent-encoding; what is not valid stays.
fn decode(text: &str, is_query: bool) -> String {
    if !text.bytes().any(|byte| byte == b'%' || is_query && byte == b'+') {
        return text.to_owned();
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let hex = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let (byte, used) = match (first, hex.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(byte)) => (byte, 3),
            (b'+', _) if is_query => (b' ', 1),
            (byte, _) => (byte, 1),
        };
        bytes.push(byte);
        rest = &rest[used..];
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Writes a query as it stands in a URL.
pub fn encode_query(query: &[(String, String)]) -> String {
    let pairs: Vec<String> = query.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    pairs.join("&")
}

fn encode(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    if text.bytes().all(is_plain) {
        return text.to_owned();
    }
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if is_plain(byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

/// How long a read waits for a view that has not seen its revision.
pub const READ_WAIT: Duration = Duration::from_secs(3);
