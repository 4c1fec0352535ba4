//! Strategic merge patch: as a merge patch, but lists whose items have a key are merged item by item, and directives
//! (`$patch`, `$retainKeys`, `$deleteFromPrimitiveList/x`, `$setElementOrder/x`) say what else is to be done.

use serde_json::{Map, Value};

use super::PatchError;
use crate::{
    go_text::plain,
    schema::{List, Schema, Shape},
};

mod convert;
mod list;
mod order;
#[cfg(test)]
mod tests;

const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_FROM: &str = "$deleteFromPrimitiveList/";
const ORDER: &str = "$setElementOrder/";

type Fields = Map<String, Value>;

/// What the patch makes of the object, which has to be of the types that its kind asks for.
pub(super) fn apply(live: Fields, patch: Fields, schema: &Schema) -> Result<Value, PatchError> {
    let patched = Value::Object(merge(live, patch.clone(), schema)?);
    match convert::mismatch(&patched, schema) {
        None => Ok(patched),
        Some(problem) => Err(PatchError::Mistyped { patch: plain(&Value::Object(patch)), problem }),
    }
}

fn merge(mut live: Fields, mut patch: Fields, schema: &Schema) -> Result<Fields, PatchError> {
    match patch.get(DIRECTIVE) {
        None => {}
        Some(Value::String(directive)) if directive == "replace" => {
            patch.remove(DIRECTIVE);
            return Ok(patch);
        }
        Some(Value::String(directive)) if directive == "delete" => return Ok(Fields::new()),
        Some(_) => return Err(unknown_directive(&patch)),
    }
    retain_keys(&mut live, &mut patch)?;
    order::apply(&mut live, &mut patch, schema)?;
    for (name, wanted) in patch {
        match name.strip_prefix(DELETE_FROM) {
            Some(name) => delete_from(&mut live, name, &wanted),
            None => set(&mut live, name, wanted, schema)?,
        }
    }
    Ok(live)
}

fn set(live: &mut Fields, name: String, wanted: Value, schema: &Schema) -> Result<(), PatchError> {
    let value = match (live.get_mut(&name).map(Value::take), wanted) {
        (_, Value::Null) => None,
        (Some(Value::Object(live)), Value::Object(patch)) => {
            Some(Value::Object(merge(live, patch, field(schema, &name))?))
        }
        (Some(Value::Array(live)), Value::Array(patch)) => match as_list(field(schema, &name)) {
            Some(list) if list.strategy.merges => Some(Value::Array(list::merge(live, patch, list)?)),
            _ => Some(Value::Array(patch)),
        },
        (_, wanted) => without_directives(wanted),
    };
    match value {
        Some(value) => live.insert(name, value),
        None => live.remove(&name),
    };
    Ok(())
}

fn delete_from(live: &mut Fields, name: &str, gone: &Value) {
    if let (Some(Value::Array(items)), Value::Array(gone)) = (live.get_mut(name), gone) {
        items.retain(|item| !gone.contains(item));
    }
}

/// Fields that the directive does not name go; it has to name all that the patch sets.
fn retain_keys(live: &mut Fields, patch: &mut Fields) -> Result<(), PatchError> {
    let Some(names) = patch.remove(RETAIN_KEYS) else { return Ok(()) };
    let bad = || PatchError::BadRequest("invalid patch format of retainKeys".into());
    let names = names.as_array().ok_or_else(bad)?;
    let is_named = |name: &str| names.iter().any(|given| given == name);
    let is_special = |name: &str| name.starts_with(DELETE_FROM) || name.starts_with(ORDER);
    if !patch.iter().all(|(name, value)| value.is_null() || is_special(name) || is_named(name)) {
        return Err(bad());
    }
    live.retain(|name, _| is_named(name));
    Ok(())
}

/// What a patch sets where nothing is: nulls say nothing there, and what holds a directive is nothing.
fn without_directives(value: Value) -> Option<Value> {
    match value {
        Value::Object(fields) if fields.contains_key(DIRECTIVE) => None,
        Value::Object(fields) => {
            let fields = fields.into_iter().filter(|(_, value)| !value.is_null());
            Some(Value::Object(fields.filter_map(|(name, value)| Some((name, without_directives(value)?))).collect()))
        }
        Value::Array(items) => Some(Value::Array(items.into_iter().filter_map(without_directives).collect())),
        other => Some(other),
    }
}

fn field<'a>(schema: &'a Schema, name: &str) -> &'a Schema {
    match &schema.shape {
        Shape::Map(map) => map.fields.get(name).or(map.others.as_ref()).map_or(schema, AsRef::as_ref),
        _ => schema,
    }
}

fn as_list(schema: &Schema) -> Option<&List> {
    match &schema.shape {
        Shape::List(list) => Some(list),
        _ => None,
    }
}

fn unknown_directive(fields: &Fields) -> PatchError {
    let directive = fields.get(DIRECTIVE).map(plain).unwrap_or_default();
    PatchError::Unfit(format!("unknown patch type: {directive} in map: {}", plain(&Value::Object(fields.clone()))))
}

fn without_merge_key(item: &Value, key: &str) -> PatchError {
    PatchError::Unfit(format!("map: {} does not contain declared merge key: {key}", plain(item)))
}
