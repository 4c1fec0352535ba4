//! An object of which nothing is known but its kind. What a built-in kind always has is there already, so that nobody comes
//! to own it: the published schemas say of such fields that their default is `{}`, or require them.

use serde_json::{Map, Value, json};

use crate::{
    resource::Resource,
    schema::{Schema, Shape},
};

/// What a creation is compared with.
pub(super) fn object(resource: &Resource) -> Value {
    let mut object = if resource.is_custom { json!({}) } else { Value::Object(always_there(&resource.schema)) };
    object["apiVersion"] = json!(resource.api_version());
    object["kind"] = json!(resource.kind);
    object
}

fn always_there(schema: &Schema) -> Map<String, Value> {
    let Shape::Map(map) = &schema.shape else { return Map::new() };
    let of = |(name, field): (&String, &std::sync::Arc<Schema>)| match &field.shape {
        Shape::Map(_) if field.default == Some(json!({})) => Some((name.clone(), Value::Object(always_there(field)))),
        Shape::Map(_) | Shape::List(_) if map.required.contains(name) => Some((name.clone(), Value::Null)),
        _ => None,
    };
    map.fields.iter().filter_map(of).collect()
}
