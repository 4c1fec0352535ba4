//! The ReplicaSet of a template, and what makes a template another one.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::{DeploymentSpec, ReplicaSet, ReplicaSetSpec},
        core::v1::PodTemplateSpec,
    },
    apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference},
};
use serde_json::{Value, json};

use crate::api::HASH_LABEL;

/// What is decided of a new ReplicaSet.
pub(super) struct New<'a> {
    pub(super) name: &'a str,
    pub(super) hash: &'a str,
    pub(super) replicas: i32,
    pub(super) annotations: &'a BTreeMap<String, String>,
}

/// The ReplicaSet for the template of this Deployment (D13, D16).
pub(super) fn replica_set(
    deployment: &ObjectMeta,
    spec: &DeploymentSpec,
    owner: OwnerReference,
    new: &New<'_>,
) -> ReplicaSet {
    let New { name, hash, replicas, annotations } = new;
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
            name: Some((*name).to_owned()),
            namespace: deployment.namespace.clone(),
            labels: Some(labels),
            annotations: Some((*annotations).clone()),
            owner_references: Some(vec![owner]),
            ..ObjectMeta::default()
        },
        spec: ReplicaSetSpec {
            replicas: Some(*replicas),
            min_ready_seconds: spec.min_ready_seconds,
            selector,
            template: Some(template),
        },
        status: None,
    }
}

/// The merge patch that makes `from` of a Deployment's spec `to`: what `to` lacks goes, lists are replaced.
pub(super) fn template_patch(from: &PodTemplateSpec, to: &PodTemplateSpec) -> Value {
    let value = |template: &PodTemplateSpec| serde_json::to_value(template).unwrap_or_default();
    json!({"spec": {"template": difference(&value(from), value(to))}})
}

/// The JSON merge patch (RFC 7386) that makes `from` `to`.
fn difference(from: &Value, to: Value) -> Value {
    match (from, to) {
        (Value::Object(from), Value::Object(to)) => {
            let gone = from.keys().filter(|name| !to.contains_key(*name)).map(|name| (name.clone(), Value::Null));
            let gone: Vec<_> = gone.collect();
            let kept = to.into_iter().filter(|(name, value)| from.get(name) != Some(value));
            kept.map(|(name, value)| (name.clone(), difference(from.get(&name).unwrap_or(&Value::Null), value)))
                .chain(gone)
                .collect()
        }
        (_, to) => to,
    }
}

fn with_hash(labels: Option<BTreeMap<String, String>>, hash: &str) -> BTreeMap<String, String> {
    let mut labels = labels.unwrap_or_default();
    labels.insert(HASH_LABEL.to_owned(), hash.to_owned());
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_set_carries_its_hash_on_itself_its_selector_and_its_pods() {
        let labels = || Some([("app".to_owned(), "web".to_owned())].into());
        let spec = DeploymentSpec {
            selector: LabelSelector { match_labels: labels(), ..LabelSelector::default() },
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta { labels: labels(), ..ObjectMeta::default() }),
                spec: None,
            },
            min_ready_seconds: Some(7),
            ..DeploymentSpec::default()
        };
        let annotations = [("example.com/team".to_owned(), "a".to_owned())].into();
        let new = New { name: "web-abc", hash: "abc", replicas: 2, annotations: &annotations };
        let set = replica_set(&ObjectMeta::default(), &spec, OwnerReference::default(), &new);
        let expected = with_hash(labels(), "abc");
        assert_eq!(set.metadata.labels.as_ref(), Some(&expected));
        assert_eq!(set.spec.selector.match_labels.as_ref(), Some(&expected));
        assert_eq!(set.spec.template.unwrap().metadata.unwrap().labels, Some(expected));
        assert_eq!(set.metadata.annotations, Some(annotations));
        assert_eq!((set.spec.replicas, set.spec.min_ready_seconds), (Some(2), Some(7)));
    }

    /// RFC 7386, section 2.
    fn apply(target: Value, patch: Value) -> Value {
        let Value::Object(patch) = patch else { return patch };
        let mut target = if let Value::Object(target) = target { target } else { serde_json::Map::new() };
        for (name, value) in patch {
            let held = target.remove(&name).unwrap_or_default();
            if !value.is_null() {
                target.insert(name, apply(held, value));
            }
        }
        Value::Object(target)
    }

    #[test]
    fn a_patched_template_is_the_other_one_and_nothing_of_the_former_stays() {
        let one = json!({"a": {"b": 1, "c": {"d": [1, 2]}}, "e": "f", "g": {"h": 1}});
        let other = json!({"a": {"c": {"d": [2], "i": {"j": 1}}}, "e": "f", "g": 5});
        for (from, to) in [(&one, &other), (&other, &one), (&one, &one), (&json!({}), &one), (&one, &json!({}))] {
            assert_eq!(&apply(from.clone(), difference(from, to.clone())), to);
        }
        assert_eq!(difference(&one, one.clone()), json!({}));
    }
}
