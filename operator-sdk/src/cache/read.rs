//! One object from the wire: whole, or not to be read as the type that is expected, and then known by its metadata alone.

use kube::core::{PartialObjectMeta, PartialObjectMetaExt};
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::Value;

use crate::object::{Key, Object};

/// An object that its type cannot hold, such as one with a number that the schema allows and the type does not.
#[derive(Clone, Debug)]
pub(super) struct Unreadable<K: Object> {
    pub(super) metadata: PartialObjectMeta<K>,
    /// The field, and what is wrong with it.
    pub(super) problem: String,
}

/// What came for one object. One that cannot be read must not keep the others from being read.
#[derive(Clone, Debug)]
pub(super) enum Read<K: Object> {
    Whole(K),
    Unreadable(Box<Unreadable<K>>),
}

impl<K: Object> Read<K> {
    pub(super) fn resource_version(&self) -> &Option<String> {
        match self {
            Self::Whole(object) => &object.meta().resource_version,
            Self::Unreadable(unreadable) => &unreadable.metadata.metadata.resource_version,
        }
    }

    pub(super) fn key(&self) -> Key {
        match self {
            Self::Whole(object) => object.key(),
            Self::Unreadable(unreadable) => unreadable.metadata.key(),
        }
    }

    /// The metadata of an object of either sort, as an object of its own.
    pub(super) fn metadata(self) -> PartialObjectMeta<K> {
        match self {
            Self::Whole(mut object) => std::mem::take(object.meta_mut()).into_response_partial(),
            Self::Unreadable(unreadable) => unreadable.metadata,
        }
    }
}

impl<'de, K: Object> Deserialize<'de> for Read<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        if let Ok(object) = K::deserialize(&value) {
            return Ok(Self::Whole(object));
        }
        // Once more, slowly, for the path of the field.
        match serde_path_to_error::deserialize(&value) {
            Ok(object) => Ok(Self::Whole(object)),
            Err(error) => {
                let metadata = PartialObjectMeta::deserialize(&value).map_err(D::Error::custom)?;
                Ok(Self::Unreadable(Box::new(Unreadable { metadata, problem: error.to_string() })))
            }
        }
    }
}
