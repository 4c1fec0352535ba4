//! The LiteReplicaSet of a template.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference};

use crate::api::{HASH_LABEL, LiteDeployment, LiteReplicaSet, LiteReplicaSetSpec};

/// The LiteReplicaSet for the present template of `deployment`.
pub(super) fn replica_set(
    deployment: &LiteDeployment,
    owner: OwnerReference,
    name: &str,
    hash: &str,
    replicas: i32,
) -> LiteReplicaSet {
    let mut template = deployment.spec.template.clone();
    let metadata = template.metadata.get_or_insert_with(ObjectMeta::default);
    let labels = with_hash(metadata.labels.take(), hash);
    metadata.labels = Some(labels.clone());
    let selector = LabelSelector {
        match_labels: Some(with_hash(deployment.spec.selector.match_labels.clone(), hash)),
        ..deployment.spec.selector.clone()
    };
    let mut set = LiteReplicaSet::new(name, LiteReplicaSetSpec { replicas, selector, template });
    set.metadata.namespace.clone_from(&deployment.metadata.namespace);
    set.metadata.labels = Some(labels);
    set.metadata.owner_references = Some(vec![owner]);
    set
}

fn with_hash(labels: Option<BTreeMap<String, String>>, hash: &str) -> BTreeMap<String, String> {
    let mut labels = labels.unwrap_or_default();
    labels.insert(HASH_LABEL.to_owned(), hash.to_owned());
    labels
}
