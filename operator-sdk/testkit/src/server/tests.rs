//! What the server promises, by topic. What it answers in each case is held by the differential suite.

mod definitions;
mod deletion;
mod reads;
mod rights;
mod views;
mod watches;
mod writes;

use std::time::Duration;

use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Answer, Reply, Request, Server, User, WatchId};
use crate::{view::ViewId, watch::WatchEvent};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

/// A server, and the time there.
struct Bench {
    server: Server,
    now: Timestamp,
}

impl Bench {
    fn new() -> Self {
        Self { server: Server::new(1), now: Timestamp::from_second(1_767_225_600).unwrap() }
    }

    fn pass(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    fn answer(&mut self, mut request: Request) -> Answer {
        request.received = self.now;
        self.server.handle(self.now, &request)
    }

    fn send(&mut self, request: Request) -> Reply {
        match self.answer(request) {
            Answer::Reply(reply) => reply,
            other => panic!("not a reply: {other:?}"),
        }
    }

    fn get(&mut self, path: &str) -> Reply {
        self.send(at(Method::GET, path))
    }

    fn delete(&mut self, path: &str) -> Reply {
        self.send(at(Method::DELETE, path))
    }

    fn post(&mut self, path: &str, body: &Value) -> Value {
        let reply = self.send(at(Method::POST, path).with_body(body));
        assert_eq!(reply.code, 201, "{}", reply.to_value());
        reply.to_value()
    }

    fn put(&mut self, path: &str, body: &Value) -> Reply {
        self.send(at(Method::PUT, path).with_body(body))
    }

    fn merge(&mut self, path: &str, patch: &Value) -> Reply {
        self.send(at(Method::PATCH, path).with_content("application/merge-patch+json", patch.to_string()))
    }

    fn watch(&mut self, path: &str) -> WatchId {
        match self.answer(at(Method::GET, path).with_query("watch", "true")) {
            Answer::Watch(watch) => watch,
            other => panic!("not a watch: {other:?}"),
        }
    }

    fn events(&mut self, watch: WatchId) -> Vec<WatchEvent> {
        self.server.next_events(watch, self.now).events
    }

    /// As in `ADDED a`.
    fn told(&mut self, watch: WatchId) -> Vec<String> {
        let events = self.events(watch);
        events.iter().map(|event| format!("{} {}", event.kind.as_str(), event.object.name())).collect()
    }
}

/// A path with its query.
fn at(method: Method, path: &str) -> Request {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let mut request = Request::new(method, path);
    request.query = Request::parse_query(query);
    request.user_agent = "test".to_owned();
    request
}

fn map(name: &str) -> Value {
    json!({ "metadata": { "name": name } })
}

fn revision(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap()
}

fn names(list: &Reply) -> Vec<String> {
    let list = list.to_value();
    let items = list["items"].as_array().unwrap_or_else(|| panic!("no list: {list}"));
    items.iter().map(|item| item["metadata"]["name"].as_str().unwrap().to_owned()).collect()
}
