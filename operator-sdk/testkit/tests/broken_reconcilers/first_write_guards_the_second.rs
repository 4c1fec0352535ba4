//! Creates a key and a member in one go, and takes the key's being there for a sign that all is done.
//!
//! So did rabbitmq/cluster-operator when it made volumes larger (#782): "intermediate state".

use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Api, api::PostParams};
use operator_testkit::simulation::{Environment, Simulation};
use serde_json::json;

use crate::{
    controller::{Cache, Controller, Outcome},
    judge::{Twin, assert_caught, assert_passes, collected_world},
    model::{Database, database, key_name},
};

struct Both {
    twin: Twin,
    databases: Cache<Database>,
    held_keys: Cache<Secret>,
    held_members: Cache<ConfigMap>,
    keys: Api<Secret>,
    members: Api<ConfigMap>,
}

impl Both {
    async fn reconcile(self: Arc<Self>, name: String) -> Outcome {
        let Some(database) = self.databases.get(&name) else { return Ok(None) };
        let is_keyed = self.held_keys.get(&key_name(&name)).is_some();
        if is_keyed && self.twin == Twin::Broken {
            return Ok(None);
        }
        if !is_keyed {
            self.keys.create(&PostParams::default(), &database.key()).await?;
        }
        for name in database.member_names() {
            if self.held_members.get(&name).is_none() {
                self.members.create(&PostParams::default(), &database.member(&name)).await?;
            }
        }
        Ok(None)
    }
}

async fn run(environment: Environment, twin: Twin) -> Result<(), String> {
    let mut controller = Controller::new(&environment);
    let keys = Api::default_namespaced(controller.client.clone());
    let members = Api::default_namespaced(controller.client.clone());
    let databases = controller.namespaced();
    let (held_keys, held_members) = (controller.namespaced(), controller.namespaced());
    let this = Arc::new(Both { twin, databases, held_keys, held_members, keys, members });
    controller.reconcile(move |name| Arc::clone(&this).reconcile(name)).await
}

fn simulation(twin: Twin) -> Simulation {
    collected_world(move |environment| run(environment, twin)).with(database(json!({"members": 1})))
}

#[test]
fn a_second_write_that_the_first_one_guards_is_caught() {
    let missing = "configmaps/default/a-0: expected {";
    assert_caught(&simulation(Twin::Broken), "O1 convergence", &[missing, "found nothing"], "crash_after");
}

#[test]
fn writes_that_are_each_looked_at_pass() {
    assert_passes(&simulation(Twin::Correct));
}
