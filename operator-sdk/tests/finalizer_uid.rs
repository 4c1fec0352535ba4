//! A finalizer is there before the first reconcile, and its removal touches only the incarnation that was cleaned up (H1).

#![expect(clippy::unwrap_used, reason = "a test says by a panic what is wrong")]

#[path = "fixture/server.rs"]
mod server;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use k8s_openapi::api::core::v1::ConfigMap;
use operator_sdk::{
    Controller, Watch, finalizer,
    permission::Permission,
    reconcile::{Cleanup, Context, Failure, Outcome, Reconciler},
};
use serde_json::{Value, json};
use server::{Running, Shared, map};
use tokio::time::sleep;

const FINALIZER: &str = "example.com/cleanup";

/// What becomes of the object while it is cleaned up.
#[derive(Clone, Copy, PartialEq)]
enum Meanwhile {
    Nothing,
    /// Somebody removes our finalizer by hand; the object goes, and another comes of the same name, held by the same.
    Replaced,
    /// Somebody else's finalizer goes: ours stands at another index now.
    Moved,
    /// The object goes.
    Gone,
}

/// Notes what is called, and on which uid.
struct Notes {
    calls: Arc<Mutex<Vec<String>>>,
    server: Shared,
    meanwhile: Meanwhile,
}

impl Notes {
    fn note(&self, what: &str, context: &Context<ConfigMap>) -> bool {
        let call = format!("{what} {}", context.object.metadata.uid.as_deref().unwrap());
        let mut calls = self.calls.lock().unwrap();
        let is_first = !calls.contains(&call);
        calls.push(call);
        is_first
    }
}

impl Reconciler for Notes {
    type Object = ConfigMap;

    async fn reconcile(&self, context: &Context<ConfigMap>) -> Result<Outcome, Failure> {
        let is_held = finalizer::is_held(context.object.as_ref(), FINALIZER);
        self.note(if is_held { "reconcile" } else { "unheld" }, context);
        Ok(Outcome::Done)
    }

    fn permissions(&self) -> Vec<Permission> {
        Vec::new()
    }
}

impl Cleanup for Notes {
    const FINALIZER: &'static str = FINALIZER;

    async fn cleanup(&self, context: &Context<ConfigMap>) -> Result<Outcome, Failure> {
        if self.note("cleanup", context) {
            let mut server = self.server.lock();
            let mut object = server.get("a").unwrap().clone();
            match self.meanwhile {
                Meanwhile::Nothing => {}
                Meanwhile::Moved => {
                    object["metadata"]["finalizers"] = json!([FINALIZER]);
                    server.put(object);
                }
                Meanwhile::Gone | Meanwhile::Replaced => {
                    object["metadata"]["finalizers"] = json!([]);
                    server.put(object);
                }
            }
            if self.meanwhile == Meanwhile::Replaced {
                server.put(held(&[FINALIZER], "second"));
            }
        }
        Ok(Outcome::Done)
    }
}

fn held(finalizers: &[&str], uid: &str) -> Value {
    let mut object = map("a");
    object["metadata"]["finalizers"] = json!(finalizers);
    object["metadata"]["uid"] = json!(uid);
    object
}

/// Runs the controller on this object, then deletes it; returns the server and the calls.
async fn delete(object: Value, meanwhile: Meanwhile) -> (Shared, Vec<String>) {
    let server = Shared::default();
    server.lock().put(object);
    let calls = Arc::default();
    let watch = Watch::<ConfigMap>::new();
    let notes = Notes { calls: Arc::clone(&calls), server: server.clone(), meanwhile };
    let running = Running::start(&server, Controller::new(notes, &watch).with_cleanup(), &watch);
    sleep(Duration::from_secs(60)).await;
    server.lock().delete("a");
    sleep(Duration::from_secs(60)).await;
    running.stop().await;
    let calls = calls.lock().unwrap().clone();
    (server, calls)
}

#[tokio::test(start_paused = true)]
async fn the_finalizer_comes_before_the_first_reconcile_and_goes_after_clean_up() {
    let mut object = map("a");
    object["metadata"]["uid"] = json!("first");
    let (server, calls) = delete(object, Meanwhile::Nothing).await;
    assert_eq!(calls, ["reconcile first", "cleanup first"]);
    let server = server.lock();
    assert_eq!(server.requests, ["PATCH a", "GET a", "PATCH a"]);
    assert_eq!(server.get("a"), None);
}

#[tokio::test(start_paused = true)]
async fn a_stale_clean_up_leaves_a_new_object_of_the_same_name_alone() {
    let (server, calls) = delete(held(&[FINALIZER], "first"), Meanwhile::Replaced).await;
    assert_eq!(calls, ["reconcile first", "cleanup first", "reconcile second"]);
    let server = server.lock();
    let second = server.get("a").unwrap();
    assert_eq!(second["metadata"]["uid"], "second");
    assert_eq!(second["metadata"]["finalizers"], json!([FINALIZER]));
    // The patch that is refused, and a look why; the finalizer was never away.
    assert_eq!(server.requests, ["GET a", "PATCH a", "GET a"]);
}

#[tokio::test(start_paused = true)]
async fn a_finalizer_that_moved_is_removed_from_where_it_is_now() {
    let (server, calls) = delete(held(&["example.com/other", FINALIZER], "first"), Meanwhile::Moved).await;
    assert_eq!(calls, ["reconcile first", "cleanup first", "cleanup first"]);
    assert_eq!(server.lock().get("a"), None);
}

#[tokio::test(start_paused = true)]
async fn an_object_that_is_gone_already_needs_no_removal() {
    let (server, calls) = delete(held(&[FINALIZER], "first"), Meanwhile::Gone).await;
    assert_eq!(calls, ["reconcile first", "cleanup first"]);
    assert_eq!(server.lock().requests, ["GET a", "PATCH a"]);
}
