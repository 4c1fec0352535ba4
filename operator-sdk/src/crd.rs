//! CustomResourceDefinitions from types, small enough for plain `kubectl apply`.
//!
//! `kubectl apply` keeps a copy of the object in an annotation, which may hold 256 KiB; a pod template with all its
//! descriptions alone is larger. So descriptions stay only near the surface, where an author wrote them.

use std::{
    any::TypeId,
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::Value;

/// Descriptions are kept up to this many fields below the object's root.
const DESCRIBED_DEPTH: usize = 4;

/// The definition of a type, trimmed.
///
/// # Errors
/// If the type's schema is no valid definition.
pub fn definition<K: CustomResourceExt + 'static>() -> Result<CustomResourceDefinition, serde_json::Error> {
    // Deriving the definition of a type with a pod template takes as long as simulating its rollout, and tests ask again
    // and again.
    static DERIVED: Mutex<BTreeMap<TypeId, CustomResourceDefinition>> = Mutex::new(BTreeMap::new());
    let mut derived = DERIVED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(definition) = derived.get(&TypeId::of::<K>()) {
        return Ok(definition.clone());
    }
    let definition = derive::<K>()?;
    derived.insert(TypeId::of::<K>(), definition.clone());
    Ok(definition)
}

fn derive<K: CustomResourceExt>() -> Result<CustomResourceDefinition, serde_json::Error> {
    let mut definition = serde_json::to_value(K::crd())?;
    if let Some(versions) = definition.pointer_mut("/spec/versions").and_then(Value::as_array_mut) {
        for schema in versions.iter_mut().filter_map(|version| version.pointer_mut("/schema/openAPIV3Schema")) {
            trim(schema, 0);
        }
    }
    serde_json::from_value(definition)
}

/// Removes descriptions deeper than [`DESCRIBED_DEPTH`] fields, and what the types cannot hold.
fn trim(schema: &mut Value, depth: usize) {
    let Some(schema) = schema.as_object_mut() else { return };
    if depth > DESCRIBED_DEPTH {
        schema.remove("description");
    }
    // The derive macro allows null here, which the type behind it cannot be read from.
    if schema.contains_key("x-kubernetes-int-or-string") {
        schema.remove("nullable");
    }
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.values_mut().for_each(|property| trim(property, depth + 1));
    }
    for below in ["items", "additionalProperties"] {
        if let Some(below) = schema.get_mut(below) {
            trim(below, depth);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn null_is_no_number_and_no_string() {
        let mut schema = json!({"properties": {"port": {"x-kubernetes-int-or-string": true, "nullable": true}}});
        trim(&mut schema, 0);
        assert_eq!(schema["properties"]["port"], json!({"x-kubernetes-int-or-string": true}));
    }

    #[test]
    fn descriptions_end_below_the_surface_and_fields_named_description_stay() {
        let deep = json!({"description": "gone", "type": "string"});
        let mut schema = json!({"description": "kept", "properties": {"a": {"properties": {"b": {"items": {
            "properties": {"c": {"properties": {"d": {"properties": {"description": deep}}}}}}}}}}});
        trim(&mut schema, 0);
        assert_eq!(schema["description"], "kept");
        let d = &schema["properties"]["a"]["properties"]["b"]["items"]["properties"]["c"]["properties"]["d"];
        assert_eq!(d["properties"]["description"], json!({"type": "string"}));
    }
}
