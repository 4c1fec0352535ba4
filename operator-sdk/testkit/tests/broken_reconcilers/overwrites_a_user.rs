//! Replaces a member by what it remembers of it: what somebody wrote in between is lost.
//!
//! So does a PUT without `resourceVersion`, and one that takes the version from the server and the rest from a cache.

use std::sync::Arc;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, api::PostParams};
use operator_testkit::simulation::{Environment, Simulation, apply};
use serde_json::json;

use crate::{
    controller::{Cache, Controller, Outcome},
    judge::{Twin, assert_caught, assert_passes, collected_world},
    model::{Database, database},
};

struct Members {
    twin: Twin,
    databases: Cache<Database>,
    held: Cache<ConfigMap>,
    members: Api<ConfigMap>,
}

impl Members {
    async fn reconcile(self: Arc<Self>, name: String) -> Outcome {
        let Some(database) = self.databases.get(&name) else { return Ok(None) };
        for name in database.member_names() {
            let wanted = database.member(&name);
            match self.held.get(&name) {
                None => {
                    self.members.create(&PostParams::default(), &wanted).await?;
                }
                Some(held) if held.data == wanted.data => {}
                Some(mut changed) => {
                    changed.data = wanted.data;
                    if self.twin == Twin::Broken {
                        changed.metadata.resource_version = None;
                    }
                    self.members.replace(&name, &PostParams::default(), &changed).await?;
                }
            }
        }
        Ok(None)
    }
}

async fn run(environment: Environment, twin: Twin) -> Result<(), String> {
    let mut controller = Controller::new(&environment);
    let members = Api::default_namespaced(controller.client.clone());
    let (databases, held) = (controller.namespaced(), controller.namespaced());
    let this = Arc::new(Members { twin, databases, held, members });
    controller.reconcile(move |name| Arc::clone(&this).reconcile(name)).await
}

fn simulation(twin: Twin) -> Simulation {
    collected_world(move |environment| run(environment, twin))
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
