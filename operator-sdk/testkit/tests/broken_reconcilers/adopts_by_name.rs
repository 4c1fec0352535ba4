//! Takes what has the right name for its own: the key of a Database that is gone becomes that of the next one.
//!
//! So did operators whose new cluster came up on the claims of a former one (pravega/zookeeper-operator#71), or that found
//! what is theirs by name and not by uid (instaclustr/cassandra-operator#402).

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api,
    api::{DeleteParams, PostParams, Preconditions},
};
use operator_testkit::simulation::{Environment, Simulation, delete};
use serde_json::json;

use crate::{
    controller::{Cache, Controller, Outcome},
    judge::{Twin, assert_caught, assert_passes, world},
    model::{Database, database, is_of, key_name},
    people::RestoresDatabases,
};

struct Keys {
    twin: Twin,
    databases: Cache<Database>,
    held: Cache<Secret>,
    keys: Api<Secret>,
}

async fn run(environment: Environment, twin: Twin) -> Result<(), String> {
    let mut controller = Controller::new(&environment);
    let keys = Api::default_namespaced(controller.client.clone());
    let this = Keys { twin, databases: controller.namespaced(), held: controller.namespaced(), keys };
    let this = Arc::new(this);
    controller.reconcile(move |name| Arc::clone(&this).reconcile(name)).await
}

impl Keys {
    async fn reconcile(self: Arc<Self>, name: String) -> Outcome {
        let wanted = self.databases.get(&name);
        if let Some(held) = self.held.get(&key_name(&name)) {
            let is_wanted = match (&wanted, self.twin) {
                (None, _) => false,
                (Some(_), Twin::Broken) => true,
                (Some(database), Twin::Correct) => is_of(&held.metadata, database),
            };
            if is_wanted {
                return Ok(None);
            }
            let uid = Preconditions { uid: held.metadata.uid.clone(), resource_version: None };
            self.keys.delete(&key_name(&name), &DeleteParams::default().preconditions(uid)).await?;
        }
        if let Some(database) = wanted {
            self.keys.create(&PostParams::default(), &database.key()).await?;
        }
        Ok(None)
    }
}

fn simulation(twin: Twin) -> Simulation {
    world(move |environment| run(environment, twin))
        .actor(RestoresDatabases { after: Duration::from_secs(1), members: 0 })
        .with(database(json!({"members": 0})))
        .then(delete(database(json!({"members": 0}))))
}

#[test]
fn an_owner_that_is_known_by_its_name_is_caught() {
    assert_caught(
        &simulation(Twin::Broken),
        "O1 convergence",
        &["secrets/default/key-a: /metadata/ownerReferences/0/uid"],
        "lost:",
    );
}

#[test]
fn an_owner_that_is_known_by_its_uid_passes() {
    assert_passes(&simulation(Twin::Correct));
}
