//! Cleans up when it is told that a Database is gone, and only then: whoever is not there to hear of it never does.
//!
//! So did instaclustr/cassandra-operator with claims (#398): "unobserved state".

use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api,
    api::{DeleteParams, PostParams},
};
use operator_testkit::simulation::{Environment, Simulation, delete};
use serde_json::json;

use crate::{
    controller::{Cache, Controller, Outcome, Told},
    judge::{Twin, assert_caught, assert_passes, world},
    model::{Database, database, key_name},
};

struct Keys {
    databases: Cache<Database>,
    held: Cache<Secret>,
    keys: Api<Secret>,
}

impl Keys {
    /// What is wanted is there, and what is not wanted is not: each time.
    async fn reconcile(self: Arc<Self>, name: String) -> Outcome {
        match (self.databases.get(&name), self.held.get(&key_name(&name))) {
            (Some(database), None) => {
                self.keys.create(&PostParams::default(), &database.key()).await?;
            }
            (None, Some(held)) => self.delete(&name, held).await?,
            _ => {}
        }
        Ok(None)
    }

    /// What is wanted comes when the Database comes, and goes when it goes.
    async fn hear(self: Arc<Self>, told: Told) {
        if told.kind != "Database" {
            return;
        }
        let (name, held) = (&told.database, self.held.get(&key_name(&told.database)));
        for _ in 0..10 {
            let done = match (&held, self.databases.get(name)) {
                (None, Some(database)) => self.keys.create(&PostParams::default(), &database.key()).await.map(drop),
                (Some(held), None) => self.delete(name, held.clone()).await,
                _ => Ok(()),
            };
            match done {
                Ok(()) => return,
                Err(error) => tracing::warn!(%error, "tries again"),
            }
            tokio::time::sleep(std::time::Duration::from_secs(5)).await;
        }
    }

    async fn delete(&self, name: &str, held: Secret) -> kube::Result<()> {
        let uid = kube::api::Preconditions { uid: held.metadata.uid, resource_version: None };
        self.keys.delete(&key_name(name), &DeleteParams::default().preconditions(uid)).await.map(drop)
    }
}

async fn run(environment: Environment, twin: Twin) -> Result<(), String> {
    let mut controller = Controller::new(&environment);
    let keys = Api::default_namespaced(controller.client.clone());
    let this = Arc::new(Keys { databases: controller.namespaced(), held: controller.namespaced(), keys });
    match twin {
        Twin::Broken => {
            controller.on_each(move |told| Arc::clone(&this).hear(told)).await;
            Ok(())
        }
        Twin::Correct => controller.reconcile(move |name| Arc::clone(&this).reconcile(name)).await,
    }
}

fn simulation(twin: Twin) -> Simulation {
    let a = database(json!({"members": 0}));
    world(move |environment| run(environment, twin)).with(a.clone()).then(delete(a))
}

#[test]
fn who_cleans_up_only_on_the_event_is_caught() {
    let left = "secrets/default/key-a: expected nothing, found";
    assert_caught(&simulation(Twin::Broken), "O1 convergence", &["step 2", left], "crash_before");
}

#[test]
fn who_compares_what_is_with_what_is_wanted_passes() {
    assert_passes(&simulation(Twin::Correct));
}
