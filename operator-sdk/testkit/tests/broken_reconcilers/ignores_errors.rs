//! Logs that a write failed, and notes that all is done.
//!
//! So do many that look only at their own status: it says `Running`, and nothing is.

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
    let is_done = database.status.as_ref().is_some_and(|status| status.phase.is_some());
    if is_done && twin == Twin::Broken {
        return Ok(None);
    }
    for name in database.member_names() {
        if this.held.get(&name).is_some() {
            continue;
        }
        let created = this.members.create(&PostParams::default(), &database.member(&name)).await;
        match (created, twin) {
            (Err(error), Twin::Correct) => return Err(error),
            (Err(error), Twin::Broken) => tracing::warn!(%error, "failed to create {name}"),
            (Ok(_), _) => {}
        }
    }
    if !is_done {
        this.note(&name, json!({"phase": "Running"})).await?;
    }
    Ok(None)
}

fn simulation(twin: Twin) -> Simulation {
    members::world(twin, reconcile).with(database(json!({"members": 2})))
}

#[test]
fn who_goes_on_after_an_error_is_caught() {
    let missing = "configmaps/default/a-1: expected {";
    assert_caught(&simulation(Twin::Broken), "O1 convergence", &[missing, "found nothing"], "code: 503");
}

#[test]
fn who_tries_again_passes() {
    assert_passes(&simulation(Twin::Correct));
}
