//! What the server does to an object of a custom kind before it validates it: fields that the schema does not name go,
//! and so does `null` where it is no value; defaults come.

use serde_json::{Map as JsonMap, Value, json};

use super::{List, ListType, Schema, Shape, decode::normalise, openapi, place::Place};
use crate::{
    cause::{Cause, CauseKind},
    names,
};

/// Beyond it a number is written with an exponent.
const MAX_SHORT: f64 = 1e18;

/// What every object has, whatever its schema says.
const OF_OBJECTS: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// Takes away what the schema does not name; gives the paths of it. `is_root`: the value is a whole object.
pub fn prune(schema: &Schema, value: &mut Value, is_root: bool) -> Vec<String> {
    let mut unknown = Vec::new();
    prune_value(schema, value, is_root, &Place::Root, &mut unknown);
    unknown
}

fn prune_value(schema: &Schema, value: &mut Value, is_root: bool, place: &Place<'_>, unknown: &mut Vec<String>) {
    let is_object = is_root || schema.is_embedded_resource;
    match (&schema.shape, value) {
        (Shape::Map(map), Value::Object(object)) => {
            object.retain(|key, value| {
                let place = Place::Field(place, key);
                if is_object && OF_OBJECTS.contains(&key.as_str()) {
                    return true;
                }
                match map.fields.get(key).or(map.others.as_ref()) {
                    Some(field) => prune_value(field, value, false, &place, unknown),
                    None if schema.keeps_unknown_fields => {}
                    None => {
                        unknown.push(place.to_string());
                        return false;
                    }
                }
                true
            });
        }
        (Shape::List(list), Value::Array(items)) => {
            for (index, item) in items.iter_mut().enumerate() {
                prune_value(&list.items, item, false, &Place::Item(place, index), unknown);
            }
        }
        _ => {}
    }
}

/// Sets what is not given and has a default, and takes away `null` where it is no value.
pub fn apply_defaults(schema: &Schema, value: &mut Value) {
    set_defaults(schema, value, true);
}

/// Sets what is not given and has a default; a `null` that is no value stays where there is no default.
pub fn apply_defaults_only(schema: &Schema, value: &mut Value) {
    set_defaults(schema, value, false);
}

fn set_defaults(schema: &Schema, value: &mut Value, removes_nulls: bool) {
    match (&schema.shape, value) {
        (Shape::Map(map), Value::Object(object)) => {
            for (key, field) in map.implied() {
                if let Some(default) = &field.default
                    && object.get(key).is_none_or(|value| value.is_null() && !field.is_nullable)
                {
                    object.insert(key.clone(), default.clone());
                }
            }
            replace_nulls(map, object, removes_nulls);
            for (key, value) in object {
                if let Some(field) = map.fields.get(key).or(map.others.as_ref()) {
                    set_defaults(field, value, removes_nulls);
                }
            }
        }
        (Shape::List(list), Value::Array(items)) => {
            for item in items {
                if item.is_null()
                    && !list.items.is_nullable
                    && let Some(default) = &list.items.default
                {
                    *item = default.clone();
                }
                set_defaults(&list.items, item, removes_nulls);
            }
        }
        _ => {}
    }
}

fn replace_nulls(map: &super::Map, object: &mut JsonMap<String, Value>, removes_others: bool) {
    object.retain(|key, value| {
        if !value.is_null() {
            return true;
        }
        let field = map.fields.get(key).or(map.others.as_ref());
        if let Some(default) = field.and_then(|field| field.default.clone()).filter(|_| !is_nullable(field)) {
            *value = default;
        }
        !removes_others || field.is_none() || is_nullable(field) || !value.is_null()
    });
}

fn is_nullable(field: Option<&std::sync::Arc<Schema>>) -> bool {
    field.is_some_and(|field| field.is_nullable)
}

/// What is wrong with lists whose items must differ, and with objects within the object that lack what every object has.
pub fn check_lists(schema: &Schema, value: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    check_lists_at(schema, value, &Place::Root, &mut causes);
    causes
}

fn check_lists_at(schema: &Schema, value: &Value, place: &Place<'_>, causes: &mut Vec<Cause>) {
    match (&schema.shape, value) {
        (Shape::Map(map), Value::Object(object)) => {
            // Metadata is looked at elsewhere.
            for (key, value) in object.iter().filter(|(key, _)| !(place.is_root() && *key == "metadata")) {
                if let Some(field) = map.fields.get(key).or(map.others.as_ref()) {
                    check_lists_at(field, value, &Place::Field(place, key), causes);
                }
            }
        }
        (Shape::List(list), Value::Array(items)) => {
            check_list(list, items, place, causes);
            for (index, item) in items.iter().enumerate() {
                check_lists_at(&list.items, item, &Place::Item(place, index), causes);
            }
        }
        _ => {}
    }
}

fn check_list(list: &List, items: &[Value], place: &Place<'_>, causes: &mut Vec<Cause>) {
    let identity = |item: &Value| match &list.list_type {
        ListType::Atomic => None,
        ListType::Set => Some(item.clone()),
        ListType::Map(keys) => {
            let keys = keys.iter().filter_map(|key| Some((key.clone(), item.get(key)?.clone())));
            Some(Value::Object(keys.collect()))
        }
    };
    let mut seen: Vec<Value> = Vec::new();
    let mut told: Vec<Value> = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let at = &Place::Item(place, index);
        if item.is_null() {
            continue;
        }
        if matches!(list.list_type, ListType::Map(_)) && !item.is_object() {
            let detail = "must be an object for an array of list-type map";
            causes.push(Cause::new(CauseKind::Invalid, at, item.clone(), detail));
            continue;
        }
        let Some(identity) = identity(item) else { continue };
        if seen.contains(&identity) && !told.contains(&identity) {
            told.push(identity.clone());
            causes.push(Cause::new(CauseKind::Duplicate, at, identity, ""));
        } else {
            seen.push(identity);
        }
    }
}

/// Brings the metadata of whole objects within an object into its form; gives the paths of its unknown fields, or why it
/// can not be.
pub fn decode_embedded(schema: &Schema, value: &mut Value) -> Result<Vec<String>, String> {
    let mut unknown = Vec::new();
    decode_embedded_at(schema, value, &Place::Root, &mut unknown)?;
    Ok(unknown)
}

fn decode_embedded_at(
    schema: &Schema,
    value: &mut Value,
    place: &Place<'_>,
    unknown: &mut Vec<String>,
) -> Result<(), String> {
    if !schema.embeds {
        return Ok(());
    }
    match (&schema.shape, value) {
        (Shape::Map(map), Value::Object(object)) => {
            let is_embedded = schema.is_embedded_resource;
            if let Some(metadata) = object.get_mut("metadata").filter(|metadata| is_embedded && !metadata.is_null()) {
                let given = metadata.to_string();
                let at = Place::Field(place, "metadata");
                let wrong = |why| format!("{at}: Invalid value: {given}: {why}");
                let of_metadata = normalise(&openapi::METADATA, metadata).map_err(wrong)?;
                unknown.extend(of_metadata.into_iter().map(|field| format!("{at}.{field}")));
            }
            for (key, value) in object {
                if let Some(field) = map.fields.get(key).or(map.others.as_ref()) {
                    decode_embedded_at(field, value, &Place::Field(place, key), unknown)?;
                }
            }
        }
        (Shape::List(list), Value::Array(items)) => {
            for (index, item) in items.iter_mut().enumerate() {
                decode_embedded_at(&list.items, item, &Place::Item(place, index), unknown)?;
            }
        }
        _ => {}
    }
    Ok(())
}

/// Whole numbers are written without a point.
pub fn shorten_numbers(value: &mut Value) {
    match value {
        Value::Number(number) if number.is_f64() => {
            let whole = number.as_f64().filter(|number| number.fract() == 0.0 && number.abs() < MAX_SHORT);
            if let Some(whole) = whole {
                *value = json!(whole as i64);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(shorten_numbers),
        Value::Object(fields) => fields.values_mut().for_each(shorten_numbers),
        _ => {}
    }
}

fn check_embedded_labels(object: &JsonMap<String, Value>, place: &Place<'_>, causes: &mut Vec<Cause>) {
    let labels = object.get("metadata").and_then(|metadata| metadata["labels"].as_object());
    let place = &Place::Field(place, "metadata.labels");
    for (name, value) in labels.into_iter().flatten() {
        let value = value.as_str().unwrap_or_default();
        let of_name = names::qualified_name_problems(name).into_iter().map(|problem| (name.as_str(), problem));
        let of_value = names::label_value_problems(value).into_iter().map(|problem| (value, problem));
        let problems = of_name.chain(of_value);
        causes.extend(problems.map(|(text, problem)| Cause::new(CauseKind::Invalid, place, json!(text), problem)));
    }
}

/// What is wrong with whole objects within an object.
pub fn check_embedded(schema: &Schema, value: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    check_embedded_at(schema, value, &Place::Root, &mut causes);
    causes
}

fn check_embedded_at(schema: &Schema, value: &Value, place: &Place<'_>, causes: &mut Vec<Cause>) {
    if !schema.embeds {
        return;
    }
    match (&schema.shape, value) {
        (Shape::Map(map), Value::Object(object)) => {
            if schema.is_embedded_resource {
                let missing =
                    ["apiVersion", "kind"].into_iter().filter(|key| object.get(*key).is_none_or(|it| *it == json!("")));
                causes.extend(missing.map(|key| Cause::required(&Place::Field(place, key), "")));
                check_embedded_labels(object, place, causes);
            }
            for (key, value) in object {
                if let Some(field) = map.fields.get(key).or(map.others.as_ref()) {
                    check_embedded_at(field, value, &Place::Field(place, key), causes);
                }
            }
        }
        (Shape::List(list), Value::Array(items)) => {
            for (index, item) in items.iter().enumerate() {
                check_embedded_at(&list.items, item, &Place::Item(place, index), causes);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::read::read;

    fn schema() -> Schema {
        read(&json!({"type": "object", "properties": {
            "known": {"type": "object", "default": {}, "properties": {"size": {"type": "integer", "default": 5}}},
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
            "nullable": {"type": "string", "nullable": true},
            "text": {"type": "string"},
            "set": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
        }}))
    }

    #[test]
    fn what_the_schema_does_not_name_goes_but_what_every_object_has_stays() {
        let mut object =
            json!({"kind": "K", "metadata": {"x": 1}, "other": 1, "known": {"other": 1}, "free": {"any": 1}});
        assert_eq!(prune(&schema(), &mut object, true), ["known.other", "other"]);
        assert_eq!(object, json!({"kind": "K", "metadata": {"x": 1}, "known": {}, "free": {"any": 1}}));
    }

    #[test]
    fn defaults_come_within_defaults_and_null_goes_where_it_is_no_value() {
        let mut object = json!({"nullable": null, "text": null});
        apply_defaults(&schema(), &mut object);
        assert_eq!(object, json!({"known": {"size": 5}, "nullable": null}));
        let mut object = json!({"known": {"size": null}});
        apply_defaults(&schema(), &mut object);
        assert_eq!(object, json!({"known": {"size": 5}}));
    }

    #[test]
    fn an_item_that_is_in_a_set_twice_is_told_once() {
        let causes = check_lists(&schema(), &json!({"set": ["a", "b", "a", "a"]}));
        assert_eq!(causes, [Cause::new(CauseKind::Duplicate, "set[2]", json!("a"), "")]);
    }
}
