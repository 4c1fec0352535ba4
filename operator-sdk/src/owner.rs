//! Owner references: who made an object, so that deleting the owner deletes it; and how one comes and goes later, by
//! adoption and release.

use k8s_openapi::{
    NamespaceResourceScope,
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use serde_json::json;

use crate::{
    client::Client,
    error::{Class, Error, RequestError, Result},
    object::{Key, Object, Target, Uid},
};

/// An object whose owner references are to be changed, as it was looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    /// Which.
    pub target: Target,
    /// The owners that it has.
    pub owners: Vec<OwnerReference>,
}

impl Claim {
    /// A claim on the object of this metadata.
    ///
    /// # Errors
    /// If it was not read from the API server.
    pub fn of_metadata(metadata: &ObjectMeta) -> Result<Self> {
        let owners = metadata.owner_references.clone().unwrap_or_default();
        Ok(Self { target: Target::of_metadata(metadata)?, owners })
    }
}

/// Who was to adopt is not there any more as it was looked at.
#[derive(Debug, thiserror::Error)]
#[error("{kind} {key} is being deleted, or is another one by now; nothing is adopted for it")]
struct Gone {
    kind: String,
    key: Key,
}

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

/// Fails unless the API server itself, not a cache, says that this very owner is there and is not being deleted: who
/// adopts must not be about to go, or what it adopts goes with it. Needs the permission to get owners.
///
/// # Errors
/// A conflict if the owner is going or gone.
pub async fn confirm<K: Object<Scope = NamespaceResourceScope>>(client: &Client, owner: &K) -> Result<()> {
    let key = owner.key();
    let is_there = match client.get::<K>(&key).await {
        Ok(now) => now.uid_of() == owner.uid_of() && !now.is_terminating(),
        Err(error) if error.is_not_found() => false,
        Err(error) => return Err(error.into()),
    };
    let gone = || Error::other(Class::Conflict, Gone { kind: K::kind(&()).into_owned(), key });
    is_there.then_some(()).ok_or_else(gone)
}

/// Makes `owner` the controller of an object, beside the owners that it has. Needs the permission to patch objects of
/// its kind, as does [`release`].
///
/// # Errors
/// A conflict if somebody else wrote first.
pub async fn adopt<K, C>(client: &Client, owner: &K, claim: &Claim) -> Result<()>
where
    K: Object,
    C: Object<Scope = NamespaceResourceScope>,
{
    let owners = with_owner(&claim.owners, controller_reference(owner)?);
    client.patch::<C>(&claim.target, json!({"metadata": {"ownerReferences": owners}})).await?;
    Ok(())
}

/// Takes `owner` off the owners of an object. One that is gone needs no release.
///
/// # Errors
/// A conflict if somebody else wrote first.
pub async fn release<K, C>(client: &Client, owner: &K, claim: &Claim) -> Result<()>
where
    K: Object,
    C: Object<Scope = NamespaceResourceScope>,
{
    let uid = owner.uid_of().ok_or(Error::MissingField("metadata.uid"))?;
    let owners = without_owner(&claim.owners, &uid);
    match client.patch::<C>(&claim.target, json!({"metadata": {"ownerReferences": owners}})).await {
        Err(error) if !RequestError::is_not_found(&error) => Err(error.into()),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// The owner references of an object that is adopted, from those that it holds: `owner` stands beside others, and once.
fn with_owner(held: &[OwnerReference], owner: OwnerReference) -> Vec<OwnerReference> {
    let mut references = held.to_vec();
    match references.iter_mut().find(|held| held.uid == owner.uid) {
        Some(held) => *held = owner,
        None => references.push(owner),
    }
    references
}

/// The owner references of an object that the owner of this uid lets go, from those that it holds.
fn without_owner(held: &[OwnerReference], owner: &Uid) -> Vec<OwnerReference> {
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
