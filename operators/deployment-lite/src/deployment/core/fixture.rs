//! Objects for tests, as short as they can be said.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{Container, PodSpec, PodTemplateSpec},
    apimachinery::pkg::{
        apis::meta::v1::{LabelSelector, ObjectMeta, Time},
        util::intstr::IntOrString,
    },
};
use operator_sdk::plan::Plan;

use crate::{
    api::{
        LiteDeployment, LiteDeploymentSpec, LiteReplicaSet, LiteReplicaSetSpec, LiteReplicaSetStatus, RollingUpdate,
        Strategy, StrategyType,
    },
    deployment::{Observed, Step},
};

const IMAGE: &str = "web:2";

fn template(image: &str) -> PodTemplateSpec {
    PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some([("app".to_owned(), "web".to_owned())].into()),
            ..ObjectMeta::default()
        }),
        spec: Some(PodSpec {
            containers: vec![Container {
                name: "web".to_owned(),
                image: Some(image.to_owned()),
                ..Container::default()
            }],
            ..PodSpec::default()
        }),
    }
}

fn amount(text: &str) -> IntOrString {
    text.parse().map_or_else(|_| IntOrString::String(text.to_owned()), IntOrString::Int)
}

/// A LiteDeployment of the template that all fixtures take for the present one.
pub(crate) fn deployment(replicas: i32, surge: &str, unavailable: &str) -> LiteDeployment {
    let mut deployment = LiteDeployment::new(
        "web",
        LiteDeploymentSpec {
            replicas,
            selector: LabelSelector::default(),
            template: template(IMAGE),
            strategy: Strategy {
                r#type: StrategyType::RollingUpdate,
                rolling_update: RollingUpdate { max_surge: amount(surge), max_unavailable: amount(unavailable) },
            },
            revision_history_limit: 10,
        },
    );
    deployment.metadata.uid = Some("deployment".to_owned());
    deployment.metadata.generation = Some(1);
    deployment
}

/// A LiteReplicaSet of any template, with as many pods as are ready.
pub(crate) fn replica_set(_: &LiteDeployment, name: &str, image: &str, replicas: i32, ready: i32) -> LiteReplicaSet {
    let mut set = LiteReplicaSet::new(
        name,
        LiteReplicaSetSpec { replicas, selector: LabelSelector::default(), template: template(image) },
    );
    set.metadata.uid = Some(name.to_owned());
    set.metadata.resource_version = Some("1".to_owned());
    set.metadata.generation = Some(1);
    set.metadata.creation_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
    set.status = Some(LiteReplicaSetStatus {
        observed_generation: 1,
        replicas: ready,
        ready_replicas: ready,
        available_replicas: ready,
        selector: String::new(),
    });
    set
}

/// The LiteReplicaSet of the present template, all its pods ready.
pub(crate) fn ready_set(deployment: &LiteDeployment, name: &str, replicas: i32) -> LiteReplicaSet {
    let image = if name == "old" { "web:1" } else { IMAGE };
    replica_set(deployment, name, image, replicas, replicas)
}

/// The same, before its controller has looked at its latest size.
pub(crate) fn unseen(mut set: LiteReplicaSet) -> LiteReplicaSet {
    set.metadata.generation = Some(2);
    set
}

pub(crate) fn observed(deployment: &LiteDeployment, sets: Vec<LiteReplicaSet>) -> Observed {
    let sets = sets.into_iter().map(Arc::new).collect();
    Observed::new(Arc::new(deployment.clone()), sets, Timestamp::UNIX_EPOCH)
}

/// Names and new sizes of what a plan creates or scales.
pub(crate) fn sizes(plan: &Plan<Step>) -> Vec<(String, i32)> {
    let size = |step: &Step| match step {
        Step::CreateReplicaSet { name, replicas, .. } => (name.clone(), *replicas),
        Step::ScaleReplicaSet { target, to, .. } => (target.key.name.clone(), *to),
        Step::DeleteReplicaSet { target } => (target.key.name.clone(), -1),
    };
    plan.steps().map(|planned| size(&planned.step)).collect()
}
