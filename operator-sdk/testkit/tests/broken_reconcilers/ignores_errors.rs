//! Logs that a write failed, and notes that all is done.
//!
//! So did casskop (#342) and many that Acto found: the status says `Running`, and nothing is.

use std::sync::Arc;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api,
    api::{Patch, PatchParams, PostParams},
};
use operator_testkit::simulation::{Environment, Simulation};
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
    api: Api<Database>,
    members: Api<ConfigMap>,
}

impl Members {
    async fn reconcile(self: Arc<Self>, name: String) -> Outcome {
        let Some(database) = self.databases.get(&name) else { return Ok(None) };
        let is_done = database.status.as_ref().is_some_and(|status| status.phase.is_some());
        if is_done && self.twin == Twin::Broken {
            return Ok(None);
        }
        for name in database.member_names() {
            if self.held.get(&name).is_some() {
                continue;
            }
            let created = self.members.create(&PostParams::default(), &database.member(&name)).await;
            match (created, self.twin) {
                (Err(error), Twin::Correct) => return Err(error),
                (Err(error), Twin::Broken) => tracing::warn!(%error, "failed to create {name}"),
                (Ok(_), _) => {}
            }
        }
        if !is_done {
            let status = json!({"status": {"phase": "Running"}});
            self.api.patch_status(&name, &PatchParams::default(), &Patch::Merge(status)).await?;
        }
        Ok(None)
    }
}

async fn run(environment: Environment, twin: Twin) -> Result<(), String> {
    let mut controller = Controller::new(&environment);
    let api = Api::default_namespaced(controller.client.clone());
    let members = Api::default_namespaced(controller.client.clone());
    let (databases, held) = (controller.namespaced(), controller.namespaced());
    let this = Arc::new(Members { twin, databases, held, api, members });
    controller.reconcile(move |name| Arc::clone(&this).reconcile(name)).await
}

fn simulation(twin: Twin) -> Simulation {
    collected_world(move |environment| run(environment, twin)).with(database(json!({"members": 2})))
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
