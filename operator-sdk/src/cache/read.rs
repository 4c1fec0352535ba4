//! One object from the wire: whole, or not to be read as the type that is expected, and then known by its metadata alone.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Resource, core::PartialObjectMeta};
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::{Value, value::RawValue};

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
    Whole(Arc<K>),
    Unreadable(Arc<Unreadable<K>>),
}

impl<K: Object> Read<K> {
    /// An object, but for its `managedFields`: who owns which field may be the larger half of it, and decides nothing.
    pub(super) fn whole(object: K) -> Self {
        Self::Whole(Arc::new(without_managed_fields(object)))
    }

    /// Reads an object.
    ///
    /// # Errors
    /// If not even its metadata can be read.
    pub(super) fn parse(json: &str) -> serde_json::Result<Self> {
        if let Ok(object) = serde_json::from_str(json) {
            return Ok(Self::whole(object));
        }
        // Once more, slowly, for the path of the field: from a value, lest the place in the text become part of what is told.
        let value: Value = serde_json::from_str(json)?;
        match serde_path_to_error::deserialize(&value) {
            Ok(object) => Ok(Self::whole(object)),
            Err(error) => {
                let metadata = without_managed_fields(PartialObjectMeta::deserialize(&value)?);
                Ok(Self::Unreadable(Arc::new(Unreadable { metadata, problem: error.to_string() })))
            }
        }
    }

    pub(super) fn meta(&self) -> &ObjectMeta {
        match self {
            Self::Whole(object) => object.meta(),
            Self::Unreadable(unreadable) => &unreadable.metadata.metadata,
        }
    }

    pub(super) fn key(&self) -> Key {
        match self {
            Self::Whole(object) => object.key(),
            Self::Unreadable(unreadable) => unreadable.metadata.key(),
        }
    }
}

impl<'de, K: Object> Deserialize<'de> for Read<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json: Box<RawValue> = Box::deserialize(deserializer)?;
        Self::parse(json.get()).map_err(D::Error::custom)
    }
}

fn without_managed_fields<T: Resource>(mut object: T) -> T {
    object.meta_mut().managed_fields = None;
    object
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::api::ObjectList;
    use serde_json::json;

    use super::*;

    fn map(data: &Value) -> Value {
        json!({
            "apiVersion": "v1", "kind": "ConfigMap", "data": data,
            "metadata": {"name": "a", "managedFields": [{"manager": "kubectl", "operation": "Update"}]},
        })
    }

    /// As it comes in a list, and by itself.
    fn read(object: &Value) -> [Read<ConfigMap>; 2] {
        let list = json!({"apiVersion": "v1", "kind": "ConfigMapList", "metadata": {}, "items": [object]});
        let mut list: ObjectList<Read<ConfigMap>> = serde_json::from_str(&list.to_string()).unwrap();
        [list.items.remove(0), Read::parse(&object.to_string()).unwrap()]
    }

    #[test]
    fn an_object_is_read_without_its_managed_fields() {
        for read in read(&map(&json!({"key": "value"}))) {
            let Read::Whole(object) = &read else { panic!("{read:?}") };
            assert_eq!(object.data.as_ref().unwrap()["key"], "value");
            assert_eq!((object.metadata.managed_fields.as_ref(), read.key().name), (None, "a".to_owned()));
        }
    }

    #[test]
    fn an_object_that_does_not_fit_its_type_is_known_by_its_metadata_and_the_field_is_named() {
        for read in read(&map(&json!({"key": 1}))) {
            let Read::Unreadable(unreadable) = &read else { panic!("{read:?}") };
            assert_eq!(unreadable.problem, "data.key: invalid type: integer `1`, expected a string");
            assert_eq!((unreadable.metadata.metadata.managed_fields.as_ref(), read.key().name), (None, "a".to_owned()));
        }
    }
}
