//! A CustomResourceDefinition and the kinds that it defines.
//!
//! Not done: conversion between versions beyond the change of `apiVersion`, estimates of the cost of rules.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use serde_json::Value;

use crate::{
    resource::{Resource, ScalePaths},
    schema::{Scalar, Schema, Shape, openapi, read::read},
};

mod custom;

/// The kinds that a CustomResourceDefinition defines, one a served version, in the order in which it names them.
///
/// Read once a process: to compile patterns and rules takes longer than a whole simulation should.
pub fn resources(definition: &Value) -> Vec<Resource> {
    static READ: LazyLock<Mutex<BTreeMap<String, Vec<Resource>>>> = LazyLock::new(Mutex::default);
    let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
    read.entry(definition["spec"].to_string()).or_insert_with(|| read_resources(definition)).clone()
}

fn read_resources(definition: &Value) -> Vec<Resource> {
    let versions = definition["spec"]["versions"].as_array();
    let served = versions.into_iter().flatten().filter(|version| version["served"].as_bool().unwrap_or_default());
    let mut resources: Vec<Resource> = served.map(|version| resource(definition, version)).collect();
    let schemas: BTreeMap<String, Arc<Schema>> =
        resources.iter().map(|resource| (resource.api_version(), resource.schema.clone())).collect();
    for resource in &mut resources {
        resource.other_schemas = schemas.clone();
        resource.other_schemas.remove(&resource.api_version());
    }
    resources
}

fn resource(definition: &Value, version: &Value) -> Resource {
    let spec = &definition["spec"];
    let names = &spec["names"];
    let kind = text(&names["kind"]);
    let otherwise = |value: &Value, otherwise: String| value.as_str().map_or(otherwise, str::to_owned);
    let schema = Arc::new(with_metadata(read(&version["schema"]["openAPIV3Schema"])));
    let subresources = &version["subresources"];
    let has_status = !subresources["status"].is_null();
    let scale = scale(&subresources["scale"]);
    Resource {
        group: text(&spec["group"]),
        version: text(&version["name"]),
        list_kind: otherwise(&names["listKind"], format!("{kind}List")),
        plural: text(&names["plural"]),
        singular: otherwise(&names["singular"], kind.to_lowercase()),
        short_names: texts(&names["shortNames"]),
        categories: texts(&names["categories"]),
        is_namespaced: spec["scope"] == "Namespaced",
        is_custom: true,
        has_status,
        selectable_fields: selectable_fields(version),
        rules: Arc::new(custom::Custom::new(schema.clone(), has_status, scale.clone(), is_original(definition))),
        scale,
        schema,
        other_schemas: BTreeMap::new(),
        deprecation: deprecation(spec, version),
        kind,
    }
}

/// Whether everything that is stored has passed the rules as they are: they never were others.
fn is_original(definition: &Value) -> bool {
    let versions = definition["spec"]["versions"].as_array().map_or(0, Vec::len);
    definition["metadata"]["generation"] == 1 && versions == 1
}

fn deprecation(spec: &Value, version: &Value) -> Option<String> {
    let (group, name, kind) = (text(&spec["group"]), text(&version["name"]), text(&spec["names"]["kind"]));
    let words = || format!("{group}/{name} {kind} is deprecated");
    (version["deprecated"] == true).then(|| version["deprecationWarning"].as_str().map_or_else(words, str::to_owned))
}

/// Version, kind and metadata are what they are of every kind; a definition can only limit names.
fn with_metadata(mut schema: Schema) -> Schema {
    let Shape::Map(map) = &mut schema.shape else { return schema };
    let text = Arc::new(Schema { shape: Shape::Scalar(Scalar::String), ..Schema::default() });
    for name in ["apiVersion", "kind"] {
        map.fields.insert(name.to_owned(), text.clone());
    }
    let given = map.fields.get("metadata").cloned().unwrap_or_default();
    let mut metadata = Schema::clone(&openapi::METADATA);
    if let (Shape::Map(given), Shape::Map(metadata)) = (&given.shape, &mut metadata.shape) {
        for name in ["name", "generateName"] {
            if let Some(limits) = given.fields.get(name) {
                metadata.fields.insert(name.to_owned(), limits.clone());
            }
        }
    }
    map.fields.insert("metadata".to_owned(), Arc::new(metadata));
    schema
}

fn scale(scale: &Value) -> Option<ScalePaths> {
    (!scale.is_null()).then(|| ScalePaths {
        replicas: text(&scale["specReplicasPath"]),
        status_replicas: text(&scale["statusReplicasPath"]),
        selector: scale["labelSelectorPath"].as_str().map(str::to_owned),
    })
}

fn selectable_fields(version: &Value) -> Vec<String> {
    let fields = version["selectableFields"].as_array().into_iter().flatten();
    fields.filter_map(|field| Some(field["jsonPath"].as_str()?.trim_start_matches('.').to_owned())).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(text).collect()
}
