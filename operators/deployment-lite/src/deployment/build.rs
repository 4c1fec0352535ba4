//! The ReplicaSet of a template.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::apps::v1::{DeploymentSpec, ReplicaSet, ReplicaSetSpec},
    apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference},
};

use crate::api::HASH_LABEL;

/// The ReplicaSet for the template of this Deployment (D13, D16).
pub(super) fn replica_set(
    deployment: &ObjectMeta,
    spec: &DeploymentSpec,
    owner: OwnerReference,
    name: &str,
    hash: &str,
    replicas: i32,
) -> ReplicaSet {
    let mut template = spec.template.clone();
    let metadata = template.metadata.get_or_insert_with(ObjectMeta::default);
    let labels = with_hash(metadata.labels.take(), hash);
    metadata.labels = Some(labels.clone());
    let selector = LabelSelector {
        match_labels: Some(with_hash(spec.selector.match_labels.clone(), hash)),
        ..spec.selector.clone()
    };
    ReplicaSet {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            namespace: deployment.namespace.clone(),
            labels: Some(labels),
            owner_references: Some(vec![owner]),
            ..ObjectMeta::default()
        },
        spec: ReplicaSetSpec {
            replicas: Some(replicas),
            min_ready_seconds: spec.min_ready_seconds,
            selector,
            template: Some(template),
        },
        status: None,
    }
}

fn with_hash(labels: Option<BTreeMap<String, String>>, hash: &str) -> BTreeMap<String, String> {
    let mut labels = labels.unwrap_or_default();
    labels.insert(HASH_LABEL.to_owned(), hash.to_owned());
    labels
}
