//! What an installation consists of, from the operator's own code: namespace, identity, rights, and its pods.

mod workload;

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        coordination::v1::Lease,
        core::v1::{Namespace, ServiceAccount},
        rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use serde_json::Value;

use crate::permission::{Permission, Verb, rules};

const RBAC_GROUP: &str = "rbac.authorization.k8s.io";

/// What differs between installations.
#[derive(Clone, Debug)]
pub struct Installation<'a> {
    /// The operator's name; all objects carry it.
    pub name: &'a str,
    /// Where it runs.
    pub namespace: &'a str,
    /// The container image.
    pub image: &'a str,
    /// What the operator's code declares.
    pub permissions: &'a [Permission],
    /// Flags of the operator's own, for its container.
    pub flags: &'a [String],
    /// Whether one replica runs on every node of the control plane, or two run anywhere.
    pub is_on_control_plane: bool,
}

/// All objects in the order in which they are to be applied; the CustomResourceDefinitions are separate.
///
/// # Errors
/// If an object cannot be encoded, which no input causes.
pub fn objects(installation: &Installation<'_>) -> Result<Vec<Value>, serde_json::Error> {
    let mut objects = vec![
        serde_json::to_value(namespace(installation))?,
        serde_json::to_value(service_account(installation))?,
        serde_json::to_value(cluster_role(installation))?,
        serde_json::to_value(cluster_role_binding(installation))?,
        serde_json::to_value(role(installation))?,
        serde_json::to_value(role_binding(installation))?,
    ];
    if installation.is_on_control_plane {
        objects.push(serde_json::to_value(workload::daemon_set(installation))?);
    } else {
        objects.push(serde_json::to_value(workload::deployment(installation))?);
        objects.push(serde_json::to_value(workload::disruption_budget(installation))?);
    }
    Ok(objects)
}

/// What the election asks of the API server: everything only on the operator's own Lease, but for its creation, which
/// RBAC cannot limit by name.
pub fn lease_permissions() -> [Permission; 5] {
    [Verb::Create, Verb::Get, Verb::List, Verb::Watch, Verb::Update].map(Permission::of::<Lease>)
}

fn labels(installation: &Installation<'_>) -> BTreeMap<String, String> {
    BTreeMap::from([("app.kubernetes.io/name".to_owned(), installation.name.to_owned())])
}

fn metadata(installation: &Installation<'_>) -> ObjectMeta {
    ObjectMeta {
        name: Some(installation.name.to_owned()),
        namespace: Some(installation.namespace.to_owned()),
        labels: Some(labels(installation)),
        ..ObjectMeta::default()
    }
}

fn cluster_metadata(installation: &Installation<'_>) -> ObjectMeta {
    ObjectMeta { namespace: None, ..metadata(installation) }
}

fn namespace(installation: &Installation<'_>) -> Namespace {
    let restricted = |mode: &str| (format!("pod-security.kubernetes.io/{mode}"), "restricted".to_owned());
    Namespace {
        metadata: ObjectMeta {
            name: Some(installation.namespace.to_owned()),
            labels: Some(["enforce", "audit", "warn"].into_iter().map(restricted).collect()),
            ..ObjectMeta::default()
        },
        ..Namespace::default()
    }
}

fn service_account(installation: &Installation<'_>) -> ServiceAccount {
    ServiceAccount {
        metadata: metadata(installation),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}

fn cluster_role(installation: &Installation<'_>) -> ClusterRole {
    ClusterRole {
        metadata: cluster_metadata(installation),
        rules: Some(rules(installation.permissions)),
        ..ClusterRole::default()
    }
}

fn cluster_role_binding(installation: &Installation<'_>) -> ClusterRoleBinding {
    ClusterRoleBinding {
        metadata: cluster_metadata(installation),
        role_ref: role_ref("ClusterRole", installation),
        subjects: Some(vec![subject(installation)]),
    }
}

fn role(installation: &Installation<'_>) -> Role {
    let rules = lease_permissions().into_iter().map(|permission| PolicyRule {
        resource_names: (permission.verb != Verb::Create).then(|| vec![installation.name.to_owned()]),
        api_groups: Some(vec![permission.group]),
        resources: Some(vec![permission.resource]),
        verbs: vec![permission.verb.to_string()],
        ..PolicyRule::default()
    });
    let mut merged: Vec<PolicyRule> = Vec::new();
    for rule in rules {
        match merged.iter_mut().find(|held| held.resource_names == rule.resource_names) {
            Some(held) => held.verbs.extend(rule.verbs),
            None => merged.push(rule),
        }
    }
    Role { metadata: metadata(installation), rules: Some(merged) }
}

fn role_binding(installation: &Installation<'_>) -> RoleBinding {
    RoleBinding {
        metadata: metadata(installation),
        role_ref: role_ref("Role", installation),
        subjects: Some(vec![subject(installation)]),
    }
}

fn role_ref(kind: &str, installation: &Installation<'_>) -> RoleRef {
    RoleRef { api_group: Some(RBAC_GROUP.to_owned()), kind: kind.to_owned(), name: installation.name.to_owned() }
}

fn subject(installation: &Installation<'_>) -> Subject {
    Subject {
        kind: "ServiceAccount".to_owned(),
        name: installation.name.to_owned(),
        namespace: Some(installation.namespace.to_owned()),
        ..Subject::default()
    }
}

/// Many objects as one YAML stream.
///
/// # Errors
/// If an object cannot be written as YAML.
pub fn yaml_stream(objects: &[Value]) -> Result<String, serde_saphyr::ser::Error> {
    let mut text = String::new();
    for object in objects {
        text.push_str("---\n");
        text.push_str(&serde_saphyr::to_string(object)?);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rendered(is_on_control_plane: bool) -> Vec<Value> {
        let installation = Installation {
            name: "hello",
            namespace: "system",
            image: "example.com/hello:1",
            permissions: &[],
            flags: &["--mode=two".to_owned()],
            is_on_control_plane,
        };
        objects(&installation).unwrap()
    }

    fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Option<&'a Value> {
        objects.iter().find(|object| object["kind"] == kind)
    }

    #[test]
    fn the_pod_meets_the_restricted_standard_and_is_told_the_flags() {
        for (is_on_control_plane, kind) in [(false, "Deployment"), (true, "DaemonSet")] {
            let objects = rendered(is_on_control_plane);
            let pod = &of_kind(&objects, kind).unwrap()["spec"]["template"]["spec"];
            assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
            assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
            let container = &pod["containers"][0];
            let context = &container["securityContext"];
            assert_eq!(context["allowPrivilegeEscalation"], false);
            assert_eq!(context["readOnlyRootFilesystem"], true);
            assert_eq!(context["capabilities"]["drop"], json!(["ALL"]));
            assert_eq!(pod.get("hostNetwork"), None);
            assert!(container["args"].as_array().unwrap().contains(&json!("--mode=two")), "{container}");
        }
    }

    #[test]
    fn two_replicas_run_anywhere_and_one_of_them_may_be_disrupted() {
        let objects = rendered(false);
        assert_eq!(of_kind(&objects, "Deployment").unwrap()["spec"]["replicas"], 2);
        assert_eq!(of_kind(&objects, "PodDisruptionBudget").unwrap()["spec"]["maxUnavailable"], 1);
    }

    #[test]
    fn a_part_of_the_control_plane_runs_on_its_nodes_alone() {
        let objects = rendered(true);
        let label = "node-role.kubernetes.io/control-plane";
        let pod = &of_kind(&objects, "DaemonSet").unwrap()["spec"]["template"]["spec"];
        assert_eq!(pod["nodeSelector"], json!({label: ""}));
        assert_eq!(pod["tolerations"][0]["key"], label);
        // A drain leaves DaemonSets alone, so that a budget would be of no use.
        assert!(of_kind(&objects, "Deployment").is_none() && of_kind(&objects, "PodDisruptionBudget").is_none());
    }

    #[test]
    fn only_the_own_lease_may_be_touched() {
        let objects = rendered(false);
        for rule in of_kind(&objects, "Role").unwrap()["rules"].as_array().unwrap() {
            let is_create = rule["verbs"] == json!(["create"]);
            assert!(is_create || rule["resourceNames"] == json!(["hello"]), "{rule}");
        }
    }
}
