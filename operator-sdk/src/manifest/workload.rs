//! The operator's pods: two replicas that run anywhere, or one on every node of the control plane.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::{DaemonSet, DaemonSetSpec, Deployment, DeploymentSpec},
        core::v1::{
            Capabilities, Container, ContainerPort, EnvVar, EnvVarSource, HTTPGetAction, ObjectFieldSelector,
            PodSecurityContext, PodSpec, PodTemplateSpec, Probe, ResourceRequirements, SeccompProfile, SecurityContext,
            Toleration, TopologySpreadConstraint,
        },
        policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec},
    },
    apimachinery::pkg::{
        api::resource::Quantity,
        apis::meta::v1::{LabelSelector, ObjectMeta},
        util::intstr::IntOrString,
    },
};

use super::{Installation, labels, metadata};

const USER_ID: i64 = 65532;
const ADMIN_PORT: i32 = 8080;
const REPLICAS: i32 = 2;
/// The label of the control plane's nodes, and the taint that keeps other pods away.
const CONTROL_PLANE: &str = "node-role.kubernetes.io/control-plane";

pub(super) fn deployment(installation: &Installation<'_>) -> Deployment {
    Deployment {
        metadata: metadata(installation),
        spec: DeploymentSpec {
            replicas: Some(REPLICAS),
            selector: selector(installation),
            template: template(
                installation,
                PodSpec { topology_spread_constraints: Some(vec![spread(installation)]), ..pod(installation) },
            ),
            ..DeploymentSpec::default()
        },
        ..Deployment::default()
    }
}

pub(super) fn disruption_budget(installation: &Installation<'_>) -> PodDisruptionBudget {
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

/// Where no Deployment can start it, since it may be what drives Deployments.
pub(super) fn daemon_set(installation: &Installation<'_>) -> DaemonSet {
    let toleration = Toleration {
        key: Some(CONTROL_PLANE.to_owned()),
        operator: Some("Exists".to_owned()),
        effect: Some("NoSchedule".to_owned()),
        ..Toleration::default()
    };
    let pod = PodSpec {
        node_selector: Some([(CONTROL_PLANE.to_owned(), String::new())].into()),
        tolerations: Some(vec![toleration]),
        priority_class_name: Some("system-cluster-critical".to_owned()),
        ..pod(installation)
    };
    DaemonSet {
        metadata: metadata(installation),
        spec: DaemonSetSpec {
            selector: selector(installation),
            template: template(installation, pod),
            ..DaemonSetSpec::default()
        },
        ..DaemonSet::default()
    }
}

fn selector(installation: &Installation<'_>) -> LabelSelector {
    LabelSelector { match_labels: Some(labels(installation)), ..LabelSelector::default() }
}

fn template(installation: &Installation<'_>, pod: PodSpec) -> PodTemplateSpec {
    PodTemplateSpec {
        metadata: Some(ObjectMeta { labels: Some(labels(installation)), ..ObjectMeta::default() }),
        spec: Some(pod),
    }
}

fn spread(installation: &Installation<'_>) -> TopologySpreadConstraint {
    TopologySpreadConstraint {
        max_skew: 1,
        topology_key: "kubernetes.io/hostname".to_owned(),
        when_unsatisfiable: "ScheduleAnyway".to_owned(),
        label_selector: Some(selector(installation)),
        ..TopologySpreadConstraint::default()
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
    let mut arguments =
        vec!["run".to_owned(), format!("--admin-address=0.0.0.0:{ADMIN_PORT}"), "--log-format=json".to_owned()];
    arguments.extend_from_slice(installation.flags);
    Container {
        name: "operator".to_owned(),
        image: Some(installation.image.to_owned()),
        args: Some(arguments),
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
