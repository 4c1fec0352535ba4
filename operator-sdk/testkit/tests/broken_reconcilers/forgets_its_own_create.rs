//! Creates a member of a generated name and notes the name in the status: if it dies in between, it creates another.
//!
//! So do many that create with `generateName`; client-go's controllers have expectations and owner references against it.

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
    /// Only to hear of members that come and go.
    _held: Cache<ConfigMap>,
    api: Api<Database>,
    members: Api<ConfigMap>,
}

impl Members {
    async fn reconcile(self: Arc<Self>, name: String) -> Outcome {
        let Some(database) = self.databases.get(&name) else { return Ok(None) };
        let noted = database.status.as_ref().and_then(|status| status.member.clone());
        if noted.is_some() && self.twin == Twin::Broken {
            return Ok(None);
        }
        let member = match self.made_before(&database).await? {
            Some(member) => member,
            None => {
                let metadata = database.child_of_any_name();
                let member = ConfigMap { metadata, ..ConfigMap::default() };
                self.members.create(&PostParams::default(), &member).await?
            }
        };
        if member.metadata.name == noted {
            return Ok(None);
        }
        let status = json!({"status": {"member": member.metadata.name}});
        self.api.patch_status(&name, &PatchParams::default(), &Patch::Merge(status)).await?;
        Ok(None)
    }

    /// A member that this controller made and did not come to note.
    async fn made_before(&self, database: &Database) -> kube::Result<Option<ConfigMap>> {
        if self.twin == Twin::Broken {
            return Ok(None);
        }
        let members = self.members.list(&ListParams::default()).await?;
        Ok(members.items.into_iter().find(|member| is_of(&member.metadata, database)))
    }
}

async fn run(environment: Environment, twin: Twin) -> Result<(), String> {
    let mut controller = Controller::new(&environment);
    let api = Api::default_namespaced(controller.client.clone());
    let members = Api::default_namespaced(controller.client.clone());
    let this =
        Arc::new(Members { twin, databases: controller.namespaced(), _held: controller.namespaced(), api, members });
    controller.reconcile(move |name| Arc::clone(&this).reconcile(name)).await
}

fn simulation(twin: Twin) -> Simulation {
    collected_world(move |environment| run(environment, twin)).with(database(json!({"members": 1})))
}

#[test]
fn who_does_not_recognise_what_it_created_is_caught() {
    let twice = "configmaps/default/a-* was created 2 times, and 1 times if nothing goes wrong";
    assert_caught(&simulation(Twin::Broken), "O3 summary", &[twice], "crash_after");
}

#[test]
fn who_looks_for_what_it_created_passes() {
    assert_passes(&simulation(Twin::Correct));
}
