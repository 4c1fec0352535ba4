//! Counts members in a cache that does not show yet what it has just created, and creates more.
//!
//! So did Kubernetes' own ReplicationManager before it had expectations.

use std::sync::Arc;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ListParams, PostParams};
use operator_testkit::simulation::Simulation;
use serde_json::json;

use crate::{
    controller::Outcome,
    judge::{Twin, assert_caught, assert_passes},
    members::{self, Members},
    model::{database, is_of},
};

async fn reconcile(this: Arc<Members>, twin: Twin, name: String) -> Outcome {
    let Some(database) = this.databases.get(&name) else { return Ok(None) };
    let held = match twin {
        Twin::Broken => this.held.list(),
        Twin::Correct => this.members.list(&ListParams::default()).await?.items,
    };
    let count = held.iter().filter(|member| is_of(&member.metadata, &database)).count();
    for _ in count..database.spec.members {
        let member = ConfigMap { metadata: database.child_of_any_name(), ..ConfigMap::default() };
        this.members.create(&PostParams::default(), &member).await?;
    }
    if database.status.and_then(|status| status.members) != Some(database.spec.members) {
        this.note(&name, json!({"members": database.spec.members})).await?;
    }
    Ok(None)
}

fn simulation(twin: Twin) -> Simulation {
    members::world(twin, reconcile).with(database(json!({"members": 2})))
}

#[test]
fn who_counts_in_a_cache_that_lags_is_caught() {
    let more = "configmaps/default/a-* was created 4 times, and 2 times if nothing goes wrong";
    assert_caught(&simulation(Twin::Broken), "O3 summary", &[more], "watch_delay");
}

#[test]
fn who_counts_what_the_server_has_passes() {
    assert_passes(&simulation(Twin::Correct));
}
