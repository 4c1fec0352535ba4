//! Takes it that the settings, which were created first, were heard of first: each kind has a watch of its own.
//!
//! So did kube-scheduler with volumes and claims, and whoever decides once on what another kind's cache does not show.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Api, api::PostParams};
use operator_testkit::simulation::{Environment, Manifest, Simulation, apply};
use serde_json::json;

use crate::{
    controller::{Cache, Controller, Outcome},
    judge::{Twin, assert_caught, assert_passes, collected_world},
    model::{Database, database, key_name},
};

struct Keys {
    twin: Twin,
    databases: Cache<Database>,
    settings: Cache<ConfigMap>,
    held: Cache<Secret>,
    keys: Api<Secret>,
}

impl Keys {
    /// The key has a length that the settings give, or a usual one; it is made once.
    async fn reconcile(self: Arc<Self>, name: String) -> Outcome {
        let Some(database) = self.databases.get(&name) else { return Ok(None) };
        if self.held.get(&key_name(&name)).is_some() {
            return Ok(None);
        }
        let settings = database.spec.settings_from.as_ref().and_then(|name| self.settings.get(name));
        if settings.is_none() && database.spec.settings_from.is_some() && self.twin == Twin::Correct {
            // Whoever creates them will be heard of.
            return Ok(None);
        }
        let length = settings.and_then(|settings| settings.data?.get("length").cloned());
        let length = length.unwrap_or_else(|| "usual".to_owned());
        let key = Secret { string_data: Some([("length".to_owned(), length)].into()), ..database.key() };
        self.keys.create(&PostParams::default(), &key).await?;
        Ok(None)
    }
}

async fn run(environment: Environment, twin: Twin) -> Result<(), String> {
    let mut controller = Controller::new(&environment);
    let keys = Api::default_namespaced(controller.client.clone());
    let (databases, settings) = (controller.namespaced(), controller.namespaced());
    let this = Arc::new(Keys { twin, databases, settings, held: controller.namespaced(), keys });
    controller.reconcile(move |name| Arc::clone(&this).reconcile(name)).await
}

fn simulation(twin: Twin) -> Simulation {
    let metadata = json!({"name": "settings", "labels": {"database": "a"}});
    let settings = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"length": "long"}});
    let a = database(json!({"members": 0, "settings_from": "settings"}));
    let both: Manifest = [settings].into_iter().chain(a.objects().iter().cloned()).collect();
    collected_world(move |environment| run(environment, twin)).with(Manifest::default()).then(apply(both))
}

#[test]
fn who_takes_kinds_to_be_heard_of_in_order_is_caught() {
    let wrong = "secrets/default/key-a: /data/length: expected";
    assert_caught(&simulation(Twin::Broken), "O1 convergence", &[wrong], "watch_delay");
}

#[test]
fn who_waits_for_what_is_named_passes() {
    assert_passes(&simulation(Twin::Correct));
}
