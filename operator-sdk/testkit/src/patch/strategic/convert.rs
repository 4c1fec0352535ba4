//! Whether what came out still has the types of its kind. The real server reads the outcome of a strategic merge patch
//! without a detour through JSON, and has other words for what it cannot read.

use serde_json::Value;

use crate::{
    go_text::type_name,
    schema::{Scalar, Schema, Shape},
};

/// What is wrong with the first value that is; `None`: nothing.
pub(super) fn mismatch(value: &Value, schema: &Schema) -> Option<String> {
    match (&schema.shape, value) {
        (_, Value::Null) | (Shape::Any, _) => None,
        (Shape::Scalar(scalar), value) => {
            let wanted = match scalar {
                Scalar::String if schema.format.is_none() && !value.is_string() => "string",
                Scalar::Integer if !value.is_number() => schema.format.as_deref().unwrap_or("int64"),
                Scalar::Boolean if !value.is_boolean() => "bool",
                _ => return None,
            };
            Some(format!("cannot convert {} to {wanted}", type_name(value)))
        }
        (Shape::Map(map), Value::Object(object)) => object.iter().find_map(|(name, value)| {
            let field = map.fields.get(name).or(map.others.as_ref())?;
            mismatch(value, field)
        }),
        (Shape::Map(map), other) if map.others.is_some() => Some(format!("cannot restore map from {}", kind(other))),
        (Shape::Map(_), other) => Some(format!("cannot restore struct from: {}", kind(other))),
        (Shape::List(list), Value::Array(items)) => items.iter().find_map(|item| mismatch(item, &list.items)),
        (Shape::List(_), other) => Some(format!("cannot restore slice from {}", kind(other))),
    }
}

/// Go's `reflect.Kind`.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Array(_) => "slice",
        Value::Object(_) => "map",
        other => type_name(other),
    }
}
