use super::*;

#[test]
fn one_counter_gives_the_revisions_of_all_kinds() {
    let mut bench = Bench::new();
    let first = revision(&bench.post(MAPS, &map("a")));
    let lease = bench.post("/apis/coordination.k8s.io/v1/namespaces/default/leases", &map("a"));
    assert_eq!(revision(&lease), first + 1);
    assert_eq!(revision(&bench.get(MAPS).to_value()), first + 1);
}

#[test]
fn the_seed_decides_uids_and_generated_names() {
    let made = |seed| {
        let mut bench = Bench { server: Server::new(seed), ..Bench::new() };
        let object = bench.post(MAPS, &json!({ "metadata": { "generateName": "a-" } }));
        (object["metadata"]["uid"].clone(), object["metadata"]["name"].clone())
    };
    assert_eq!(made(1), made(1));
    assert_ne!(made(1), made(2));
}

#[test]
fn an_update_that_changes_nothing_writes_nothing() {
    let mut bench = Bench::new();
    let mut object = bench.post(MAPS, &json!({ "metadata": { "name": "a" }, "data": { "k": "v" } }));
    bench.pass(60);
    let watch = bench.watch(&format!("{MAPS}?resourceVersion={}", revision(&object)));
    let path = format!("{MAPS}/a");
    let before = bench.server.store().revision();
    assert_eq!(bench.put(&path, &object).code, 200);
    assert_eq!(bench.merge(&path, &json!({ "data": { "k": "v" } })).code, 200);
    assert_eq!(bench.server.store().revision(), before);
    assert!(bench.events(watch).is_empty());
    object["data"]["k"] = "w".into();
    assert_eq!(bench.put(&path, &object).code, 200);
    assert_eq!(bench.told(watch), ["MODIFIED a"]);
}

#[test]
fn who_writes_an_old_state_gets_a_conflict_and_a_patch_without_one_does_not() {
    let mut bench = Bench::new();
    let old = bench.post(MAPS, &map("a"));
    let path = format!("{MAPS}/a");
    bench.merge(&path, &json!({ "data": { "k": "v" } }));
    assert_eq!(bench.put(&path, &old).reason(), "Conflict");
    let locked = json!({ "metadata": { "resourceVersion": old["metadata"]["resourceVersion"] }, "data": { "k": "x" } });
    assert_eq!(bench.merge(&path, &locked).reason(), "Conflict");
    assert_eq!(bench.merge(&path, &json!({ "data": { "k": "x" } })).code, 200);
}

#[test]
fn a_dry_run_answers_as_a_write_and_stores_nothing() {
    let mut bench = Bench::new();
    let before = bench.server.store().revision();
    assert_eq!(bench.post(&format!("{MAPS}?dryRun=All"), &map("a"))["metadata"]["name"], "a");
    assert_eq!(bench.get(&format!("{MAPS}/a")).code, 404);
    assert_eq!(bench.server.store().revision(), before);
}

#[test]
fn every_commit_is_shown_to_the_observer_with_the_request_that_caused_it() {
    let mut bench = Bench::new();
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let sink = seen.clone();
    bench.server.observe(Box::new(move |store, commit| {
        sink.lock().unwrap().push((commit.request, commit.revision == store.revision()));
    }));
    let mut request = at(Method::POST, MAPS).with_body(&map("a"));
    request.id = 7;
    bench.send(request);
    assert_eq!(*seen.lock().unwrap(), [(7, true)]);
}

#[test]
fn nothing_is_created_in_a_namespace_that_is_missing_or_going() {
    let mut bench = Bench::new();
    let there = "/api/v1/namespaces/gone/configmaps";
    assert_eq!(bench.send(at(Method::POST, there).with_body(&map("a"))).code, 404);
    bench.post("/api/v1/namespaces", &json!({ "metadata": { "name": "gone" } }));
    bench.delete("/api/v1/namespaces/gone");
    let refused = bench.send(at(Method::POST, there).with_body(&map("a"))).to_value();
    assert_eq!(refused["code"], 403);
    assert_eq!(refused["details"]["causes"][0]["reason"], "NamespaceTerminating");
    let finalized = json!({ "metadata": { "name": "gone" }, "spec": { "finalizers": [] } });
    assert_eq!(bench.put("/api/v1/namespaces/gone/finalize", &finalized).code, 200);
    assert_eq!(bench.get("/api/v1/namespaces/gone").code, 404);
}

#[test]
fn both_kinds_of_event_are_one_in_the_store() {
    let mut bench = Bench::new();
    let event = json!({ "metadata": { "name": "a" }, "involvedObject": { "namespace": "default", "name": "p" },
        "message": "it is so", "reason": "So", "type": "Normal" });
    bench.post("/api/v1/namespaces/default/events", &event);
    let shown = bench.get("/apis/events.k8s.io/v1/namespaces/default/events/a").to_value();
    assert_eq!((&shown["note"], &shown["regarding"]["name"]), (&json!("it is so"), &json!("p")));
    assert!(shown["message"].is_null());
    let path = "/apis/events.k8s.io/v1/namespaces/default/events";
    assert_eq!(names(&bench.get(&format!("{path}?fieldSelector=regarding.name%3Dp"))), ["a"]);
    assert!(names(&bench.get(&format!("{path}?fieldSelector=regarding.name%3Dq"))).is_empty());
}
