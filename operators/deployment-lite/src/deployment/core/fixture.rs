//! Objects for tests, as short as they can be said.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::{
    api::{
        apps::v1::{
            Deployment, DeploymentSpec, DeploymentStrategy, ReplicaSet, ReplicaSetSpec, ReplicaSetStatus,
            RollingUpdateDeployment,
        },
        core::v1::{Container, PodSpec, PodTemplateSpec},
    },
    apimachinery::pkg::{
        apis::meta::v1::{LabelSelector, ObjectMeta, Time},
        util::intstr::IntOrString,
    },
};
use operator_sdk::plan::Plan;

use super::annotation::{DESIRED_REPLICAS, MAX_REPLICAS, REVISION, sizes};
use crate::deployment::{
    Observed, Step,
    observed::{Candidate, Candidates},
};

const IMAGE: &str = "web:2";

fn labels() -> BTreeMap<String, String> {
    [("app".to_owned(), "web".to_owned())].into()
}

fn template(image: &str) -> PodTemplateSpec {
    PodTemplateSpec {
        metadata: Some(ObjectMeta { labels: Some(labels()), ..ObjectMeta::default() }),
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

/// A Deployment of the template that all fixtures take for the present one.
pub(crate) fn deployment(replicas: i32, surge: &str, unavailable: &str) -> Deployment {
    Deployment {
        metadata: ObjectMeta {
            name: Some("web".to_owned()),
            uid: Some("deployment".to_owned()),
            resource_version: Some("1".to_owned()),
            generation: Some(1),
            ..ObjectMeta::default()
        },
        spec: DeploymentSpec {
            selector: LabelSelector { match_labels: Some(labels()), ..LabelSelector::default() },
            replicas: Some(replicas),
            template: template(IMAGE),
            strategy: Some(DeploymentStrategy {
                type_: Some("RollingUpdate".to_owned()),
                rolling_update: Some(RollingUpdateDeployment {
                    max_surge: Some(amount(surge)),
                    max_unavailable: Some(amount(unavailable)),
                }),
            }),
            ..DeploymentSpec::default()
        },
        status: None,
    }
}

/// A ReplicaSet of any template, with as many pods as are ready.
pub(crate) fn replica_set(_: &Deployment, name: &str, image: &str, replicas: i32, ready: i32) -> ReplicaSet {
    ReplicaSet {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            uid: Some(name.to_owned()),
            labels: Some(labels()),
            resource_version: Some("1".to_owned()),
            generation: Some(1),
            creation_timestamp: Some(Time(Timestamp::UNIX_EPOCH)),
            ..ObjectMeta::default()
        },
        spec: ReplicaSetSpec { replicas: Some(replicas), template: Some(template(image)), ..ReplicaSetSpec::default() },
        status: Some(ReplicaSetStatus {
            observed_generation: Some(1),
            replicas: ready,
            ready_replicas: Some(ready),
            available_replicas: Some(ready),
            ..ReplicaSetStatus::default()
        }),
    }
}

/// The ReplicaSet of the present template, all its pods ready.
pub(crate) fn ready_set(deployment: &Deployment, name: &str, replicas: i32) -> ReplicaSet {
    let image = if name == "old" { "web:1" } else { IMAGE };
    replica_set(deployment, name, image, replicas, replicas)
}

/// The same, before its controller has looked at its latest size.
pub(crate) fn unseen(mut set: ReplicaSet) -> ReplicaSet {
    set.metadata.generation = Some(2);
    set
}

/// The same, saying this besides.
pub(crate) fn annotated(mut set: ReplicaSet, annotations: &[(&str, &str)]) -> ReplicaSet {
    let annotations = annotations.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    set.metadata.annotations.get_or_insert_default().extend(annotations);
    set
}

/// The same, saying of its revision and of the size of its Deployment what it should.
pub(crate) fn settled(deployment: &Deployment, set: ReplicaSet, revision: &str) -> ReplicaSet {
    let mut set = annotated(set, &[(REVISION, revision)]);
    set.metadata.annotations.get_or_insert_default().extend(sizes(&observed(deployment, vec![])));
    set
}

/// The same, scaled last when its Deployment had these sizes.
pub(crate) fn scaled_at(set: ReplicaSet, desired: i32, max: i32) -> ReplicaSet {
    annotated(set, &[(DESIRED_REPLICAS, &desired.to_string()), (MAX_REPLICAS, &max.to_string())])
}

pub(crate) fn observed(deployment: &Deployment, sets: Vec<ReplicaSet>) -> Observed {
    let owned = sets
        .into_iter()
        .map(|set| Candidate { has_running_pods: set.status.as_ref().is_some_and(|status| status.replicas > 0), set });
    let candidates = Candidates { owned: owned.collect(), orphans: Vec::new() };
    Observed::new(deployment.clone(), candidates, Timestamp::UNIX_EPOCH)
}

/// Names and new sizes of what a plan creates or scales.
pub(crate) fn sizes_of(plan: &Plan<Step>) -> Vec<(String, i32)> {
    let size = |step: &Step| match step {
        Step::CreateReplicaSet { name, replicas, .. } => Some((name.clone(), *replicas)),
        Step::ScaleReplicaSet { target, to, .. } => Some((target.key.name.clone(), *to)),
        _ => None,
    };
    plan.steps().filter_map(|planned| size(&planned.step)).collect()
}
