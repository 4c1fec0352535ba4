//! Takes it that whatever has a member has a status: it panics on one that was left without, at every start.
//!
//! So did percona-server-mongodb-operator (K8SPSMDB-434), on a part of the status that may be absent.

use std::sync::Arc;

use kube::api::PostParams;
use operator_testkit::simulation::Simulation;
use serde_json::json;

use crate::{
    controller::Outcome,
    judge::{Twin, assert_caught, assert_passes},
    members::{self, Members},
    model::database,
};

async fn reconcile(this: Arc<Members>, twin: Twin, name: String) -> Outcome {
    let Some(database) = this.databases.get(&name) else { return Ok(None) };
    let member = format!("{name}-0");
    if this.held.get(&member).is_none() {
        this.members.create(&PostParams::default(), &database.member(&member)).await?;
    } else if twin == Twin::Broken {
        let status = database.status.expect("a Database with a member has a status");
        tracing::debug!(?status, "nothing to do");
        return Ok(None);
    }
    if database.status.is_none() {
        this.note(&name, json!({"member": member})).await?;
    }
    Ok(None)
}

fn simulation(twin: Twin) -> Simulation {
    members::world(twin, reconcile).with(database(json!({"members": 1})))
}

#[test]
fn who_panics_on_what_may_be_absent_is_caught() {
    let panicked = ["controller panicked", "a Database with a member has a status"];
    assert_caught(&simulation(Twin::Broken), "O5 log", &panicked, "crash_after");
}

#[test]
fn who_lives_without_it_passes() {
    assert_passes(&simulation(Twin::Correct));
}
