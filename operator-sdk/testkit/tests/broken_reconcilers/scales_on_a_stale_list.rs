//! Counts members in a cache that does not show yet what it has just created, and creates more.
//!
//! So did Kubernetes' own ReplicationManager before it had expectations, and pravega/zookeeper-operator (#314).

use std::sync::Arc;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api,
    api::{ListParams, Patch, PatchParams, PostParams},
};
use operator_testkit::simulation::{Environment, Simulation};
use serde_json::json;

use crate::{
    controller::{Cache, Controller, Outcome},
    judge::{Twin, assert_caught, assert_passes, collected_world},
    model::{Database, database, is_of},
};

struct Members {
    twin: Twin,
    databases: Cache<Database>,
    held: Cache<ConfigMap>,
    api: Api<Database>,
    members: Api<ConfigMap>,
}

impl Members {
    async fn reconcile(self: Arc<Self>, name: String) -> Outcome {
        let Some(database) = self.databases.get(&name) else { return Ok(None) };
        let held = match self.twin {
            Twin::Broken => self.held.list(),
            Twin::Correct => self.members.list(&ListParams::default()).await?.items,
        };
        let count = held.iter().filter(|member| is_of(&member.metadata, &database)).count();
        for _ in count..database.spec.members {
            let member = ConfigMap { metadata: database.child_of_any_name(), ..ConfigMap::default() };
            self.members.create(&PostParams::default(), &member).await?;
        }
        if database.status.and_then(|status| status.members) != Some(database.spec.members) {
            let status = json!({"status": {"members": database.spec.members}});
            self.api.patch_status(&name, &PatchParams::default(), &Patch::Merge(status)).await?;
        }
        Ok(None)
    }
}

async fn run(environment: Environment, twin: Twin) -> Result<(), String> {
    let mut controller = Controller::new(&environment);
    let api = Api::default_namespaced(controller.client.clone());
    let members = Api::default_namespaced(controller.client.clone());
    let (databases, held) = (controller.namespaced(), controller.namespaced());
    let this = Arc::new(Members { twin, databases, held, api, members });
    controller.reconcile(move |name| Arc::clone(&this).reconcile(name)).await
}

fn simulation(twin: Twin) -> Simulation {
    collected_world(move |environment| run(environment, twin)).with(database(json!({"members": 2})))
}

#[test]
fn who_counts_in_a_cache_that_lags_is_caught() {
    let more = "configmaps/default/a-* was created 4 times, and 2 times if nothing goes wrong";
    assert_caught(&simulation(Twin::Broken), "O3 summary", &[more], "watch_delay");
}

#[test]
fn who_counts_what_the_server_has_passes() {
    assert_passes(&simulation(Twin::Correct));
}
