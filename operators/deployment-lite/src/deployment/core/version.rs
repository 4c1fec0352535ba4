//! Which LiteReplicaSet is that of the present template, and what a new one is called.

use k8s_openapi::api::core::v1::PodTemplateSpec;
use operator_sdk::Class;
use serde_json::Value;

use crate::{
    api::{HASH_LABEL, LiteReplicaSet},
    deployment::Observed,
};

/// Names of Kubernetes objects are no longer than this.
const NAME_LENGTH_MAX: usize = 253;
/// The characters of a hash: no vowels and nothing that looks like one, so that no word comes of it.
const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// The oldest LiteReplicaSet whose template equals that of the LiteDeployment (D10).
pub(crate) fn current(observed: &Observed) -> Option<&LiteReplicaSet> {
    let wanted = &observed.deployment.spec.template;
    let mut sets = observed.replica_sets.iter();
    sets.find(|set| is_of_template(set, wanted)).map(AsRef::as_ref)
}

/// True if this is a LiteReplicaSet of this template, the hash aside.
pub(crate) fn is_of_template(set: &LiteReplicaSet, template: &PodTemplateSpec) -> bool {
    // As they are written: a time in it, say, may have been read more exactly than it is kept.
    let written = |template| serde_json::to_value(without_hash(template)).unwrap_or(Value::Null);
    written(&set.spec.template) == written(template)
}

/// Why a LiteReplicaSet that has the name of the new one cannot take its place.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unusable {
    /// Somebody has edited it, or its template has the same hash, or it has another owner: another name helps (D14).
    #[error("the name {0} for the new LiteReplicaSet is taken by another one; a further name will be tried")]
    Taken(String),
    /// It was made for this very template, and no other name would help.
    #[error(
        "the LiteReplicaSet {0} is kept with another template than it was made with; exempt litereplicasets from the \
         admission controller that changes them"
    )]
    Altered(String),
}

impl Unusable {
    pub(crate) fn class(&self) -> Class {
        match self {
            Self::Taken(_) => Class::Transient,
            Self::Altered(_) => Class::Invalid,
        }
    }
}

/// Whether a LiteReplicaSet that has the name of the new one, and the same owner, was made for this template.
pub(crate) fn check_existing(set: &LiteReplicaSet, template: &PodTemplateSpec) -> Result<(), Unusable> {
    let name = set.metadata.name.clone().unwrap_or_default();
    match set.metadata.generation {
        _ if is_of_template(set, template) => Ok(()),
        // As it was made: names without end would be tried.
        Some(1) => Err(Unusable::Altered(name)),
        _ => Err(Unusable::Taken(name)),
    }
}

/// All other LiteReplicaSets, oldest first.
pub(crate) fn former(observed: &Observed) -> impl Iterator<Item = &LiteReplicaSet> {
    let current = current(observed).map(|set| set.metadata.uid.clone());
    let is_former = move |set: &&LiteReplicaSet| Some(&set.metadata.uid) != current.as_ref();
    observed.replica_sets.iter().map(AsRef::as_ref).filter(is_former)
}

/// The hash of the present template; another one for each collision counted.
pub(crate) fn hash(observed: &Observed) -> String {
    let template = serde_json::to_value(without_hash(&observed.deployment.spec.template)).unwrap_or(Value::Null);
    let collisions = observed.deployment.status.as_ref().map_or(0, |status| status.collision_count);
    // serde_json keeps the keys of an object sorted, so equal templates have equal texts.
    encode(fnv_1a(format!("{template}{collisions}").as_bytes()))
}

/// `<deployment>-<hash>`, cut to the length of a name.
pub(crate) fn name(observed: &Observed, hash: &str) -> String {
    let deployment = observed.deployment.metadata.name.as_deref().unwrap_or_default();
    let room = NAME_LENGTH_MAX - hash.len() - 1;
    let end = (0..=room.min(deployment.len())).rev().find(|end| deployment.is_char_boundary(*end)).unwrap_or(0);
    format!("{}-{hash}", &deployment[..end])
}

fn without_hash(template: &PodTemplateSpec) -> PodTemplateSpec {
    let mut template = template.clone();
    if let Some(metadata) = &mut template.metadata {
        if let Some(labels) = &mut metadata.labels {
            labels.remove(HASH_LABEL);
        }
        // No labels, and labels none of which is left, are the same.
        metadata.labels = metadata.labels.take().filter(|labels| !labels.is_empty());
    }
    template.metadata = template.metadata.filter(|metadata| *metadata != Default::default());
    template
}

/// FNV-1a, 32 bits (Fowler, Noll, Vo).
fn fnv_1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// The decimal digits of a hash in [`ALPHABET`] (D11).
fn encode(hash: u32) -> String {
    hash.to_string().bytes().map(|digit| char::from(ALPHABET[usize::from(digit) % ALPHABET.len()])).collect()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;
    use crate::deployment::core::fixture::{deployment, observed, ready_set, replica_set};

    #[test]
    fn a_hash_is_encoded_as_upstream_encodes_it() {
        assert_eq!(encode(3_123_191_453), "75675f5897");
        assert_eq!(fnv_1a(b"foobar"), 0xbf9c_f968);
    }

    #[test]
    fn the_oldest_set_of_the_same_template_is_current() {
        let deployment = deployment(3, "1", "0");
        let first = ready_set(&deployment, "first", 3);
        let old = replica_set(&deployment, "old", "other:1", 3, 3);
        let observed = observed(&deployment, vec![old, first]);
        assert_eq!(current(&observed).unwrap().metadata.name.as_deref(), Some("first"));
        let former: Vec<_> = former(&observed).map(|set| set.metadata.name.as_deref().unwrap()).collect();
        assert_eq!(former, ["old"]);
    }

    #[test]
    fn a_time_that_is_kept_less_exactly_makes_no_other_template() {
        let mut deployment = deployment(3, "1", "0");
        let set = |deployment: &_| ready_set(deployment, "set", 3);
        let metadata = deployment.spec.template.metadata.get_or_insert_default();
        metadata.creation_timestamp = "2024-01-01T00:00:00.5Z".parse().ok().map(Time);
        let text = serde_json::to_string(&deployment.spec.template).unwrap();
        let mut kept = set(&deployment);
        kept.spec.template = serde_json::from_str(&text).unwrap();
        assert!(is_of_template(&kept, &deployment.spec.template));
    }

    #[test]
    fn one_that_was_altered_on_its_way_leads_to_no_further_name() {
        let deployment = deployment(3, "1", "0");
        let wanted = &deployment.spec.template;
        assert!(check_existing(&ready_set(&deployment, "set", 3), wanted).is_ok());
        let mut other = replica_set(&deployment, "set", "other:1", 3, 3);
        assert!(matches!(check_existing(&other, wanted), Err(Unusable::Altered(_))));
        other.metadata.generation = Some(2);
        assert!(matches!(check_existing(&other, wanted), Err(Unusable::Taken(_))));
    }

    #[test]
    fn a_collision_leads_to_another_name() {
        let mut deployment = deployment(3, "1", "0");
        let first = hash(&observed(&deployment, vec![]));
        assert_eq!(first, hash(&observed(&deployment, vec![])));
        deployment.status = Some(crate::api::LiteDeploymentStatus { collision_count: 1, ..Default::default() });
        assert_ne!(first, hash(&observed(&deployment, vec![])));
    }

    #[test]
    fn a_long_name_is_cut_so_that_the_hash_fits() {
        let mut deployment = deployment(3, "1", "0");
        deployment.metadata.name = Some("d".repeat(253));
        let name = name(&observed(&deployment, vec![]), "75675f5897");
        assert_eq!(name.len(), 253);
        assert!(name.ends_with("-75675f5897"));
    }
}
