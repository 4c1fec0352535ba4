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
    let mut metadata = Schema::clone(&openapi::schema("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"));
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{cause::Cause, resource::Part};

    /// What the real server stores, or the fields and details of what it refuses.
    fn outcome(resource: &Resource, mut object: Value, old: Option<&Value>) -> Result<Value, Vec<String>> {
        resource.decode(&mut object).map_err(|error| vec![error])?;
        resource.rules.prepare(&mut object, old, Part::Main);
        resource.rules.default(&mut object);
        let causes = resource.rules.validate(&object, old, Part::Main);
        if causes.is_empty() { Ok(object) } else { Err(causes.iter().map(told).collect()) }
    }

    fn told(cause: &Cause) -> String {
        let value = cause.value.as_ref().map_or_else(String::new, |value| format!(" {value}"));
        format!("{}: {}{value} {}", cause.field, cause.kind.reason(), cause.detail)
    }

    fn lite(kind: &str) -> Resource {
        let file = match kind {
            "LiteDeployment" => include_str!("../../../crds/apps.operator-lite.dev_litedeployments.yaml"),
            _ => include_str!("../../../crds/apps.operator-lite.dev_litereplicasets.yaml"),
        };
        resources(&serde_saphyr::from_str(file).unwrap()).remove(0)
    }

    fn web(kind: &str) -> Value {
        json!({
            "apiVersion": "apps.operator-lite.dev/v1alpha1", "kind": kind,
            "metadata": {"name": "web"},
            "spec": {
                "selector": {"matchLabels": {"app": "web"}},
                "template": {
                    "metadata": {"labels": {"app": "web"}},
                    "spec": {"containers": [{"name": "web", "image": "web"}]},
                },
            },
        })
    }

    type Spoilt = (&'static str, fn(&mut Value));

    /// What `tests/e2e` asks of a real cluster.
    const SPOILT: [Spoilt; 31] = [
        ("spec.selector", |spec| spec["selector"] = Value::Null),
        ("spec.selector", |spec| spec["selector"] = json!({})),
        ("spec.selector", |spec| spec["selector"] = json!({"matchLabels": {}, "matchExpressions": []})),
        ("spec.selector.matchLabels", |spec| spec["selector"] = json!({"matchLabels": {"app": "other"}})),
        ("spec.selector.matchLabels", |spec| spec["selector"]["matchLabels"]["no name!"] = json!("web")),
        ("spec.selector.matchLabels.app", |spec| {
            spec["selector"]["matchLabels"]["app"] = json!("no value!");
            spec["template"]["metadata"]["labels"]["app"] = json!("no value!");
        }),
        ("spec.selector.matchExpressions", |spec| expression(spec, json!({"key": "tier", "operator": "Exists"}))),
        ("spec.selector.matchExpressions[0].key", |spec| {
            expression(spec, json!({"key": "no name!", "operator": "DoesNotExist"}));
        }),
        ("spec.selector.matchExpressions[0].operator", |spec| {
            expression(spec, json!({"key": "app", "operator": "Like", "values": ["web"]}));
        }),
        ("spec.selector.matchExpressions[0].values", |spec| expression(spec, json!({"key": "app", "operator": "In"}))),
        ("spec.selector.matchExpressions[0].values", |spec| {
            expression(spec, json!({"key": "app", "operator": "Exists", "values": ["web"]}));
        }),
        ("spec.selector.matchExpressions[0].values[1]", |spec| {
            expression(spec, json!({"key": "app", "operator": "In", "values": ["web", "no value!"]}));
        }),
        ("spec.template", |spec| spec["template"] = Value::Null),
        ("spec.template.metadata.labels.tier", |spec| {
            spec["template"]["metadata"]["labels"]["tier"] = json!("no value!");
        }),
        ("spec.template.spec.restartPolicy", |spec| spec["template"]["spec"]["restartPolicy"] = json!("OnFailure")),
        ("spec.template.spec.activeDeadlineSeconds", |spec| {
            spec["template"]["spec"]["activeDeadlineSeconds"] = json!(60);
        }),
        ("spec.template.spec.containers[0].readinessProbe.httpGet.port", |spec| {
            let probe = json!({"httpGet": {"path": "/", "port": 3_000_000_000_u32}});
            spec["template"]["spec"]["containers"][0]["readinessProbe"] = probe;
        }),
        ("spec.replicas", |spec| spec["replicas"] = json!(-1)),
        ("spec.minReadySeconds", |spec| spec["minReadySeconds"] = json!(-1)),
        ("spec.revisionHistoryLimit", |spec| spec["revisionHistoryLimit"] = json!(-1)),
        ("spec.progressDeadlineSeconds", |spec| spec["progressDeadlineSeconds"] = json!(-1)),
        ("spec.progressDeadlineSeconds", |spec| {
            spec["progressDeadlineSeconds"] = json!(30);
            spec["minReadySeconds"] = json!(30);
        }),
        ("spec.strategy.type", |spec| spec["strategy"] = json!({"type": "Sideways"})),
        ("spec.strategy.rollingUpdate", |spec| spec["strategy"] = json!({"type": "Recreate", "rollingUpdate": {}})),
        ("spec.strategy.rollingUpdate.maxSurge", |spec| limits(spec, json!(-1), json!(1))),
        ("spec.strategy.rollingUpdate.maxSurge", |spec| limits(spec, json!("many"), json!(1))),
        ("spec.strategy.rollingUpdate.maxUnavailable", |spec| limits(spec, json!(1), json!(-1))),
        ("spec.strategy.rollingUpdate.maxUnavailable", |spec| limits(spec, json!(1), json!("25"))),
        ("spec.strategy.rollingUpdate.maxUnavailable", |spec| limits(spec, json!(1), json!("101%"))),
        ("spec.strategy.rollingUpdate.maxUnavailable", |spec| limits(spec, json!(0), json!(0))),
        ("spec.strategy.rollingUpdate.maxUnavailable", |spec| limits(spec, json!("0%"), json!("0%"))),
    ];

    fn expression(spec: &mut Value, expression: Value) {
        spec["selector"]["matchExpressions"] = json!([expression]);
    }

    fn limits(spec: &mut Value, surge: Value, unavailable: Value) {
        spec["strategy"] = json!({"rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}});
    }

    #[test]
    fn a_good_lite_deployment_is_stored_with_its_defaults() {
        let stored = outcome(&lite("LiteDeployment"), web("LiteDeployment"), None).unwrap();
        assert_eq!(stored["spec"]["replicas"], 1);
        assert_eq!(
            stored["spec"]["strategy"],
            json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}})
        );
    }

    #[test]
    fn what_a_lite_deployment_may_not_ask_for_is_refused_by_the_fields_name() {
        let resource = lite("LiteDeployment");
        for (field, spoil) in SPOILT {
            let mut object = web("LiteDeployment");
            spoil(&mut object["spec"]);
            let told = outcome(&resource, object.clone(), None).expect_err(&object["spec"].to_string());
            assert!(told.iter().any(|told| told.starts_with(&format!("{field}: "))), "{field}: {told:?}");
        }
    }

    #[test]
    fn a_changed_selector_is_refused() {
        for kind in ["LiteDeployment", "LiteReplicaSet"] {
            let resource = lite(kind);
            let stored = outcome(&resource, web(kind), None).unwrap();
            let mut changed = stored.clone();
            changed["spec"]["selector"] = json!({"matchLabels": {"app": "web", "tier": "front"}});
            changed["spec"]["template"]["metadata"]["labels"] = json!({"app": "web", "tier": "front"});
            let told = outcome(&resource, changed, Some(&stored)).unwrap_err();
            assert_eq!(told, ["spec.selector: FieldValueInvalid field is immutable"]);
        }
    }
}
