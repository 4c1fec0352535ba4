//! Writes its condition at every look, with the present time as that of the last transition.
//!
//! So did many, such as knative/serving (#1181) and rabbitmq/messaging-topology-operator (#251): each write is an event, each
//! event a write.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use operator_testkit::simulation::{Environment, Simulation};
use serde_json::json;

use crate::{
    controller::{Cache, Controller, Outcome},
    judge::{Twin, assert_caught, assert_passes, world},
    model::{Database, database},
};

struct Statuses {
    twin: Twin,
    environment: Environment,
    databases: Cache<Database>,
    api: Api<Database>,
}

impl Statuses {
    async fn reconcile(self: Arc<Self>, name: String) -> Outcome {
        let Some(database) = self.databases.get(&name) else { return Ok(None) };
        let conditions = database.status.map(|status| status.conditions).unwrap_or_default();
        let is_told = conditions.iter().any(|held| held.type_ == "Ready" && held.status == "True");
        if is_told && self.twin == Twin::Correct {
            return Ok(None);
        }
        let now = Timestamp::from_second(self.environment.wall().as_second()).map(Time).ok();
        let ready = json!({"type": "Ready", "status": "True", "lastTransitionTime": now});
        let version = &database.metadata.resource_version;
        let status = json!({"metadata": {"resourceVersion": version}, "status": {"conditions": [ready]}});
        self.api.patch_status(&name, &PatchParams::default(), &Patch::Merge(status)).await?;
        Ok(None)
    }
}

async fn run(environment: Environment, twin: Twin) -> Result<(), String> {
    let mut controller = Controller::new(&environment);
    let api = Api::default_namespaced(controller.client.clone());
    let this = Arc::new(Statuses { twin, environment, databases: controller.namespaced(), api });
    controller.reconcile(move |name| Arc::clone(&this).reconcile(name)).await
}

fn simulation(twin: Twin) -> Simulation {
    world(move |environment| run(environment, twin)).with(database(json!({"members": 0})))
}

#[test]
fn a_transition_at_every_look_is_caught() {
    let moves = "databases default/a: Ready moves its lastTransitionTime";
    assert_caught(&simulation(Twin::Broken), "O9 conditions", &[moves], "");
}

#[test]
fn a_status_that_is_written_again_and_again_is_caught() {
    assert_caught(
        &simulation(Twin::Broken),
        "O2 quiescence",
        &["after everything had settled: Updated databases default/a"],
        "",
    );
}

#[test]
fn a_status_that_is_written_when_it_changes_passes() {
    assert_passes(&simulation(Twin::Correct));
}
