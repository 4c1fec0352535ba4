//! A write that finds its object changed, replaced or gone is not tried again before the cache has that news.

#![expect(clippy::unwrap_used, reason = "a test says by a panic what is wrong")]

#[path = "fixture/server.rs"]
mod server;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use k8s_openapi::api::core::v1::ConfigMap;
use operator_sdk::{
    Controller, Target, Watch, intent,
    permission::{Permission, Verb},
    reconcile::{Context, Failure, Outcome, Reconciler},
};
use serde_json::json;
use server::{Running, Server, Shared, map};
use tokio::time::{Instant, sleep};

/// Which write is tried.
#[derive(Clone, Copy)]
enum Write {
    Patch,
    Status,
    Apply,
    Delete,
}

/// Writes once to each object that is not marked.
struct Writer(Write);

impl Reconciler for Writer {
    type Object = ConfigMap;

    async fn reconcile(&self, context: &Context<ConfigMap>) -> Result<Outcome, Failure> {
        let (client, object) = (&context.client, context.object.as_ref());
        if object.data.is_some() {
            return Ok(Outcome::Done);
        }
        let target = Target::of(object)?;
        match self.0 {
            Write::Patch => drop(client.patch::<ConfigMap>(&target, json!({"data": {"is": "marked"}})).await?),
            Write::Status => drop(client.replace_status(object).await?),
            Write::Apply => drop(intent::apply(client, &wanted(), Some(object)).await?),
            Write::Delete => client.delete::<ConfigMap>(&target).await?,
        }
        Ok(Outcome::Done)
    }

    fn permissions(&self) -> Vec<Permission> {
        let status = Permission::on_subresource::<ConfigMap>(Verb::Update, "status");
        vec![Permission::of::<ConfigMap>(Verb::Patch), Permission::of::<ConfigMap>(Verb::Delete), status]
    }
}

/// What is applied.
fn wanted() -> ConfigMap {
    let mut wanted = map("a");
    wanted["data"] = json!({"is": "marked"});
    serde_json::from_value(wanted).unwrap()
}

/// When a write to `a` is tried within a minute, counted from the first, before which `happens` happens.
async fn tries(write: Write, happens: fn(&mut Server)) -> Vec<Duration> {
    let server = Shared::default();
    server.lock().put(map("a"));
    let watch = Watch::<ConfigMap>::new();
    let tries = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&tries);
    let client = server.client_with(move |server, _| {
        let mut tries = noted.lock().unwrap();
        if tries.is_empty() {
            happens(server);
        }
        tries.push(Instant::now());
        None
    });
    let running = Running::start_with(&server, client, Controller::new(Writer(write), &watch), &watch);
    sleep(Duration::from_secs(60)).await;
    running.stop().await;
    let tries = tries.lock().unwrap();
    tries.iter().map(|time| *time - tries[0]).collect()
}

/// Somebody changes `a`.
fn change(server: &mut Server) {
    let changed = server.get("a").unwrap().clone();
    server.put(changed);
}

/// Somebody deletes `a` and makes it anew.
fn replace(server: &mut Server) {
    server.delete("a");
    server.put(map("a"));
}

fn silently(happens: fn(&mut Server), server: &mut Server) {
    server.is_silent = true;
    happens(server);
}

#[tokio::test(start_paused = true)]
async fn who_hears_nothing_writes_once_in_vain_and_then_lists() {
    let changed = |server: &mut Server| silently(change, server);
    let replaced = |server: &mut Server| silently(replace, server);
    let of_all = [
        tries(Write::Patch, changed).await,
        tries(Write::Patch, replaced).await,
        tries(Write::Status, changed).await,
        tries(Write::Status, replaced).await,
        tries(Write::Apply, replaced).await,
        tries(Write::Delete, replaced).await,
    ];
    for tries in of_all {
        assert!(tries.len() == 2 && tries[1] >= Duration::from_secs(5), "{tries:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_hears_of_it_writes_again_at_once() {
    for tries in [tries(Write::Patch, change).await, tries(Write::Delete, replace).await] {
        assert!(tries.len() == 2 && tries[1] < Duration::from_secs(1), "{tries:?}");
    }
}
