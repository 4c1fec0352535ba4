//! Owner references: who made an object, so that deleting the owner deletes it; and how one comes and goes later, by
//! adoption and release.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

use crate::{
    error::{Error, Result},
    object::{Object, Uid},
};

/// The reference that makes `owner` the controller of a child.
///
/// # Errors
/// If `owner` has not been created yet.
pub fn controller_reference<K: Object>(owner: &K) -> Result<OwnerReference> {
    Ok(OwnerReference {
        api_version: K::api_version(&()).into_owned(),
        kind: K::kind(&()).into_owned(),
        name: owner.meta().name.clone().ok_or(Error::MissingField("metadata.name"))?,
        uid: owner.meta().uid.clone().ok_or(Error::MissingField("metadata.uid"))?,
        controller: Some(true),
        block_owner_deletion: Some(true),
    })
}

/// The owner references of an object that is adopted, from those that it holds: `owner` stands beside others, and once.
pub fn with_owner(held: &[OwnerReference], owner: OwnerReference) -> Vec<OwnerReference> {
    let mut references = held.to_vec();
    match references.iter_mut().find(|held| held.uid == owner.uid) {
        Some(held) => *held = owner,
        None => references.push(owner),
    }
    references
}

/// The owner references of an object that the owner of this uid lets go, from those that it holds.
pub fn without_owner(held: &[OwnerReference], owner: &Uid) -> Vec<OwnerReference> {
    held.iter().filter(|held| held.uid != owner.as_str()).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(uid: &str, controller: Option<bool>) -> OwnerReference {
        OwnerReference { uid: uid.to_owned(), controller, ..OwnerReference::default() }
    }

    #[test]
    fn an_adopter_stands_beside_other_owners_and_once() {
        let (other, plain, ours) = (reference("other", None), reference("ours", None), reference("ours", Some(true)));
        assert_eq!(with_owner(&[], ours.clone()), std::slice::from_ref(&ours));
        assert_eq!(with_owner(std::slice::from_ref(&other), ours.clone()), [other.clone(), ours.clone()]);
        assert_eq!(with_owner(&[plain, other.clone()], ours.clone()), [ours, other]);
    }

    #[test]
    fn who_lets_go_leaves_other_owners_in_place() {
        let (other, ours) = (reference("other", None), reference("ours", Some(true)));
        assert_eq!(without_owner(&[ours, other.clone()], &Uid::from("ours")), [other]);
    }
}
