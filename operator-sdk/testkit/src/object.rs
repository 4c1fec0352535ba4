//! An object as the server keeps it: its value, and its bytes, made once for all who read them.

use std::{
    ops::Deref,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use serde_json::Value;

/// An object that does not change any more.
#[derive(Debug, Default)]
pub struct Object {
    value: Value,
    json: OnceLock<Bytes>,
    bare: OnceLock<Bytes>,
}

impl Object {
    /// Wraps a value.
    pub fn new(value: Value) -> Arc<Self> {
        Arc::new(Self { value, json: OnceLock::new(), bare: OnceLock::new() })
    }

    /// The object as JSON.
    pub fn json(&self) -> &Bytes {
        self.json.get_or_init(|| json_of(&self.value))
    }

    /// The object as JSON without its kind and version, as lists of built-in kinds have it.
    pub fn bare_json(&self) -> &Bytes {
        self.bare.get_or_init(|| json_of(&self.bare_value()))
    }

    /// The value without its kind and version.
    pub fn bare_value(&self) -> Value {
        let mut value = self.value.clone();
        if let Some(object) = value.as_object_mut() {
            object.remove("apiVersion");
            object.remove("kind");
        }
        value
    }

    /// The value.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// `metadata.name`, or nothing.
    pub fn name(&self) -> &str {
        self.metadata("name")
    }

    /// `metadata.namespace`, or nothing.
    pub fn namespace(&self) -> &str {
        self.metadata("namespace")
    }

    /// `metadata.uid`, or nothing.
    pub fn uid(&self) -> &str {
        self.metadata("uid")
    }

    /// `metadata.resourceVersion`, or nothing.
    pub fn resource_version(&self) -> &str {
        self.metadata("resourceVersion")
    }

    /// `metadata.resourceVersion` as the server's number.
    pub fn revision(&self) -> u64 {
        self.resource_version().parse().unwrap_or_default()
    }

    fn metadata(&self, field: &str) -> &str {
        self.value["metadata"][field].as_str().unwrap_or_default()
    }
}

impl Deref for Object {
    type Target = Value;

    fn deref(&self) -> &Value {
        &self.value
    }
}

impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

/// Not by `to_string`, which goes through a formatter and takes twice as long.
pub(crate) fn json_of(value: &Value) -> Bytes {
    // A value has text for keys, so this cannot fail.
    serde_json::to_vec(value).unwrap_or_default().into()
}
