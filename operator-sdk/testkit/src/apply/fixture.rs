//! A kind for tests that has every sort of field.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};

use crate::{
    cause::Cause,
    resource::{Part, Resource, Rules},
    schema::{List, ListType, Map, Scalar, Schema, Shape},
};

struct NoRules;

impl Rules for NoRules {
    fn default(&self, _object: &mut Value) {}

    fn validate(&self, _new: &Value, _old: Option<&Value>, _part: Part) -> Vec<Cause> {
        Vec::new()
    }
}

/// A custom kind with a status.
pub(super) fn resource() -> Resource {
    Resource {
        group: "example.com".into(),
        version: "v1".into(),
        kind: "Thing".into(),
        list_kind: "ThingList".into(),
        plural: "things".into(),
        singular: "thing".into(),
        short_names: Vec::new(),
        categories: Vec::new(),
        is_namespaced: true,
        is_custom: true,
        has_status: true,
        scale: None,
        schema: thing(),
        other_schemas: BTreeMap::new(),
        deprecation: None,
        selectable_fields: Vec::new(),
        rules: Arc::new(NoRules),
    }
}

fn thing() -> Arc<Schema> {
    let text = || scalar(Scalar::String);
    let texts = || map(&[], Some(text()));
    let tcp = Arc::new(Schema { default: Some(json!("TCP")), ..(*text()).clone() });
    let port = map(&[("port", scalar(Scalar::Integer)), ("protocol", tcp), ("name", text())], None);
    let part = map(
        &[
            ("name", text()),
            ("image", text()),
            ("env", texts()),
            ("ports", list(port, keyed(&["port", "protocol"]))),
            ("args", list(text(), ListType::Atomic)),
        ],
        None,
    );
    let spec = map(
        &[
            ("replicas", scalar(Scalar::Integer)),
            ("paused", scalar(Scalar::Boolean)),
            ("labels", texts()),
            ("tags", list(text(), ListType::Set)),
            ("parts", list(part, keyed(&["name"]))),
            ("selector", atomic(&[("app", text())])),
            ("free", anything()),
        ],
        None,
    );
    let status = map(&[("replicas", scalar(Scalar::Integer))], None);
    map(&[("spec", spec), ("status", status)], None)
}

fn anything() -> Arc<Schema> {
    Arc::new(Schema::default())
}

fn scalar(scalar: Scalar) -> Arc<Schema> {
    Arc::new(Schema { shape: Shape::Scalar(scalar), ..Schema::default() })
}

fn list(items: Arc<Schema>, list_type: ListType) -> Arc<Schema> {
    Arc::new(Schema { shape: Shape::List(List { items, list_type, ..List::default() }), ..Schema::default() })
}

fn keyed(keys: &[&str]) -> ListType {
    ListType::Map(keys.iter().map(|key| (*key).to_owned()).collect())
}

fn map(fields: &[(&str, Arc<Schema>)], others: Option<Arc<Schema>>) -> Arc<Schema> {
    let fields = fields.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
    Arc::new(Schema { shape: Shape::Map(Map { fields, others, ..Map::default() }), ..Schema::default() })
}

fn atomic(fields: &[(&str, Arc<Schema>)]) -> Arc<Schema> {
    let fields = fields.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
    let map = Map { fields, is_atomic: true, ..Map::default() };
    Arc::new(Schema { shape: Shape::Map(map), ..Schema::default() })
}
