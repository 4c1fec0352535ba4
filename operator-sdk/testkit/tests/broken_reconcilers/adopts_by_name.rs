//! Takes what has the right name for its own: the claim of a Database that is gone becomes that of the next one.
//!
//! So did StatefulSets and operators on top of them, to which a volume of a former cluster came back (kubernetes#74374,
//! instaclustr/cassandra-operator#402).

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::{
    Api,
    api::{DeleteParams, PostParams, Preconditions},
};
use operator_testkit::simulation::{Environment, Simulation, delete};
use serde_json::json;

use crate::{
    controller::{Cache, Controller, Outcome},
    judge::{Cause, Twin, assert_caught, assert_passes, world},
    model::{Database, claim_name, database, is_of},
    people::RestoresDatabases,
};

struct Claims {
    twin: Twin,
    databases: Cache<Database>,
    held: Cache<PersistentVolumeClaim>,
    claims: Api<PersistentVolumeClaim>,
}

async fn run(environment: Environment, twin: Twin) -> Result<(), String> {
    let mut controller = Controller::new(environment);
    let claims = Api::default_namespaced(controller.client.clone());
    let this = Claims { twin, databases: controller.namespaced(), held: controller.namespaced(), claims };
    let this = Arc::new(this);
    controller.reconcile(move |name| Arc::clone(&this).reconcile(name)).await
}

impl Claims {
    async fn reconcile(self: Arc<Self>, name: String) -> Outcome {
        let wanted = self.databases.get(&name);
        if let Some(held) = self.held.get(&claim_name(&name)) {
            let is_wanted = match (&wanted, self.twin) {
                (None, _) => false,
                (Some(_), Twin::Broken) => true,
                (Some(database), Twin::Correct) => is_of(&held.metadata, database),
            };
            if is_wanted {
                return Ok(None);
            }
            let uid = Preconditions { uid: held.metadata.uid.clone(), resource_version: None };
            self.claims.delete(&claim_name(&name), &DeleteParams::default().preconditions(uid)).await?;
        }
        if let Some(database) = wanted {
            self.claims.create(&PostParams::default(), &database.claim()).await?;
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
        &Cause {
            oracle: "O1 convergence",
            says: &["persistentvolumeclaims/default/data-a: /metadata/ownerReferences/0/uid"],
            fault: "lost:",
        },
    );
}

#[test]
fn an_owner_that_is_known_by_its_uid_passes() {
    assert_passes(&simulation(Twin::Correct));
}
