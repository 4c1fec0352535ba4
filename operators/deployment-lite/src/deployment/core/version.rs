//! Which ReplicaSet is that of the present template, and what a new one is called.

use k8s_openapi::api::core::v1::PodTemplateSpec;
use operator_sdk::Class;
use serde_json::Value;

use crate::{
    api::HASH_LABEL,
    deployment::{Observed, Set},
};

/// Names of Kubernetes objects are no longer than this.
const NAME_LENGTH_MAX: usize = 253;
/// The characters of a hash: no vowels and nothing that looks like one, so that no word comes of it.
const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// The oldest ReplicaSet whose template equals that of the Deployment (D10).
pub(crate) fn current(observed: &Observed) -> Option<&Set> {
    let wanted = written(observed.spec.template.clone());
    observed.replica_sets.iter().find(|set| written(set.template()) == wanted)
}

/// True if this is a ReplicaSet of this template, the hash aside.
pub(crate) fn is_of_template(set: &Set, template: &PodTemplateSpec) -> bool {
    written(set.template()) == written(template.clone())
}

/// A template as it is kept, the hash aside: a time in it, say, may have been read more exactly than that.
fn written(template: PodTemplateSpec) -> Value {
    serde_json::to_value(without_hash(template)).unwrap_or(Value::Null)
}

/// Why a ReplicaSet that has the name of the new one cannot take its place.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unusable {
    /// Somebody has edited it, or its template has the same hash, or it has another owner: another name helps (D14).
    #[error("the name {0} for the new ReplicaSet is taken by another one; a further name will be tried")]
    Taken(String),
    /// It was made for this very template, and no other name would help.
    #[error(
        "the ReplicaSet {0} is kept with another template than it was made with; exempt ReplicaSets from the \
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

/// Whether a ReplicaSet that has the name of the new one, and the same owner, was made for this template.
pub(crate) fn check_existing(set: &Set, template: &PodTemplateSpec) -> Result<(), Unusable> {
    let name = set.name().to_owned();
    match set.metadata.generation {
        _ if is_of_template(set, template) => Ok(()),
        // As it was made: names without end would be tried.
        Some(1) => Err(Unusable::Altered(name)),
        _ => Err(Unusable::Taken(name)),
    }
}

/// All other ReplicaSets, oldest first.
pub(crate) fn former(observed: &Observed) -> impl Iterator<Item = &Set> {
    let current = current(observed).map(|set| set.metadata.uid.clone());
    let is_former = move |set: &&Set| Some(&set.metadata.uid) != current.as_ref();
    observed.replica_sets.iter().filter(is_former)
}

/// The hash of the present template; another one for each collision counted.
pub(crate) fn hash(observed: &Observed) -> String {
    let template = written(observed.spec.template.clone());
    let collisions = observed.status.collision_count.unwrap_or_default();
    // serde_json keeps the keys of an object sorted, so equal templates have equal texts.
    encode(fnv_1a(format!("{template}{collisions}").as_bytes()))
}

/// `<deployment>-<hash>`, cut to the length of a name.
pub(crate) fn name(observed: &Observed, hash: &str) -> String {
    let deployment = observed.metadata.name.as_deref().unwrap_or_default();
    let room = NAME_LENGTH_MAX - hash.len() - 1;
    let end = (0..=room.min(deployment.len())).rev().find(|end| deployment.is_char_boundary(*end)).unwrap_or(0);
    format!("{}-{hash}", &deployment[..end])
}

/// A template without the label that tells its pods from those of others.
pub(crate) fn without_hash(mut template: PodTemplateSpec) -> PodTemplateSpec {
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
    use k8s_openapi::{
        api::apps::v1::{DeploymentStatus, ReplicaSet},
        apimachinery::pkg::apis::meta::v1::Time,
    };

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
        assert_eq!(current(&observed).unwrap().name(), "first");
        let former: Vec<_> = former(&observed).map(Set::name).collect();
        assert_eq!(former, ["old"]);
    }

    #[test]
    fn a_time_that_is_kept_less_exactly_makes_no_other_template() {
        let deployment = deployment(3, "1", "0");
        let mut template = deployment.spec.template.clone();
        let metadata = template.metadata.get_or_insert_default();
        metadata.creation_timestamp = "2024-01-01T00:00:00.5Z".parse().ok().map(Time);
        let text = serde_json::to_string(&template).unwrap();
        let mut kept = ready_set(&deployment, "set", 3);
        kept.spec.template = Some(serde_json::from_str(&text).unwrap());
        assert!(is_of_template(&kept.into(), &template));
    }

    #[test]
    fn one_that_was_altered_on_its_way_leads_to_no_further_name() {
        let deployment = deployment(3, "1", "0");
        let wanted = &deployment.spec.template;
        let set = |set: ReplicaSet| Set::from(set);
        assert!(check_existing(&set(ready_set(&deployment, "set", 3)), wanted).is_ok());
        let mut other = set(replica_set(&deployment, "set", "other:1", 3, 3));
        assert!(matches!(check_existing(&other, wanted), Err(Unusable::Altered(_))));
        other.metadata.generation = Some(2);
        assert!(matches!(check_existing(&other, wanted), Err(Unusable::Taken(_))));
    }

    #[test]
    fn a_collision_leads_to_another_name() {
        let mut deployment = deployment(3, "1", "0");
        let first = hash(&observed(&deployment, vec![]));
        assert_eq!(first, hash(&observed(&deployment, vec![])));
        deployment.status = Some(DeploymentStatus { collision_count: Some(1), ..DeploymentStatus::default() });
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
