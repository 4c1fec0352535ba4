//! Lets a Database go before what stands outside its namespace is deleted: no owner reference brings that down.
//!
//! So did operators with ClusterRoles, PersistentVolumes and buckets: the finalizer goes first, and then comes a crash.

use std::sync::Arc;

use k8s_openapi::api::rbac::v1::ClusterRole;
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions},
};
use operator_testkit::simulation::{Environment, Simulation, delete};
use serde_json::{Value, json};

use crate::{
    controller::{Cache, Controller, Lists, Outcome},
    judge::{Twin, assert_caught, assert_passes, world},
    model::{Database, FINALIZER, database},
};

struct Roles {
    twin: Twin,
    databases: Cache<Database>,
    held: Cache<ClusterRole>,
    api: Api<Database>,
    roles: Api<ClusterRole>,
}

impl Roles {
    async fn reconcile(self: Arc<Self>, name: String) -> Outcome {
        let Some(database) = self.databases.get(&name) else { return Ok(None) };
        let role = self.held.get(&format!("database-{name}"));
        let is_held = database.metadata.finalizers.iter().flatten().any(|held| held == FINALIZER);
        match (database.is_terminating(), role) {
            (true, role) if self.twin == Twin::Broken => {
                self.hold(&database, json!([])).await?;
                self.delete(role).await?;
            }
            (true, role) => {
                // A cache that lags does not show what is to be deleted.
                let role = self.roles.get_opt(&format!("database-{name}")).await?.or(role);
                self.delete(role).await?;
                self.hold(&database, json!([])).await?;
            }
            (false, _) if !is_held => self.hold(&database, json!([FINALIZER])).await?,
            (false, None) => {
                self.roles.create(&PostParams::default(), &database.role()).await?;
            }
            (false, Some(_)) => {}
        }
        Ok(None)
    }

    async fn hold(&self, database: &Database, finalizers: Value) -> kube::Result<()> {
        let (uid, version) = (&database.metadata.uid, &database.metadata.resource_version);
        let patch = json!({"metadata": {"finalizers": finalizers, "uid": uid, "resourceVersion": version}});
        self.api.patch(database.name(), &PatchParams::default(), &Patch::Merge(patch)).await.map(drop)
    }

    async fn delete(&self, role: Option<ClusterRole>) -> kube::Result<()> {
        let Some(role) = role else { return Ok(()) };
        let uid = Preconditions { uid: role.metadata.uid, resource_version: None };
        let name = role.metadata.name.unwrap_or_default();
        match self.roles.delete(&name, &DeleteParams::default().preconditions(uid)).await {
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            deleted => deleted.map(drop),
        }
    }
}

async fn run(environment: Environment, twin: Twin) -> Result<(), String> {
    let mut controller = Controller::new(&environment);
    let api = Api::default_namespaced(controller.client.clone());
    let roles = Api::all(controller.client.clone());
    let databases = controller.namespaced();
    let held = controller.follow(roles.clone(), Lists::Newest);
    let this = Arc::new(Roles { twin, databases, held, api, roles });
    controller.reconcile(move |name| Arc::clone(&this).reconcile(name)).await
}

fn simulation(twin: Twin) -> Simulation {
    let a = database(json!({"members": 0}));
    world(move |environment| run(environment, twin)).with(a.clone()).then(delete(a))
}

#[test]
fn what_is_left_outside_the_namespace_is_caught() {
    let left = "clusterroles//database-a: expected nothing, found";
    assert_caught(&simulation(Twin::Broken), "O1 convergence", &["step 2", left], "crash_after");
}

#[test]
fn who_holds_the_database_until_all_is_gone_passes() {
    assert_passes(&simulation(Twin::Correct));
}
