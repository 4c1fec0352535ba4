use super::*;

const PODS: &str = "/api/v1/namespaces/default/pods";

fn pod() -> Value {
    json!({ "metadata": { "name": "p" }, "spec": { "nodeName": "n", "containers": [{ "name": "c", "image": "i" }] } })
}

#[test]
fn finalizers_hold_an_object_and_the_last_one_lets_it_go() {
    let mut bench = Bench::new();
    bench.post(MAPS, &json!({ "metadata": { "name": "a", "finalizers": ["example.com/f"] } }));
    let watch = bench.watch(&format!("{MAPS}?resourceVersion={}", bench.server.store().revision()));
    let path = format!("{MAPS}/a");
    let marked = bench.delete(&path).to_value();
    assert!(marked["metadata"]["deletionTimestamp"].is_string());
    let revision = bench.server.store().revision();
    bench.pass(60);
    assert_eq!(bench.delete(&path).to_value(), marked);
    assert_eq!(bench.server.store().revision(), revision);
    let added = json!({ "metadata": { "finalizers": ["example.com/f", "example.com/g"] } });
    assert_eq!(bench.merge(&path, &added).code, 422);
    assert_eq!(bench.merge(&path, &json!({ "metadata": { "finalizers": [] } })).code, 200);
    assert_eq!(bench.get(&path).code, 404);
    assert_eq!(bench.told(watch), ["MODIFIED a", "DELETED a"]);
}

#[test]
fn a_deletion_with_another_uid_is_refused() {
    let mut bench = Bench::new();
    bench.post(MAPS, &map("a"));
    let body = json!({ "preconditions": { "uid": "other" } });
    let refused = bench.send(at(Method::DELETE, &format!("{MAPS}/a")).with_body(&body));
    assert_eq!(refused.reason(), "Conflict");
    assert_eq!(bench.get(&format!("{MAPS}/a")).code, 200);
}

#[test]
fn a_deleted_event_carries_the_last_state_with_the_revision_of_the_deletion() {
    let mut bench = Bench::new();
    let made = bench.post(MAPS, &json!({ "metadata": { "name": "a" }, "data": { "k": "v" } }));
    let watch = bench.watch(&format!("{MAPS}?resourceVersion={}", revision(&made)));
    bench.delete(&format!("{MAPS}/a"));
    let event = bench.events(watch).remove(0);
    assert_eq!(event.object["data"]["k"], "v");
    assert_eq!(event.object.revision(), revision(&made) + 1);
}

#[test]
fn a_pod_on_a_node_stays_until_its_kubelet_deletes_it() {
    let mut bench = Bench::new();
    bench.post(PODS, &pod());
    let path = format!("{PODS}/p");
    let marked = bench.delete(&path).to_value();
    assert_eq!(marked["metadata"]["deletionGracePeriodSeconds"], 30);
    assert_eq!(marked["metadata"]["deletionTimestamp"], "2026-01-01T00:00:30Z");
    bench.pass(10);
    let longer = bench.delete(&format!("{path}?gracePeriodSeconds=60")).to_value();
    assert_eq!(longer["metadata"]["deletionGracePeriodSeconds"], 30);
    let shorter = bench.delete(&format!("{path}?gracePeriodSeconds=15")).to_value();
    assert_eq!(shorter["metadata"]["deletionTimestamp"], "2026-01-01T00:00:15Z");
    assert_eq!(bench.delete(&format!("{path}?gracePeriodSeconds=0")).code, 200);
    assert_eq!(bench.get(&path).code, 404);
}

#[test]
fn a_negative_time_to_end_is_a_second() {
    let mut own = pod();
    own["spec"]["terminationGracePeriodSeconds"] = json!(-5);
    for (pod, query) in [(own, ""), (pod(), "?gracePeriodSeconds=-5")] {
        let mut bench = Bench::new();
        bench.post(PODS, &pod);
        let marked = bench.delete(&format!("{PODS}/p{query}")).to_value();
        assert_eq!(marked["metadata"]["deletionGracePeriodSeconds"], 1, "{query}");
        assert_eq!(marked["metadata"]["deletionTimestamp"], "2026-01-01T00:00:01Z");
    }
}

#[test]
fn the_policy_of_a_deletion_becomes_a_finalizer() {
    for (policy, finalizers) in [("Foreground", json!(["foregroundDeletion"])), ("Orphan", json!(["orphan"]))] {
        let mut bench = Bench::new();
        bench.post(MAPS, &map("a"));
        let held = bench.delete(&format!("{MAPS}/a?propagationPolicy={policy}")).to_value();
        assert_eq!(held["metadata"]["finalizers"], finalizers);
    }
    let mut bench = Bench::new();
    bench.post(MAPS, &json!({ "metadata": { "name": "a", "finalizers": ["foregroundDeletion"] } }));
    bench.delete(&format!("{MAPS}/a?propagationPolicy=Background"));
    assert_eq!(bench.get(&format!("{MAPS}/a")).code, 404);
}

#[test]
fn a_collection_is_deleted_by_selector() {
    let mut bench = Bench::new();
    for (name, label) in [("a", "x"), ("b", "y"), ("c", "x")] {
        bench.post(MAPS, &json!({ "metadata": { "name": name, "labels": { "l": label } } }));
    }
    assert_eq!(names(&bench.delete(&format!("{MAPS}?labelSelector=l%3Dx"))), ["a", "c"]);
    assert_eq!(names(&bench.get(MAPS)), ["b"]);
}

#[test]
fn a_budget_that_is_used_up_refuses_an_eviction() {
    let mut bench = Bench::new();
    let mut running = pod();
    running["metadata"]["labels"] = json!({ "l": "x" });
    bench.post(PODS, &running);
    let ready = json!({ "status": { "phase": "Running", "conditions": [{ "type": "Ready", "status": "True" }] } });
    bench.merge(&format!("{PODS}/p/status"), &ready);
    let budgets = "/apis/policy/v1/namespaces/default/poddisruptionbudgets";
    let spec = json!({ "minAvailable": 1, "selector": { "matchLabels": { "l": "x" } } });
    bench.post(budgets, &json!({ "metadata": { "name": "b" }, "spec": spec }));
    let counted = |bench: &mut Bench, allowed: i64| {
        let status = json!({ "disruptionsAllowed": allowed, "currentHealthy": 1, "desiredHealthy": 1,
            "expectedPods": 1, "observedGeneration": 1 });
        assert_eq!(bench.merge(&format!("{budgets}/b/status"), &json!({ "status": status })).code, 200);
        bench.send(at(Method::POST, &format!("{PODS}/p/eviction")).with_body(&map("p")))
    };
    assert_eq!(counted(&mut bench, 0).code, 429);
    assert!(bench.get(&format!("{PODS}/p")).to_value()["metadata"]["deletionTimestamp"].is_null());
    assert_eq!(counted(&mut bench, 1).code, 201);
    assert!(bench.get(&format!("{PODS}/p")).to_value()["metadata"]["deletionTimestamp"].is_string());
    assert_eq!(bench.get(&format!("{budgets}/b")).to_value()["status"]["disruptionsAllowed"], 0);
}
