//! The requests that keep an object until it is cleaned up, and let it go. [`Cleanup`](crate::reconcile::Cleanup) is
//! what an author writes.

use serde_json::json;

use crate::{
    client::Client,
    error::{Class, Error, RequestError, Result},
    object::{Object, Target},
};

/// True if the object carries the finalizer.
pub fn is_held<K: Object>(object: &K, finalizer: &str) -> bool {
    position(object, finalizer).is_some()
}

/// Adds the finalizer, provided that the object is still at its revision.
pub(crate) async fn add<K>(client: &Client, object: &K, finalizer: &str) -> Result<()>
where
    K: Object<Scope = k8s_openapi::NamespaceResourceScope>,
{
    let mut finalizers = object.meta().finalizers.clone().unwrap_or_default();
    finalizers.push(finalizer.to_owned());
    client.patch::<K>(&Target::of(object)?, json!({"metadata": {"finalizers": finalizers}})).await?;
    Ok(())
}

/// Removes the finalizer from this very incarnation (H1). If it is gone, with the object or without, that is as good.
pub(crate) async fn remove<K>(client: &Client, object: &K, finalizer: &str) -> Result<()>
where
    K: Object<Scope = k8s_openapi::NamespaceResourceScope>,
{
    let Some(index) = position(object, finalizer) else { return Ok(()) };
    let path = format!("/metadata/finalizers/{index}");
    let operations = json!([
        {"op": "test", "path": "/metadata/uid", "value": object.meta().uid},
        {"op": "test", "path": path, "value": finalizer},
        {"op": "remove", "path": path},
    ]);
    match client.json_patch::<K>(&object.key(), operations).await {
        Ok(_) => Ok(()),
        Err(error) if error.is_not_found() => Ok(()),
        // A test that failed is refused like anything invalid: what is there now tells which one it was.
        Err(error) if error.class() == Class::Invalid => match read_again(client, object).await? {
            Some(fresh) if is_held(&fresh, finalizer) => Err(Error::other(Class::Conflict, error)),
            _ => Ok(()),
        },
        Err(error) => Err(error.into()),
    }
}

/// The object from a quorum of the server's store; `None` if this incarnation is gone.
pub(crate) async fn read_again<K>(client: &Client, object: &K) -> Result<Option<K>, RequestError>
where
    K: Object<Scope = k8s_openapi::NamespaceResourceScope>,
{
    match client.get::<K>(&object.key()).await {
        Ok(fresh) => Ok(Some(fresh).filter(|fresh| fresh.uid_of() == object.uid_of())),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Where the finalizer stands among the others.
fn position<K: Object>(object: &K, finalizer: &str) -> Option<usize> {
    object.meta().finalizers.iter().flatten().position(|held| held == finalizer)
}
