use super::*;

#[test]
fn pages_are_of_the_state_at_the_first_one() {
    let mut bench = Bench::new();
    for name in ["a", "b", "c"] {
        bench.post(MAPS, &map(name));
    }
    let first = bench.get(&format!("{MAPS}?limit=2"));
    assert_eq!(names(&first), ["a", "b"]);
    let metadata = first.to_value()["metadata"].clone();
    assert_eq!(metadata["remainingItemCount"], 1);
    bench.delete(&format!("{MAPS}/c"));
    bench.post(MAPS, &map("d"));
    let token = metadata["continue"].as_str().unwrap();
    let second = bench.get(&format!("{MAPS}?limit=2&continue={token}"));
    assert_eq!(names(&second), ["c"]);
    assert_eq!(second.to_value()["metadata"]["resourceVersion"], metadata["resourceVersion"]);
}

#[test]
fn an_old_page_is_gone_and_says_how_to_go_on() {
    let mut bench = Bench::new();
    for name in ["a", "b"] {
        bench.post(MAPS, &map(name));
    }
    let first = bench.get(&format!("{MAPS}?limit=1")).to_value();
    for name in ["c", "d", "e"] {
        bench.pass(301);
        bench.post(MAPS, &map(name));
    }
    let token = first["metadata"]["continue"].as_str().unwrap();
    let gone = bench.get(&format!("{MAPS}?limit=1&continue={token}")).to_value();
    assert_eq!((gone["code"].as_u64(), gone["reason"].as_str()), (Some(410), Some("Expired")));
    let token = gone["metadata"]["continue"].as_str().unwrap();
    assert_eq!(names(&bench.get(&format!("{MAPS}?continue={token}"))), ["b", "c", "d", "e"]);
}

#[test]
fn objects_are_listed_as_etcd_orders_them() {
    let mut bench = Bench::new();
    for namespace in ["a", "a-b"] {
        bench.post("/api/v1/namespaces", &map(namespace));
        bench.post(&format!("/api/v1/namespaces/{namespace}/configmaps"), &map(&format!("in-{namespace}")));
    }
    assert_eq!(names(&bench.get("/api/v1/configmaps")), ["in-a-b", "in-a"]);
    assert_eq!(names(&bench.get("/api/v1/namespaces/a/configmaps")), ["in-a"]);
}

#[test]
fn a_state_of_the_past_is_read_as_it_was() {
    let mut bench = Bench::new();
    let old = bench.post(MAPS, &json!({ "metadata": { "name": "a" }, "data": { "k": "old" } }));
    bench.merge(&format!("{MAPS}/a"), &json!({ "data": { "k": "new" } }));
    bench.post(MAPS, &map("b"));
    let query = format!("resourceVersion={}&resourceVersionMatch=Exact", revision(&old));
    let list = bench.get(&format!("{MAPS}?{query}")).to_value();
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    assert_eq!(list["items"][0]["data"]["k"], "old");
}

#[test]
fn bytes_and_value_of_a_list_say_the_same() {
    let mut bench = Bench::new();
    bench.post(MAPS, &map("a"));
    let list = bench.get(MAPS);
    assert_eq!(serde_json::from_slice::<Value>(&list.bytes()).unwrap(), list.to_value());
    assert!(list.to_value()["items"][0]["kind"].is_null());
}

#[test]
fn who_wants_metadata_only_gets_no_more() {
    let mut bench = Bench::new();
    bench.post(MAPS, &json!({ "metadata": { "name": "a" }, "data": { "k": "v" } }));
    let mut request = at(Method::GET, MAPS);
    request.accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1".to_owned();
    let list = bench.send(request).to_value();
    assert_eq!(list["kind"], "PartialObjectMetadataList");
    assert_eq!((&list["items"][0]["kind"], &list["items"][0]["data"]), (&json!("PartialObjectMetadata"), &Value::Null));
}
