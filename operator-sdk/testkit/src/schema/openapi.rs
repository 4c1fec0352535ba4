//! The schemas of built-in kinds, from the published OpenAPI v3 documents: see `schemas/README.md`.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use serde_json::Value;

use super::{
    Scalar, Schema, Shape,
    read::{self, read_with},
};

/// What is known of each built-in type, unread.
static LINES: LazyLock<BTreeMap<&str, &str>> = LazyLock::new(|| {
    include_str!("../../schemas/builtin.txt").lines().filter_map(|line| line.split_once(' ')).collect()
});

/// What has been read.
static READ: LazyLock<Mutex<BTreeMap<String, Arc<Schema>>>> = LazyLock::new(Mutex::default);

/// What every object has.
pub static METADATA: LazyLock<Arc<Schema>> =
    LazyLock::new(|| schema("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"));

/// The schema of a type by the name that the documents give it, as in `io.k8s.api.apps.v1.Deployment`; of an unknown one
/// nothing is known. Where a type holds itself (the schema in a CustomResourceDefinition), the inner one may be anything.
pub fn schema(name: &str) -> Arc<Schema> {
    let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
    resolve(name, &mut read)
}

fn resolve(name: &str, read: &mut BTreeMap<String, Arc<Schema>>) -> Arc<Schema> {
    if let Some(schema) = read.get(name) {
        return schema.clone();
    }
    let anything = Arc::new(Schema { keeps_unknown_fields: true, ..Schema::default() });
    // While it is being read, it is anything.
    read.insert(name.to_owned(), anything.clone());
    let schema = match LINES.get(name).and_then(|line| serde_json::from_str::<Value>(line).ok()) {
        Some(json) => {
            let schema = special(name, &json).unwrap_or_else(|| read_with(&json, &mut |name| resolve(name, read)));
            Arc::new(Schema { name: Some(name.into()), ..schema })
        }
        None => anything,
    };
    read.insert(name.to_owned(), schema.clone());
    schema
}

/// Types that say less of themselves than is known of them.
fn special(name: &str, json: &Value) -> Option<Schema> {
    let scalar = |scalar| Schema { shape: Shape::Scalar(scalar), ..Schema::default() };
    match name.rsplit('.').next()? {
        "IntOrString" => Some(scalar(Scalar::IntOrString)),
        "Quantity" => Some(scalar(Scalar::Quantity)),
        "MicroTime" => Some(Schema { format: Some("micro-time".to_owned()), ..scalar(Scalar::String) }),
        _ if json.get("properties").is_none() && json.get("type").and_then(Value::as_str) == Some("object") => {
            Some(Schema { keeps_unknown_fields: true, ..Schema::default() })
        }
        _ if json.get("type").is_none() && json.get("properties").is_none() => {
            Some(Schema { keeps_unknown_fields: true, format: read::text(json, "format"), ..Schema::default() })
        }
        _ => None,
    }
}
