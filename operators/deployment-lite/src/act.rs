//! What both controllers do to what they claim.

use k8s_openapi::NamespaceResourceScope;
use operator_sdk::{
    Class, Error, Object, Result,
    client::Client,
    error::RequestError,
    owner::{controller_reference, with_owner, without_owner},
};
use serde_json::json;

use crate::core::claim::Claim;

/// An object that was to adopt is not there any more as it was looked at.
#[derive(Debug, thiserror::Error)]
#[error("{kind} {key} is being deleted, or is another one by now; nothing is adopted for it")]
struct Gone {
    kind: String,
    key: operator_sdk::Key,
}

/// Fails unless the API server itself says that this very owner is there and not being deleted (D73).
pub(crate) async fn confirm<K: Object<Scope = NamespaceResourceScope>>(client: &Client, owner: &K) -> Result<()> {
    let key = owner.key();
    let is_there = match client.get::<K>(&key).await {
        Ok(now) => now.uid_of() == owner.uid_of() && !now.is_terminating(),
        Err(error) if error.is_not_found() => false,
        Err(error) => return Err(error.into()),
    };
    let gone = || Error::other(Class::Conflict, Gone { kind: K::kind(&()).into_owned(), key });
    is_there.then_some(()).ok_or_else(gone)
}

/// Makes `owner` the controller of an object (D74).
pub(crate) async fn adopt<K, C>(client: &Client, owner: &K, claim: &Claim) -> Result<()>
where
    K: Object,
    C: Object<Scope = NamespaceResourceScope>,
{
    let owners = with_owner(&claim.owners, controller_reference(owner)?);
    client.patch::<C>(&claim.target, json!({"metadata": {"ownerReferences": owners}})).await?;
    Ok(())
}

/// Takes `owner` off an object. One that is gone needs no release.
pub(crate) async fn release<K, C>(client: &Client, owner: &K, claim: &Claim) -> Result<()>
where
    K: Object,
    C: Object<Scope = NamespaceResourceScope>,
{
    let uid = owner.uid_of().ok_or(Error::MissingField("metadata.uid"))?;
    let owners = without_owner(&claim.owners, &uid);
    match client.patch::<C>(&claim.target, json!({"metadata": {"ownerReferences": owners}})).await {
        Err(error) if !RequestError::is_not_found(&error) => Err(error.into()),
        _ => Ok(()),
    }
}
