//! Takes it that whatever has a member has a status: it panics on one that was left without, at every start.
//!
//! So did percona-server-mongodb-operator (K8SPSMDB-434) and many that Acto found, on fields that may be absent.

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
        let member = format!("{name}-0");
        if self.held.get(&member).is_none() {
            self.members.create(&PostParams::default(), &database.member(&member)).await?;
        } else if self.twin == Twin::Broken {
            let status = database.status.expect("a Database with a member has a status");
            tracing::debug!(?status, "nothing to do");
            return Ok(None);
        }
        if database.status.is_none() {
            let status = json!({"status": {"member": member}});
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
    collected_world(move |environment| run(environment, twin)).with(database(json!({"members": 1})))
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
