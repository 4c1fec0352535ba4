//! Takes its finalizer off by name: if the request is late, off a new object of the same name, which is then not cleaned up.
//!
//! So do many that patch `finalizers` without the uid or the version that they looked at.

use std::{sync::Arc, time::Duration};

use kube::{
    Api,
    api::{Patch, PatchParams},
};
use operator_testkit::simulation::{Environment, Simulation, delete};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{
    controller::{Cache, Controller, Outcome},
    judge::{Twin, assert_caught, assert_passes, world},
    model::{Database, FINALIZER, database},
    people::RestoresDatabases,
};

/// It is in a hurry, and asks again when nothing is heard for so long.
const PATIENCE: Duration = Duration::from_secs(1);

struct Finalizers {
    twin: Twin,
    databases: Cache<Database>,
    api: Api<Database>,
}

impl Finalizers {
    async fn reconcile(self: Arc<Self>, name: String) -> Outcome {
        let Some(database) = self.databases.get(&name) else { return Ok(None) };
        let is_held = database.metadata.finalizers.iter().flatten().any(|held| held == FINALIZER);
        let is_new = database.status.is_none();
        if database.is_terminating() {
            if is_held {
                self.hold(&database, json!([])).await?;
            }
        } else if !is_held && (is_new || self.twin == Twin::Correct) {
            self.hold(&database, json!([FINALIZER])).await?;
        } else if is_new {
            let status = json!({"status": {"phase": "Running"}});
            self.api.patch_status(&name, &PatchParams::default(), &Patch::Merge(status)).await?;
        }
        Ok(None)
    }

    async fn hold(&self, database: &Database, finalizers: Value) -> kube::Result<()> {
        let mut metadata = json!({"finalizers": finalizers});
        if self.twin == Twin::Correct {
            metadata["uid"] = json!(database.metadata.uid);
            metadata["resourceVersion"] = json!(database.metadata.resource_version);
        }
        let patch = Patch::Merge(json!({"metadata": metadata}));
        match timeout(PATIENCE, self.api.patch(database.name(), &PatchParams::default(), &patch)).await {
            Ok(answer) => answer.map(drop),
            Err(elapsed) => Err(kube::Error::Service(elapsed.into())),
        }
    }
}

async fn run(environment: Environment, twin: Twin) -> Result<(), String> {
    let mut controller = Controller::new(&environment);
    let api = Api::default_namespaced(controller.client.clone());
    let this = Arc::new(Finalizers { twin, databases: controller.namespaced(), api });
    controller.reconcile(move |name| Arc::clone(&this).reconcile(name)).await
}

fn simulation(twin: Twin) -> Simulation {
    let a = database(json!({"members": 0}));
    world(move |environment| run(environment, twin))
        .actor(RestoresDatabases { after: Duration::from_millis(50), members: 0 })
        .with(a.clone())
        .then(delete(a))
}

#[test]
fn a_finalizer_that_is_taken_off_a_name_is_caught() {
    let stripped = "databases/default/a: /metadata/finalizers: expected";
    assert_caught(&simulation(Twin::Broken), "O1 convergence", &["step 2", stripped, "found nothing"], "late");
}

#[test]
fn a_finalizer_that_is_taken_off_an_object_passes() {
    assert_passes(&simulation(Twin::Correct));
}
