//! Sees to what is missing before it looks whether its Database is being deleted: it makes again what it has just deleted.
//!
//! So did Kubernetes' own controllers, which adopted again what had just been orphaned, before they looked at
//! `deletionTimestamp` afresh (kubernetes#42938).

use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use operator_testkit::simulation::{Environment, Simulation, delete};
use serde_json::{Value, json};

use crate::{
    controller::{Cache, Controller, Outcome},
    judge::{Twin, assert_caught, assert_passes, world},
    model::{Database, FINALIZER, database, key_name},
};

struct Keys {
    twin: Twin,
    databases: Cache<Database>,
    api: Api<Database>,
    keys: Api<Secret>,
}

impl Keys {
    async fn reconcile(self: Arc<Self>, name: String) -> Outcome {
        let Some(database) = self.databases.get(&name) else { return Ok(None) };
        if !database.is_terminating() && !database.metadata.finalizers.iter().flatten().any(|held| held == FINALIZER) {
            self.hold(&database, json!([FINALIZER])).await?;
        }
        let is_there = self.keys.get_opt(&key_name(&name)).await?.is_some();
        if !is_there && (self.twin == Twin::Broken || !database.is_terminating()) {
            self.keys.create(&PostParams::default(), &database.key()).await?;
        }
        if database.is_terminating() {
            if is_there {
                self.keys.delete(&key_name(&name), &DeleteParams::default()).await?;
            }
            self.hold(&database, json!([])).await?;
        }
        Ok(None)
    }

    async fn hold(&self, database: &Database, finalizers: Value) -> kube::Result<()> {
        let (uid, version) = (&database.metadata.uid, &database.metadata.resource_version);
        let patch = json!({"metadata": {"finalizers": finalizers, "uid": uid, "resourceVersion": version}});
        match self.api.patch(database.name(), &PatchParams::default(), &Patch::Merge(patch)).await {
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            patched => patched.map(drop),
        }
    }
}

async fn run(environment: Environment, twin: Twin) -> Result<(), String> {
    let mut controller = Controller::new(&environment);
    let api = Api::default_namespaced(controller.client.clone());
    let keys = Api::default_namespaced(controller.client.clone());
    let databases = controller.namespaced();
    let _held: Cache<Secret> = controller.namespaced();
    let this = Arc::new(Keys { twin, databases, api, keys });
    controller.reconcile(move |name| Arc::clone(&this).reconcile(name)).await
}

fn simulation(twin: Twin) -> Simulation {
    let a = database(json!({"members": 0}));
    world(move |environment| run(environment, twin)).with(a.clone()).then(delete(a))
}

#[test]
fn who_creates_for_what_is_being_deleted_is_caught() {
    let again = "secrets/default/key-a was created 2 times, and 1 times if nothing goes wrong";
    assert_caught(&simulation(Twin::Broken), "O3 summary", &[again], "crash_before");
}

#[test]
fn who_looks_at_the_deletion_first_passes() {
    assert_passes(&simulation(Twin::Correct));
}
