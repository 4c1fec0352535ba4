use super::*;

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const WIDGETS: &str = "/apis/example.com/v1/namespaces/default/widgets";

fn definition(properties: &Value) -> Value {
    let schema = json!({ "type": "object", "properties": { "spec": { "type": "object", "properties": properties },
        "status": { "type": "object", "x-kubernetes-preserve-unknown-fields": true } } });
    let subresources = json!({ "status": {}, "scale": { "specReplicasPath": ".spec.replicas",
        "statusReplicasPath": ".status.replicas" } });
    json!({ "metadata": { "name": "widgets.example.com" }, "spec": { "group": "example.com", "scope": "Namespaced",
        "names": { "kind": "Widget", "plural": "widgets" },
        "versions": [{ "name": "v1", "served": true, "storage": true, "schema": { "openAPIV3Schema": schema },
            "subresources": subresources }] } })
}

fn widget(finalizers: &Value) -> Value {
    json!({ "apiVersion": "example.com/v1", "kind": "Widget", "spec": { "replicas": 1, "unknown": 1 },
        "status": { "replicas": 9 }, "metadata": { "name": "a", "finalizers": finalizers } })
}

#[test]
fn what_a_definition_defines_is_served_at_once_and_established() {
    let mut bench = Bench::new();
    assert_eq!(bench.get(WIDGETS).code, 404);
    bench.post(DEFINITIONS, &definition(&json!({ "replicas": { "type": "integer" } })));
    let stored = bench.get(&format!("{DEFINITIONS}/widgets.example.com")).to_value();
    assert_eq!(stored["status"]["conditions"][1]["type"], "Established");
    let made = bench.post(WIDGETS, &widget(&Value::Null));
    assert_eq!((&made["spec"], &made["status"]), (&json!({ "replicas": 1 }), &Value::Null));
}

#[test]
fn a_new_default_is_read_from_old_objects() {
    let mut bench = Bench::new();
    bench.post(DEFINITIONS, &definition(&json!({ "replicas": { "type": "integer" } })));
    let old = bench.post(WIDGETS, &widget(&Value::Null));
    let new = definition(&json!({ "replicas": { "type": "integer" }, "mode": { "type": "string", "default": "x" } }));
    let path = format!("{DEFINITIONS}/widgets.example.com");
    assert_eq!(bench.merge(&path, &json!({ "spec": new["spec"] })).code, 200);
    let read = bench.get(&format!("{WIDGETS}/a")).to_value();
    assert_eq!(read["spec"]["mode"], "x");
    assert_eq!(revision(&read), revision(&old));
}

#[test]
fn a_definition_goes_with_its_objects_and_waits_for_those_that_are_held() {
    let mut bench = Bench::new();
    bench.post(DEFINITIONS, &definition(&json!({ "replicas": { "type": "integer" } })));
    bench.post(WIDGETS, &widget(&json!(["example.com/f"])));
    let path = format!("{DEFINITIONS}/widgets.example.com");
    assert_eq!(bench.delete(&path).code, 200);
    assert_eq!(bench.get(&path).code, 200);
    assert_eq!(bench.send(at(Method::POST, WIDGETS).with_body(&widget(&Value::Null))).code, 403);
    assert_eq!(bench.merge(&format!("{WIDGETS}/a"), &json!({ "metadata": { "finalizers": null } })).code, 200);
    assert_eq!(bench.get(&path).code, 404);
    assert_eq!(bench.get(WIDGETS).code, 404);
}

#[test]
fn status_and_scale_write_their_own_parts_only() {
    let mut bench = Bench::new();
    bench.post(DEFINITIONS, &definition(&json!({ "replicas": { "type": "integer" } })));
    bench.post(WIDGETS, &widget(&Value::Null));
    let path = format!("{WIDGETS}/a");
    let body =
        json!({ "spec": { "replicas": 5 }, "status": { "replicas": 2 }, "metadata": { "labels": { "l": "x" } } });
    let written = bench.merge(&format!("{path}/status"), &body).to_value();
    assert_eq!((&written["spec"]["replicas"], &written["status"]["replicas"]), (&json!(1), &json!(2)));
    assert!(written["metadata"]["labels"].is_null());
    assert_eq!(written["metadata"]["generation"], 1);
    let written = bench.merge(&path, &body).to_value();
    assert_eq!((&written["spec"]["replicas"], &written["metadata"]["generation"]), (&json!(5), &json!(2)));
    let scaled = bench.merge(&format!("{path}/scale"), &json!({ "spec": { "replicas": 7 } })).to_value();
    assert_eq!((&scaled["kind"], &scaled["status"]["replicas"]), (&json!("Scale"), &json!(2)));
    let read = bench.get(&path).to_value();
    assert_eq!((&read["spec"]["replicas"], &read["metadata"]["generation"]), (&json!(7), &json!(3)));
}
