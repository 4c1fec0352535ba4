//! What controllers of members have at hand: Databases and members as they were last heard of, and ways to write both.

use std::sync::Arc;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use operator_testkit::simulation::{Environment, Simulation};
use serde_json::{Value, json};

use crate::{
    controller::{Cache, Controller, Outcome},
    judge::{Twin, collected_world},
    model::Database,
};

pub(crate) struct Members {
    pub(crate) databases: Cache<Database>,
    pub(crate) held: Cache<ConfigMap>,
    pub(crate) members: Api<ConfigMap>,
    api: Api<Database>,
}

impl Members {
    /// Writes into the status of a Database.
    pub(crate) async fn note(&self, name: &str, status: Value) -> kube::Result<()> {
        let patch = Patch::Merge(json!({"status": status}));
        self.api.patch_status(name, &PatchParams::default(), &patch).await.map(drop)
    }
}

/// Has a function look at each Database.
pub(crate) async fn run<F: Future<Output = Outcome>>(
    environment: Environment,
    reconcile: impl Fn(Arc<Members>, String) -> F,
) -> Result<(), String> {
    let mut controller = Controller::new(&environment);
    let api = Api::default_namespaced(controller.client.clone());
    let members = Api::default_namespaced(controller.client.clone());
    let this = Arc::new(Members { databases: controller.namespaced(), held: controller.namespaced(), members, api });
    controller.reconcile(move |name| reconcile(Arc::clone(&this), name)).await
}

/// A world in which one of two twins does, and somebody deletes what has lost its owner.
pub(crate) fn world<F>(twin: Twin, reconcile: fn(Arc<Members>, Twin, String) -> F) -> Simulation
where
    F: Future<Output = Outcome> + Send + 'static,
{
    collected_world(move |environment| run(environment, move |members, name| reconcile(members, twin, name)))
}
