//! Replaces a member by what it remembers of it: what somebody wrote in between is lost.
//!
//! So does a PUT without `resourceVersion`, and one that takes the version from the server and the rest from a cache.

use std::sync::Arc;

use kube::api::PostParams;
use operator_testkit::simulation::{Simulation, apply};
use serde_json::json;

use crate::{
    controller::Outcome,
    judge::{Twin, assert_caught, assert_passes},
    members::{self, Members},
    model::database,
};

async fn reconcile(this: Arc<Members>, twin: Twin, name: String) -> Outcome {
    let Some(database) = this.databases.get(&name) else { return Ok(None) };
    for name in database.member_names() {
        let wanted = database.member(&name);
        match this.held.get(&name) {
            None => {
                this.members.create(&PostParams::default(), &wanted).await?;
            }
            Some(held) if held.data == wanted.data => {}
            Some(mut changed) => {
                changed.data = wanted.data;
                if twin == Twin::Broken {
                    changed.metadata.resource_version = None;
                }
                this.members.replace(&name, &PostParams::default(), &changed).await?;
            }
        }
    }
    Ok(None)
}

fn simulation(twin: Twin) -> Simulation {
    members::world(twin, reconcile)
        .with(database(json!({"members": 1, "image": "one"})))
        .then(apply(database(json!({"members": 1, "image": "two"}))))
}

#[test]
fn who_overwrites_what_it_has_not_read_is_caught() {
    let lost = "configmaps default/a-0";
    assert_caught(&simulation(Twin::Broken), "O10 lost update", &[lost, "controller write 2: PUT"], "race");
}

#[test]
fn who_names_the_version_that_it_read_passes() {
    assert_passes(&simulation(Twin::Correct));
}
