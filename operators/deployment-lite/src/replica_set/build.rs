//! A pod of the template.

use k8s_openapi::{
    api::{apps::v1::ReplicaSet, core::v1::Pod},
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};

/// The longest name that a pod may have.
const NAME_LENGTH_MAX: usize = 253;

/// A pod with labels, annotations, finalizers and spec of the template (R8); the API server completes its name.
pub(super) fn pod(set: &ReplicaSet, owner: OwnerReference) -> Pod {
    let template = set.spec.template.clone().unwrap_or_default();
    let metadata = template.metadata.unwrap_or_default();
    Pod {
        metadata: ObjectMeta {
            generate_name: set.metadata.name.as_deref().map(prefix),
            namespace: set.metadata.namespace.clone(),
            labels: metadata.labels,
            annotations: metadata.annotations,
            finalizers: metadata.finalizers,
            owner_references: Some(vec![owner]),
            ..ObjectMeta::default()
        },
        spec: template.spec,
        status: None,
    }
}

/// What the names of the pods begin with: a dash ends it where a name may be longer than that (R8).
fn prefix(name: &str) -> String {
    if name.len() < NAME_LENGTH_MAX { format!("{name}-") } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::{
        apps::v1::ReplicaSetSpec,
        core::v1::{PodSpec, PodTemplateSpec},
    };

    use super::*;

    #[test]
    fn a_pod_is_what_the_template_says_under_a_name_that_fits() {
        let pair = || Some([("a".to_owned(), "b".to_owned())].into());
        let template = PodTemplateSpec {
            metadata: Some(ObjectMeta {
                labels: pair(),
                annotations: pair(),
                finalizers: Some(vec!["example.com/hold".to_owned()]),
                name: Some("ignored".to_owned()),
                ..ObjectMeta::default()
            }),
            spec: Some(PodSpec { host_network: Some(true), ..PodSpec::default() }),
        };
        let set = |name: &str| ReplicaSet {
            metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
            spec: ReplicaSetSpec { template: Some(template.clone()), ..ReplicaSetSpec::default() },
            status: None,
        };
        let made = pod(&set("web"), OwnerReference::default());
        assert_eq!((made.metadata.name, made.metadata.generate_name.as_deref()), (None, Some("web-")));
        assert_eq!((made.metadata.labels, made.metadata.annotations), (pair(), pair()));
        assert_eq!(made.metadata.finalizers.unwrap(), ["example.com/hold"]);
        assert_eq!(made.metadata.owner_references.unwrap().len(), 1);
        assert_eq!(made.spec, template.spec);
        let long = "w".repeat(NAME_LENGTH_MAX);
        assert_eq!(pod(&set(&long), OwnerReference::default()).metadata.generate_name, Some(long));
    }
}
