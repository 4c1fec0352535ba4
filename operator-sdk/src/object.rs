//! What the framework needs to know of any Kubernetes object: its key, its uid, its revision.

use std::fmt::{self, Debug};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::{Resource, ResourceExt};
use serde::{Serialize, de::DeserializeOwned};

use crate::error::{Error, Result};

/// A Kubernetes type known at compile time.
pub trait Object:
    Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned + Send + Sync + 'static
{
    /// Namespace and name.
    fn key(&self) -> Key {
        Key { namespace: self.namespace(), name: self.name_any() }
    }

    /// The uid that the API server gave this incarnation; `None` before creation.
    fn uid_of(&self) -> Option<Uid> {
        self.meta().uid.as_deref().map(Uid::from)
    }

    /// The revision this copy was read at; `None` before creation.
    fn revision(&self) -> Option<Revision> {
        revision_of(self.meta())
    }

    /// True once a deletion has been accepted, even while finalizers or a grace period hold the object.
    fn is_terminating(&self) -> bool {
        self.meta().deletion_timestamp.is_some()
    }

    /// The owner reference that says who controls this object, if any.
    fn controller(&self) -> Option<&OwnerReference> {
        controller_of(self.meta())
    }

    /// True if the object of this uid controls this one.
    fn is_controlled_by(&self, owner: &Uid) -> bool {
        self.controller().is_some_and(|reference| reference.uid == owner.0)
    }
}

impl<K> Object for K where
    K: Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned + Send + Sync + 'static
{
}

/// The owner reference that says who controls the object of this metadata, if any.
pub fn controller_of(metadata: &ObjectMeta) -> Option<&OwnerReference> {
    metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true))
}

/// The revision that the copy of this metadata was read at; `None` before creation.
pub(crate) fn revision_of(metadata: &ObjectMeta) -> Option<Revision> {
    metadata.resource_version.as_deref().and_then(Revision::parse)
}

/// Namespace (for namespaced kinds) and name: the identity of a work item.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// `None` for cluster-scoped kinds.
    pub namespace: Option<String>,
    /// The object's name.
    pub name: String,
}

impl Key {
    /// The key of a namespaced object.
    pub fn namespaced(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: Some(namespace.into()), name: name.into() }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(formatter, "{namespace}/{}", self.name),
            None => formatter.write_str(&self.name),
        }
    }
}

/// One incarnation of an object: a name may be used again, a uid never is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uid(String);

impl Uid {
    /// The uid as the API server writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Uid {
    fn from(uid: &str) -> Self {
        Self(uid.to_owned())
    }
}

/// One incarnation of an object, at the revision that a decision was based on: what a write is aimed at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Which object.
    pub key: Key,
    /// Which incarnation of it.
    pub uid: Uid,
    /// The `resourceVersion` as it was read.
    pub resource_version: String,
}

impl Target {
    /// The object as it was read.
    ///
    /// # Errors
    /// If it was not read from the API server.
    pub fn of<K: Object>(object: &K) -> Result<Self> {
        Self::of_metadata(object.meta())
    }

    /// The object of this metadata.
    ///
    /// # Errors
    /// If it was not read from the API server.
    pub fn of_metadata(metadata: &ObjectMeta) -> Result<Self> {
        let name = metadata.name.clone().ok_or(Error::MissingField("metadata.name"))?;
        Ok(Self {
            key: Key { namespace: metadata.namespace.clone(), name },
            uid: metadata.uid.as_deref().map(Uid::from).ok_or(Error::MissingField("metadata.uid"))?,
            resource_version: metadata
                .resource_version
                .clone()
                .ok_or(Error::MissingField("metadata.resourceVersion"))?,
        })
    }
}

/// A resource version as a number. Kubernetes promises since 1.35 that those of one resource compare as integers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(u64);

impl Revision {
    /// Reads a `resourceVersion`; `None` if it is not a decimal number.
    pub fn parse(resource_version: &str) -> Option<Self> {
        resource_version.parse().ok().map(Self)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}
