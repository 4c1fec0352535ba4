//! Owner references: who made an object, so that deleting the owner deletes it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

use crate::{
    error::{Error, Result},
    object::Object,
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
