//! After a restart an API server that lags shows it a Database that is being deleted; there is a new one of the same name by
//! now, whose key it deletes.
//!
//! So did pravega/zookeeper-operator (#312), rabbitmq/cluster-operator (#648), and casskop (#316): "stale state".

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use operator_testkit::simulation::{Environment, Simulation, apply, delete};
use serde_json::{Value, json};

use crate::{
    controller::{Cache, Controller, Lists, Outcome},
    judge::{Twin, assert_caught, assert_passes, world},
    model::{Database, FINALIZER, database, key_name},
};

struct Keys {
    twin: Twin,
    databases: Cache<Database>,
    held: Cache<Secret>,
    api: Api<Database>,
    keys: Api<Secret>,
}

impl Keys {
    async fn reconcile(self: Arc<Self>, name: String) -> Outcome {
        let Some(database) = self.databases.get(&name) else { return Ok(None) };
        if self.twin == Twin::Correct && !self.is_as_it_was(&database).await? {
            return Ok(Some(Duration::from_secs(5)));
        }
        let is_held = database.metadata.finalizers.iter().flatten().any(|held| held == FINALIZER);
        if database.is_terminating() {
            match self.keys.delete(&key_name(&name), &DeleteParams::default()).await {
                Err(kube::Error::Api(status)) if status.is_not_found() => {}
                deleted => drop(deleted?),
            }
            self.hold(&database, json!([])).await?;
        } else if !is_held {
            self.hold(&database, json!([FINALIZER])).await?;
        } else if self.held.get(&key_name(&name)).is_none() {
            self.keys.create(&PostParams::default(), &database.key()).await?;
        }
        Ok(None)
    }

    /// Whether this is still the object of that name, and wanted as before.
    async fn is_as_it_was(&self, database: &Database) -> kube::Result<bool> {
        let now = self.api.get_opt(database.name()).await?;
        Ok(now.is_some_and(|now| now.uid() == database.uid() && now.is_terminating() == database.is_terminating()))
    }

    async fn hold(&self, database: &Database, finalizers: Value) -> kube::Result<()> {
        let (uid, version) = (&database.metadata.uid, &database.metadata.resource_version);
        let patch = json!({"metadata": {"finalizers": finalizers, "uid": uid, "resourceVersion": version}});
        self.api.patch(database.name(), &PatchParams::default(), &Patch::Merge(patch)).await.map(drop)
    }
}

async fn run(environment: Environment, twin: Twin) -> Result<(), String> {
    let mut controller = Controller::new(&environment);
    let api: Api<Database> = Api::default_namespaced(controller.client.clone());
    let keys: Api<Secret> = Api::default_namespaced(controller.client.clone());
    let databases = controller.follow(api.clone(), Lists::Any);
    let held = controller.follow(keys.clone(), Lists::Any);
    let this = Arc::new(Keys { twin, databases, held, api, keys });
    controller.reconcile(move |name| Arc::clone(&this).reconcile(name)).await
}

fn simulation(twin: Twin) -> Simulation {
    let a = database(json!({"members": 0}));
    world(move |environment| run(environment, twin)).with(a.clone()).then(delete(a.clone())).then(apply(a))
}

#[test]
fn who_deletes_what_belongs_to_a_new_object_is_caught() {
    let deleted = "secrets/default/key-a was deleted 2 times, and 1 times if nothing goes wrong";
    assert_caught(&simulation(Twin::Broken), "O3 summary", &[deleted], "time_travel");
}

#[test]
fn who_asks_whether_it_is_still_so_passes() {
    assert_passes(&simulation(Twin::Correct));
}
