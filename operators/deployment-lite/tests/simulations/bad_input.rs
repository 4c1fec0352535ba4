//! Bad input is refused where it is given, by the field's name: asked of the simulated server, and of a real one in
//! `tests/e2e`.

use http::Method;
use operator_testkit::{
    request::{Reply, Request},
    server::{Answer, Server},
    service::START,
    simulation::Manifest,
    yaml,
};
use serde_json::{Value, json};

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const BOTH: [&str; 2] = ["LiteDeployment", "LiteReplicaSet"];

fn server() -> Server {
    let mut server = Server::new(1);
    let definitions: [Manifest; 2] = [
        yaml!("../../crds/apps.operator-lite.dev_litedeployments.yaml"),
        yaml!("../../crds/apps.operator-lite.dev_litereplicasets.yaml"),
    ];
    for definition in definitions.iter().flat_map(Manifest::objects) {
        let reply = send(&mut server, Request::new(Method::POST, DEFINITIONS).with_body(definition));
        assert_eq!(reply.code, 201, "{}", reply.to_value());
    }
    server
}

fn send(server: &mut Server, request: Request) -> Reply {
    match server.handle(START, &Request { received: START, ..request }) {
        Answer::Reply(reply) => reply,
        other => panic!("not a reply: {other:?}"),
    }
}

fn collection(kind: &str) -> String {
    format!("/apis/apps.operator-lite.dev/v1alpha1/namespaces/default/{}s", kind.to_lowercase())
}

fn create(server: &mut Server, object: &Value) -> Reply {
    let kind = object["kind"].as_str().unwrap_or_default();
    send(server, Request::new(Method::POST, collection(kind)).with_body(object))
}

/// What nobody may ask for, of one part of the table.
pub(crate) fn rows(part: &str) -> Vec<Value> {
    yaml!("tests/testdata/bad_input.yaml").objects()[0][part].as_array().cloned().expect("rows")
}

/// Says these values, each at its JSON pointer.
pub(crate) fn set_all(spec: &mut Value, values: &Value) {
    for (pointer, value) in values.as_object().expect("what to set") {
        let (parent, name) = pointer.rsplit_once('/').expect("a JSON pointer");
        spec.pointer_mut(parent).expect("a place in the spec")[name] = value.clone();
    }
}

/// A good object of a kind.
fn web(kind: &str) -> Value {
    json!({
        "apiVersion": "apps.operator-lite.dev/v1alpha1", "kind": kind, "metadata": {"name": "web"},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "web", "image": "web"}]},
            },
        },
    })
}

#[test]
fn what_nobody_may_ask_for_is_refused_by_the_fields_name() {
    let mut server = server();
    for (kind, rows) in BOTH.into_iter().zip([[rows("of_both"), rows("of_deployment")].concat(), rows("of_both")]) {
        for row in rows {
            let mut object = web(kind);
            set_all(&mut object["spec"], &row["set"]);
            let reply = create(&mut server, &object);
            let (told, field) = (reply.to_value()["message"].to_string(), row["field"].as_str().expect("a field"));
            assert_eq!(reply.code, 422, "{kind} {row}");
            assert!(told.contains(&format!("{field}: ")), "{kind} {row}: {told}");
        }
        assert_eq!(create(&mut server, &web(kind)).code, 201, "only what is spoilt is wrong");
    }
}

#[test]
fn a_changed_selector_is_refused() {
    let mut server = server();
    for kind in BOTH {
        assert_eq!(create(&mut server, &web(kind)).code, 201);
        let labels = json!({"app": "web", "tier": "front"});
        let changed = json!({"spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}},
        }});
        let request = Request::new(Method::PATCH, format!("{}/web", collection(kind)));
        let reply = send(&mut server, request.with_content("application/merge-patch+json", changed.to_string()));
        assert_eq!(reply.code, 422, "{kind}");
        let told = reply.to_value()["message"].to_string();
        assert!(told.contains("spec.selector: ") && told.contains("immutable"), "{told}");
    }
}

#[test]
fn what_is_left_out_is_stored_with_its_default() {
    let mut object = web("LiteDeployment");
    object["spec"]["replicas"] = Value::Null;
    let stored = create(&mut server(), &object).to_value();
    assert_eq!(stored["spec"]["replicas"], 1);
    let limits = json!({"maxSurge": "25%", "maxUnavailable": "25%"});
    assert_eq!(stored["spec"]["strategy"], json!({"type": "RollingUpdate", "rollingUpdate": limits}));
}
