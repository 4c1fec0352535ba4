//! From the JSON of a schema, as OpenAPI v3 documents and CustomResourceDefinitions have it, to a [`Schema`].

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Map as JsonMap, Value};

use super::{Asked, List, ListType, Map, Rule, Scalar, Schema, Shape, Strategy, Validation, Zero};

/// What gives the schema that a `$ref` names.
pub type Resolve<'a> = dyn FnMut(&str) -> Arc<Schema> + 'a;

/// Reads a schema in which there is no `$ref`.
pub fn read(json: &Value) -> Schema {
    read_with(json, &mut |_| Arc::default())
}

/// Reads a schema whose `$ref`s are given by `resolve`.
pub fn read_with(json: &Value, resolve: &mut Resolve<'_>) -> Schema {
    let mut schema = match reference(json) {
        Some(name) => Schema::clone(&resolve(name)),
        None => Schema { shape: read_shape(json, resolve), ..Schema::default() },
    };
    schema.default = json.get("default").cloned().or(schema.default);
    schema.is_nullable |= is_true(json, "nullable");
    schema.keeps_unknown_fields |= is_true(json, "x-kubernetes-preserve-unknown-fields");
    schema.is_embedded_resource |= is_true(json, "x-kubernetes-embedded-resource");
    schema.format = text(json, "format").or(schema.format);
    schema.zero = read_zero(json);
    schema.validation = Validation::read(json).map(Arc::new).or(schema.validation);
    schema.rules.extend(items(json, "x-kubernetes-validations").iter().map(|rule| Arc::new(Rule::read(rule))));
    apply_strategies(&mut schema.shape, json);
    schema.asked = asked(&schema);
    schema.embeds = schema.is_embedded_resource || parts(&schema).any(|part| part.embeds);
    schema
}

fn asked(schema: &Schema) -> Asked {
    let of_rules =
        schema.rules.iter().map(|rule| if rule.compares_with_old() { Asked::Changes } else { Asked::Values });
    of_rules.chain(parts(schema).map(|part| part.asked)).max().unwrap_or_default()
}

/// The schemas of what lies directly within.
fn parts(schema: &Schema) -> impl Iterator<Item = &Arc<Schema>> {
    let (map, list) = match &schema.shape {
        Shape::Map(map) => (Some(map), None),
        Shape::List(list) => (None, Some(list)),
        Shape::Any | Shape::Scalar(_) => (None, None),
    };
    let of_map = map.into_iter().flat_map(|map| map.fields.values().chain(&map.others));
    of_map.chain(list.map(|list| &list.items))
}

fn reference(json: &Value) -> Option<&str> {
    let reference = json.get("$ref").or_else(|| match items(json, "allOf") {
        [single] => single.get("$ref"),
        _ => None,
    })?;
    reference.as_str()?.rsplit('/').next()
}

fn read_shape(json: &Value, resolve: &mut Resolve<'_>) -> Shape {
    if is_true(json, "x-kubernetes-int-or-string") {
        return Shape::Scalar(Scalar::IntOrString);
    }
    match json.get("type").and_then(Value::as_str) {
        Some("string") => Shape::Scalar(Scalar::String),
        Some("integer") => Shape::Scalar(Scalar::Integer),
        Some("number") => Shape::Scalar(Scalar::Number),
        Some("boolean") => Shape::Scalar(Scalar::Boolean),
        Some("array") => Shape::List(read_list(json, resolve)),
        Some("object") => Shape::Map(read_map(json, resolve)),
        _ => Shape::Any,
    }
}

fn read_list(json: &Value, resolve: &mut Resolve<'_>) -> List {
    let list_type = match json.get("x-kubernetes-list-type").and_then(Value::as_str) {
        Some("set") => ListType::Set,
        Some("map") => ListType::Map(texts(json, "x-kubernetes-list-map-keys")),
        _ => ListType::Atomic,
    };
    let items = json.get("items").map(|items| Arc::new(read_with(items, resolve))).unwrap_or_default();
    List { items, list_type, ..List::default() }
}

fn read_map(json: &Value, resolve: &mut Resolve<'_>) -> Map {
    let fields = match json.get("properties").and_then(Value::as_object) {
        Some(fields) => read_fields(fields, resolve),
        None => BTreeMap::new(),
    };
    let others = match json.get("additionalProperties") {
        None | Some(Value::Bool(false)) => None,
        Some(Value::Bool(true)) => Some(Arc::new(Schema { keeps_unknown_fields: true, ..Schema::default() })),
        Some(others) => Some(Arc::new(read_with(others, resolve))),
    };
    let is_implied = |field: &Schema| field.default.is_some() || matches!(field.zero, Zero::Written(_));
    let implied = fields.iter().filter(|(_, field)| is_implied(field)).map(|(name, _)| name.clone()).collect();
    Map { fields, others, implied, required: texts(json, "required"), ..Map::default() }
}

fn read_fields(fields: &JsonMap<String, Value>, resolve: &mut Resolve<'_>) -> BTreeMap<String, Arc<Schema>> {
    fields.iter().map(|(name, field)| (name.clone(), Arc::new(read_with(field, resolve)))).collect()
}

/// What stands beside a `$ref` counts too.
fn apply_strategies(shape: &mut Shape, json: &Value) {
    let strategy = json.get("x-kubernetes-patch-strategy").and_then(Value::as_str).map(|text| Strategy {
        merges: text.split(',').any(|word| word == "merge"),
        retains_keys: text.split(',').any(|word| word == "retainKeys"),
    });
    match shape {
        Shape::List(list) => {
            list.merge_key = text(json, "x-kubernetes-patch-merge-key").or(list.merge_key.take());
            list.strategy = strategy.unwrap_or(list.strategy);
        }
        Shape::Map(map) => {
            map.is_atomic |= json.get("x-kubernetes-map-type").and_then(Value::as_str) == Some("atomic");
            map.strategy = strategy.unwrap_or(map.strategy);
        }
        Shape::Any | Shape::Scalar(_) => {}
    }
}

fn read_zero(json: &Value) -> Zero {
    match json.get("x-zero") {
        None => Zero::Kept,
        Some(Value::Object(zero)) => Zero::Written(zero.get("written").cloned().unwrap_or_default()),
        Some(_) => Zero::Dropped,
    }
}

pub(super) fn is_true(json: &Value, key: &str) -> bool {
    json.get(key).and_then(Value::as_bool).unwrap_or_default()
}

pub(super) fn text(json: &Value, key: &str) -> Option<String> {
    json.get(key).and_then(Value::as_str).map(str::to_owned)
}

pub(super) fn items<'a>(json: &'a Value, key: &str) -> &'a [Value] {
    json.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

pub(super) fn texts(json: &Value, key: &str) -> Vec<String> {
    items(json, key).iter().filter_map(Value::as_str).map(str::to_owned).collect()
}
