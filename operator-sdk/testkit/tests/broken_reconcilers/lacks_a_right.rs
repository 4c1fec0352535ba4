//! May not do what it does only if something has gone wrong: nobody notices until it does.
//!
//! So did controller-manager roles and operators' charts: the right for a rare path is missing from what is shipped.

use std::sync::Arc;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, api::PostParams};
use operator_testkit::{
    actor::GarbageCollector,
    request::User,
    simulation::{Manifest, Simulation},
};
use serde_json::json;

use crate::{
    controller::Outcome,
    judge::{Twin, assert_caught, assert_passes, empty_world},
    members::{self, Members},
    model::{Database, database, is_of},
};

async fn reconcile(this: Arc<Members>, name: String) -> Outcome {
    let Some(database) = this.databases.get(&name) else { return Ok(None) };
    for name in database.member_names() {
        if this.held.get(&name).is_none() {
            create(&this.members, &database, &name).await?;
        }
    }
    Ok(None)
}

async fn create(members: &Api<ConfigMap>, database: &Database, name: &str) -> kube::Result<()> {
    match members.create(&PostParams::default(), &database.member(name)).await {
        Err(kube::Error::Api(status)) if status.is_already_exists() => {
            // An answer was lost, and it is ours; or it is another's.
            let held = members.get(name).await?;
            if is_of(&held.metadata, database) { Ok(()) } else { Err(kube::Error::Api(status)) }
        }
        created => created.map(drop),
    }
}

/// What is installed for it.
fn rights(twin: Twin) -> Manifest {
    let api_version = "rbac.authorization.k8s.io/v1";
    let verbs: &[&str] =
        if twin == Twin::Broken { &["list", "watch", "create"] } else { &["get", "list", "watch", "create"] };
    let role = json!({"apiVersion": api_version, "kind": "ClusterRole", "metadata": {"name": "controller"}, "rules": [
        {"apiGroups": ["judges.operator-lite.dev"], "resources": ["databases"], "verbs": ["list", "watch"]},
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": verbs},
    ]});
    let binding = json!({
        "apiVersion": api_version, "kind": "ClusterRoleBinding", "metadata": {"name": "controller"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "controller"},
        "subjects": [{"kind": "ServiceAccount", "namespace": "default", "name": "controller"}],
    });
    [role, binding].into_iter().collect()
}

fn simulation(twin: Twin) -> Simulation {
    empty_world()
        .installed(rights(twin))
        .process("controller", User::service_account("default", "controller"), |environment| {
            members::run(environment, reconcile)
        })
        .actor(GarbageCollector::default())
        .with(database(json!({"members": 1})))
}

#[test]
fn a_right_that_only_a_rare_path_needs_is_caught() {
    let refused = ["GET /api/v1/namespaces/default/configmaps/a-0 → 403", "cannot get resource \"configmaps\""];
    assert_caught(&simulation(Twin::Broken), "O5 answers", &refused, "partition:");
}

#[test]
fn who_has_all_rights_that_it_needs_passes() {
    assert_passes(&simulation(Twin::Correct));
}
