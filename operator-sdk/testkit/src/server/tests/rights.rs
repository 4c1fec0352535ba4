use super::*;

fn as_account(mut request: Request) -> Request {
    request.user = User::service_account("default", "operator");
    request
}

fn granted(bench: &mut Bench, rules: &Value) {
    let rights = "/apis/rbac.authorization.k8s.io/v1/namespaces/default";
    bench.post(&format!("{rights}/roles"), &json!({ "metadata": { "name": "r" }, "rules": rules }));
    let subject = json!({ "kind": "ServiceAccount", "name": "operator", "namespace": "default" });
    let role = json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r" });
    let binding = json!({ "metadata": { "name": "r" }, "subjects": [subject], "roleRef": role });
    bench.post(&format!("{rights}/rolebindings"), &binding);
}

#[test]
fn who_has_a_right_may_use_it_and_nothing_else_and_its_use_is_noted() {
    let mut bench = Bench::new();
    bench.server.enforce_permissions(true);
    granted(&mut bench, &json!([{ "verbs": ["list"], "apiGroups": [""], "resources": ["configmaps"] }]));
    assert_eq!(bench.send(as_account(at(Method::GET, MAPS))).code, 200);
    let refused = bench.send(as_account(at(Method::POST, MAPS).with_body(&map("a"))));
    assert_eq!((refused.code, refused.reason()), (403, "Forbidden"));
    assert_eq!(bench.send(as_account(at(Method::GET, "/api/v1/configmaps"))).code, 403);
    let used = &bench.server.used_permissions()["system:serviceaccount:default:operator"];
    let list = ("list".to_owned(), String::new(), "configmaps".to_owned());
    assert_eq!(used.iter().collect::<Vec<_>>(), [&list]);
}

#[test]
fn one_may_ask_what_one_may() {
    let mut bench = Bench::new();
    bench.server.enforce_permissions(true);
    granted(&mut bench, &json!([{ "verbs": ["get"], "apiGroups": ["apps"], "resources": ["deployments/status"] }]));
    let mut ask = |verb: &str| {
        let asked = json!({ "verb": verb, "group": "apps", "resource": "deployments", "subresource": "status",
            "namespace": "default" });
        let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        let review = at(Method::POST, path).with_body(&json!({ "spec": { "resourceAttributes": asked } }));
        bench.send(as_account(review)).to_value()["status"]["allowed"] == true
    };
    assert!(ask("get"));
    assert!(!ask("patch"));
}
