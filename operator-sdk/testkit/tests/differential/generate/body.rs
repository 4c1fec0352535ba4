//! What generated requests send.

use serde_json::{Value, json};

use super::Chance;

/// A whole object without a name.
pub fn whole(chance: &mut Chance, kind: &str) -> Value {
    let mut body = part(chance, kind, false);
    match kind {
        "pods" => {
            let spec = body["spec"].as_object_mut();
            spec.map(|spec| spec.entry("containers").or_insert(json!([{ "name": "c", "image": "i:1" }])));
            if chance.percent(50) {
                body["spec"]["nodeName"] = json!("node");
            }
        }
        "deployments" => {
            let template = &mut body["spec"]["template"];
            template["metadata"]["labels"] = json!({ "app": "x" });
            if template["spec"]["containers"].is_null() {
                template["spec"]["containers"] = json!([{ "name": "c", "image": "i:1" }]);
            }
            body["spec"]["selector"] = json!({ "matchLabels": { "app": "x" } });
        }
        _ => {}
    }
    body
}

/// Some of the fields of an object; `may_remove`: with nulls, as patches have them.
pub fn part(chance: &mut Chance, kind: &str, may_remove: bool) -> Value {
    let mut body = json!({ "metadata": metadata(chance, may_remove) });
    let mut content = match kind {
        "configmaps" => json!({ "data": { "k1": chance.of(&["v", "w"]), "k2": chance.of(&["v", "w"]) } }),
        "pods" => json!({ "spec": pod(chance) }),
        "deployments" => json!({ "spec": deployment(chance) }),
        "leases" => json!({ "spec": lease(chance) }),
        _ => json!({ "spec": widget(chance) }),
    };
    for part in content.as_object_mut().into_iter().flat_map(|content| content.values_mut()) {
        thin_out(chance, part, may_remove);
    }
    if let (Some(body), Value::Object(content)) = (body.as_object_mut(), content) {
        body.extend(content);
    }
    body
}

/// A status.
pub fn status(chance: &mut Chance, kind: &str) -> Value {
    match kind {
        "pods" => json!({ "status": { "phase": chance.of(&["Pending", "Running", "Succeeded", "Failed"]) } }),
        "deployments" => json!({ "status": { "replicas": chance.below(3), "observedGeneration": chance.below(3) } }),
        _ => json!({
            "metadata": { "labels": { "l": "one" } },
            "status": { "replicas": chance.below(3), "phase": chance.of(&["Ready", "Waiting"]) },
        }),
    }
}

/// A JSON patch of one or two operations.
pub fn json_patch(chance: &mut Chance, kind: &str) -> Value {
    let spec = match kind {
        "configmaps" => "/data/k1",
        "leases" => "/spec/holderIdentity",
        "widgets" => "/spec/color",
        "deployments" => "/spec/template/spec/containers/0/image",
        _ => "/spec/containers/0/image",
    };
    let operations = (0..=chance.below(2)).map(|_| match chance.below(7) {
        0 => json!({ "op": "add", "path": "/metadata/labels/l", "value": chance.of(&["one", "two"]) }),
        1 => json!({ "op": "add", "path": "/metadata/labels", "value": { "l": chance.of(&["one", "two"]) } }),
        2 => json!({ "op": "remove", "path": "/metadata/finalizers/0" }),
        3 => json!({ "op": "add", "path": "/metadata/finalizers", "value": ["example.com/f"] }),
        4 => json!({ "op": "test", "path": "/metadata/labels/l", "value": "one" }),
        5 => json!({ "op": "remove", "path": "/metadata/finalizers" }),
        _ => json!({ "op": "replace", "path": spec, "value": chance.of(&["red", "blue", "green"]) }),
    });
    Value::Array(operations.collect())
}

fn metadata(chance: &mut Chance, may_remove: bool) -> Value {
    let mut metadata = json!({});
    if chance.percent(50) {
        metadata["labels"]["l"] = json!(chance.of(&["one", "two"]));
    }
    if may_remove && chance.percent(10) {
        metadata["labels"] = Value::Null;
    }
    if chance.percent(15) {
        metadata["annotations"]["example.com/note"] = json!(chance.of(&["x", "y"]));
    }
    match chance.below(100) {
        0..20 => metadata["finalizers"] = json!(["example.com/f"]),
        20..25 => metadata["finalizers"] = json!(["example.com/g", "example.com/f"]),
        25..40 if may_remove => metadata["finalizers"] = Value::Null,
        40..42 => metadata["labels"]["l"] = json!("not a label!"),
        _ => {}
    }
    metadata
}

fn pod(chance: &mut Chance) -> Value {
    json!({
        "containers": [{ "name": "c", "image": chance.of(&["i:1", "i:2"]) }],
        "activeDeadlineSeconds": chance.of(&[100, 200]),
        "terminationGracePeriodSeconds": chance.of(&[0, 30, 60]),
    })
}

fn deployment(chance: &mut Chance) -> Value {
    let mut container = json!({ "name": chance.of(&["c", "c", "d"]), "image": chance.of(&["i:1", "i:2"]) });
    if chance.percent(40) {
        container["env"] = json!([{ "name": chance.of(&["E", "F"]), "value": chance.of(&["1", "2"]) }]);
    }
    json!({
        "replicas": chance.of(&[0, 1, 2, 5]),
        "paused": chance.percent(50),
        "minReadySeconds": chance.of(&[0, 5]),
        "strategy": chance.of(&[
            r#"{"type":"Recreate"}"#,
            r#"{"rollingUpdate":{"maxSurge":1}}"#,
            r#"{"type":"RollingUpdate","rollingUpdate":{"maxUnavailable":"50%"}}"#,
        ]).parse::<Value>().unwrap_or_default(),
        "template": { "spec": { "containers": [container] } },
    })
}

fn lease(chance: &mut Chance) -> Value {
    json!({
        "holderIdentity": chance.of(&["x", "z"]),
        "leaseDurationSeconds": chance.of(&[15, 20, 0]),
        "leaseTransitions": chance.below(3),
        "renewTime": chance.of(&["2020-01-01T00:00:00.000000Z", "2020-01-01T00:00:01.500000Z"]),
    })
}

fn widget(chance: &mut Chance) -> Value {
    json!({
        "replicas": chance.of(&[0, 1, 2, 3, 3, 200]),
        "least": chance.of(&[0, 1, 2]),
        "color": chance.of(&["red", "green", "blue", "blue", "pink"]),
        "fixed": chance.of(&["x", "x", "x", "z"]),
        "port": chance.of(&["80", "\"http\""]).parse::<Value>().unwrap_or_default(),
        "labels": { "p": chance.of(&["1", "2"]), "q": "3" },
        "tags": chance.of(&[r#"["t"]"#, r#"["t","u"]"#, r#"["u","v"]"#, r#"["t","t"]"#, "[]"]).parse::<Value>().unwrap_or_default(),
        "parts": chance.of(&[
            r#"[{"name":"p"}]"#, r#"[{"name":"p","count":3},{"name":"q"}]"#, r#"[{"name":"q","count":4}]"#, r#"[{"count":4}]"#,
        ]).parse::<Value>().unwrap_or_default(),
        "steps": chance.of(&[r#"["one"]"#, r#"["one","two"]"#]).parse::<Value>().unwrap_or_default(),
    })
}

/// Leaves most fields out, so that requests touch some of them only.
fn thin_out(chance: &mut Chance, value: &mut Value, may_remove: bool) {
    let Some(fields) = value.as_object_mut() else { return };
    let names: Vec<String> = fields.keys().cloned().collect();
    for name in names {
        match chance.below(100) {
            0..60 => drop(fields.remove(&name)),
            60..67 if may_remove => drop(fields.insert(name, Value::Null)),
            _ => {}
        }
    }
}
