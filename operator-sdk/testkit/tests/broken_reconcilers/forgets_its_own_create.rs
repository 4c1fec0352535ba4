//! Creates a member of a generated name and notes the name in the status: if it dies in between, it creates another.
//!
//! So do many that create with `generateName`; client-go's controllers have expectations and owner references against it.

use std::sync::Arc;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ListParams, PostParams};
use operator_testkit::simulation::Simulation;
use serde_json::json;

use crate::{
    controller::Outcome,
    judge::{Twin, assert_caught, assert_passes},
    members::{self, Members},
    model::{Database, database, is_of},
};

async fn reconcile(this: Arc<Members>, twin: Twin, name: String) -> Outcome {
    let Some(database) = this.databases.get(&name) else { return Ok(None) };
    let noted = database.status.as_ref().and_then(|status| status.member.clone());
    if noted.is_some() && twin == Twin::Broken {
        return Ok(None);
    }
    let made_before = match twin {
        Twin::Broken => None,
        Twin::Correct => made_before(&this, &database).await?,
    };
    let member = match made_before {
        Some(member) => member,
        None => {
            let member = ConfigMap { metadata: database.child_of_any_name(), ..ConfigMap::default() };
            this.members.create(&PostParams::default(), &member).await?
        }
    };
    if member.metadata.name != noted {
        this.note(&name, json!({"member": member.metadata.name})).await?;
    }
    Ok(None)
}

/// A member that this controller made and did not come to note.
async fn made_before(this: &Members, database: &Database) -> kube::Result<Option<ConfigMap>> {
    let members = this.members.list(&ListParams::default()).await?;
    Ok(members.items.into_iter().find(|member| is_of(&member.metadata, database)))
}

fn simulation(twin: Twin) -> Simulation {
    members::world(twin, reconcile).with(database(json!({"members": 1})))
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
