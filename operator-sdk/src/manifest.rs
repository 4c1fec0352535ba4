//! What an installation consists of, from the operator's own code: namespace, identity, rights, and two replicas of it.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, DeploymentSpec},
        coordination::v1::Lease,
        core::v1::{
            Capabilities, Container, ContainerPort, EnvVar, EnvVarSource, HTTPGetAction, Namespace,
            ObjectFieldSelector, PodSecurityContext, PodSpec, PodTemplateSpec, Probe, ResourceRequirements,
            SeccompProfile, SecurityContext, ServiceAccount, TopologySpreadConstraint,
        },
        policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec},
        rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject},
    },
    apimachinery::pkg::{
        api::resource::Quantity,
        apis::meta::v1::{LabelSelector, ObjectMeta},
        util::intstr::IntOrString,
    },
};
use serde_json::Value;

use crate::permission::{Permission, Verb, rules};

const RBAC_GROUP: &str = "rbac.authorization.k8s.io";
const USER_ID: i64 = 65532;
const ADMIN_PORT: i32 = 8080;
const REPLICAS: i32 = 2;

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
}

/// All objects in the order in which they are to be applied; the CustomResourceDefinitions are separate.
///
/// # Errors
/// If an object cannot be encoded, which no input causes.
pub fn objects(installation: &Installation<'_>) -> Result<Vec<Value>, serde_json::Error> {
    Ok(vec![
        serde_json::to_value(namespace(installation))?,
        serde_json::to_value(service_account(installation))?,
        serde_json::to_value(cluster_role(installation))?,
        serde_json::to_value(cluster_role_binding(installation))?,
        serde_json::to_value(role(installation))?,
        serde_json::to_value(role_binding(installation))?,
        serde_json::to_value(deployment(installation))?,
        serde_json::to_value(disruption_budget(installation))?,
    ])
}

/// What the election asks of the API server: everything only on the operator's own Lease, but for its creation, which
/// RBAC cannot limit by name.
pub fn lease_permissions() -> [Permission; 5] {
    [Verb::Create, Verb::Get, Verb::List, Verb::Watch, Verb::Update].map(Permission::of::<Lease>)
}

fn labels(installation: &Installation<'_>) -> BTreeMap<String, String> {
    BTreeMap::from([("app.kubernetes.io/name".to_owned(), installation.name.to_owned())])
}

fn selector(installation: &Installation<'_>) -> LabelSelector {
    LabelSelector { match_labels: Some(labels(installation)), ..LabelSelector::default() }
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

fn deployment(installation: &Installation<'_>) -> Deployment {
    Deployment {
        metadata: metadata(installation),
        spec: DeploymentSpec {
            replicas: Some(REPLICAS),
            selector: selector(installation),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta { labels: Some(labels(installation)), ..ObjectMeta::default() }),
                spec: Some(pod(installation)),
            },
            ..DeploymentSpec::default()
        },
        ..Deployment::default()
    }
}

fn pod(installation: &Installation<'_>) -> PodSpec {
    PodSpec {
        service_account_name: Some(installation.name.to_owned()),
        automount_service_account_token: Some(true),
        containers: vec![container(installation)],
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            run_as_user: Some(USER_ID),
            run_as_group: Some(USER_ID),
            seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".to_owned(), ..SeccompProfile::default() }),
            ..PodSecurityContext::default()
        }),
        topology_spread_constraints: Some(vec![TopologySpreadConstraint {
            max_skew: 1,
            topology_key: "kubernetes.io/hostname".to_owned(),
            when_unsatisfiable: "ScheduleAnyway".to_owned(),
            label_selector: Some(selector(installation)),
            ..TopologySpreadConstraint::default()
        }]),
        // Longer than the drain of running reconciles and the release of the lease together.
        termination_grace_period_seconds: Some(30),
        ..PodSpec::default()
    }
}

fn container(installation: &Installation<'_>) -> Container {
    let field = |name: &str, path: &str| EnvVar {
        name: name.to_owned(),
        value_from: Some(EnvVarSource {
            field_ref: Some(ObjectFieldSelector { field_path: path.to_owned(), ..ObjectFieldSelector::default() }),
            ..EnvVarSource::default()
        }),
        ..EnvVar::default()
    };
    let quantities = |cpu: &str, memory: &str| {
        let pair = |name: &str, value: &str| (name.to_owned(), Quantity(value.to_owned()));
        BTreeMap::from([pair("cpu", cpu), pair("memory", memory)])
    };
    Container {
        name: "operator".to_owned(),
        image: Some(installation.image.to_owned()),
        args: Some(vec![
            "run".to_owned(),
            format!("--admin-address=0.0.0.0:{ADMIN_PORT}"),
            "--log-format=json".to_owned(),
        ]),
        env: Some(vec![field("POD_NAME", "metadata.name"), field("POD_NAMESPACE", "metadata.namespace")]),
        ports: Some(vec![ContainerPort {
            name: Some("admin".to_owned()),
            container_port: ADMIN_PORT,
            ..ContainerPort::default()
        }]),
        liveness_probe: Some(probe("/livez", 10)),
        readiness_probe: Some(probe("/readyz", 2)),
        resources: Some(ResourceRequirements {
            requests: Some(quantities("20m", "32Mi")),
            limits: Some(quantities("1", "256Mi")),
            ..ResourceRequirements::default()
        }),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            read_only_root_filesystem: Some(true),
            capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), ..Capabilities::default() }),
            ..SecurityContext::default()
        }),
        ..Container::default()
    }
}

fn probe(path: &str, period_seconds: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String("admin".to_owned()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period_seconds),
        ..Probe::default()
    }
}

fn disruption_budget(installation: &Installation<'_>) -> PodDisruptionBudget {
    PodDisruptionBudget {
        metadata: metadata(installation),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(selector(installation)),
            ..PodDisruptionBudgetSpec::default()
        }),
        ..PodDisruptionBudget::default()
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

    fn rendered() -> Vec<Value> {
        objects(&Installation { name: "hello", namespace: "system", image: "example.com/hello:1", permissions: &[] })
            .unwrap()
    }

    #[test]
    fn the_pod_meets_the_restricted_standard() {
        let objects = rendered();
        let deployment = objects.iter().find(|object| object["kind"] == "Deployment").unwrap();
        let pod = &deployment["spec"]["template"]["spec"];
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
        assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
        let context = &pod["containers"][0]["securityContext"];
        assert_eq!(context["allowPrivilegeEscalation"], false);
        assert_eq!(context["readOnlyRootFilesystem"], true);
        assert_eq!(context["capabilities"]["drop"], json!(["ALL"]));
        assert_eq!(pod.get("hostNetwork"), None);
        assert_eq!(deployment["spec"]["replicas"], 2);
    }

    #[test]
    fn only_the_own_lease_may_be_touched() {
        let objects = rendered();
        let role = objects.iter().find(|object| object["kind"] == "Role").unwrap();
        for rule in role["rules"].as_array().unwrap() {
            let is_create = rule["verbs"] == json!(["create"]);
            assert!(is_create || rule["resourceNames"] == json!(["hello"]), "{rule}");
        }
    }
}
