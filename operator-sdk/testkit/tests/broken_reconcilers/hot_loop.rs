//! Asks every second for settings that do not exist, for as long as they do not: a thousand such Databases are an attack.
//!
//! So did many that answer an error by looking again at once; client-go has rate limits against it.

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use operator_testkit::simulation::{Environment, Simulation};
use serde_json::json;

use crate::{
    controller::{Cache, Controller, Outcome},
    judge::{Twin, assert_caught, assert_passes, world},
    model::{Database, database},
};

struct Settings {
    twin: Twin,
    databases: Cache<Database>,
    settings: Api<ConfigMap>,
}

impl Settings {
    async fn reconcile(self: Arc<Self>, name: String) -> Outcome {
        let Some(database) = self.databases.get(&name) else { return Ok(None) };
        let Some(settings) = &database.spec.settings_from else { return Ok(None) };
        if self.settings.get_opt(settings).await?.is_some() {
            return Ok(None);
        }
        let again = if self.twin == Twin::Broken { 1 } else { 300 };
        Ok(Some(Duration::from_secs(again)))
    }
}

async fn run(environment: Environment, twin: Twin) -> Result<(), String> {
    let mut controller = Controller::new(&environment);
    let settings = Api::default_namespaced(controller.client.clone());
    let this = Arc::new(Settings { twin, databases: controller.namespaced(), settings });
    controller.reconcile(move |name| Arc::clone(&this).reconcile(name)).await
}

fn simulation(twin: Twin) -> Simulation {
    let invalid = database(json!({"members": 0, "settings_from": "nowhere"}));
    world(move |environment| run(environment, twin)).with(invalid)
}

#[test]
fn who_asks_again_and_again_is_caught() {
    let asks = "reads in 20m in which there was nothing to do";
    assert_caught(&simulation(Twin::Broken), "O2 quiescence", &["controller sent 1", asks], "");
}

#[test]
fn who_waits_longer_passes() {
    assert_passes(&simulation(Twin::Correct));
}
