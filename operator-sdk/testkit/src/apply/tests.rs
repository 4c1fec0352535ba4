//! What is promised of owners, one promise a test.

use jiff::{Timestamp, ToSpan as _};
use serde_json::{Value, json};

use super::{Refusal, Writer, apply, fixture, keep_times, manager_name, update, update_scale};
use crate::resource::Resource;

/// An object with a clock: each write comes a minute after the one before.
struct Object {
    resource: Resource,
    now: Timestamp,
    live: Option<Value>,
}

impl Object {
    fn new() -> Self {
        Self { resource: fixture::resource(), now: Timestamp::UNIX_EPOCH, live: None }
    }

    fn try_apply(&mut self, manager: &str, body: Value, force: bool) -> Result<&Value, Refusal> {
        self.now += 1.minute();
        let writer = Writer { manager, subresource: "" };
        let applied = apply(self.live.as_ref(), &whole(body), &self.resource, writer, force, self.now)?;
        Ok(self.live.insert(applied))
    }

    fn apply(&mut self, manager: &str, body: Value) -> &Value {
        self.try_apply(manager, body, false).unwrap()
    }

    fn update(&mut self, manager: &str, body: Value) -> &Value {
        self.update_through(manager, "", body)
    }

    fn update_through(&mut self, manager: &str, subresource: &str, body: Value) -> &Value {
        self.now += 1.minute();
        let writer = Writer { manager, subresource };
        let updated = update(self.live.as_ref(), whole(body), &self.resource, writer, self.now);
        self.live.insert(updated)
    }

    fn scale(&mut self, manager: &str, replicas: i64) {
        let live = self.live.take().unwrap();
        let mut new = live.clone();
        new["spec"]["replicas"] = json!(replicas);
        self.live = Some(update_scale(&live, &new, ".spec.replicas", &self.resource, manager));
    }

    /// The causes of the conflict, each as `manager field`.
    fn conflicts(&mut self, manager: &str, body: Value) -> Vec<String> {
        let Err(Refusal::Conflicts(conflicts)) = self.try_apply(manager, body, false) else { panic!("no conflict") };
        let causes = conflicts.causes();
        let text = |cause: &Value, name: &str| cause[name].as_str().unwrap().to_owned();
        let all = causes.as_array().unwrap().iter();
        all.map(|cause| format!("{} {}", text(cause, "message"), text(cause, "field"))).collect()
    }

    fn spec(&self) -> &Value {
        &self.live.as_ref().unwrap()["spec"]
    }

    fn owned(&self, manager: &str) -> Value {
        self.entry(manager)["fieldsV1"].clone()
    }

    fn entry(&self, manager: &str) -> Value {
        let entries = self.entries();
        entries.into_iter().find(|entry| entry["manager"] == manager).unwrap_or_default()
    }

    fn entries(&self) -> Vec<Value> {
        let live = self.live.as_ref().unwrap();
        live.pointer("/metadata/managedFields").and_then(Value::as_array).cloned().unwrap_or_default()
    }
}

fn whole(mut body: Value) -> Value {
    body["apiVersion"] = json!("example.com/v1");
    body["kind"] = json!("Thing");
    body["metadata"]["name"] = json!("a");
    body
}

#[test]
fn an_applier_owns_what_it_applied_and_not_what_says_which_object_it_is() {
    let mut object = Object::new();
    object.apply("one", json!({"metadata": {"labels": {"a": "1"}}, "spec": {"replicas": 1, "tags": ["x"]}}));
    let owned =
        json!({"f:metadata": {"f:labels": {"f:a": {}}}, "f:spec": {"f:replicas": {}, "f:tags": {"v:\"x\"": {}}}});
    assert_eq!(object.owned("one"), owned);
    assert_eq!(object.entry("one")["time"], "1970-01-01T00:01:00Z");
}

#[test]
fn an_applier_owns_the_empty_map_and_the_null_that_it_applied_but_no_empty_list() {
    let mut object = Object::new();
    object.apply("one", json!({"spec": {"labels": {}, "replicas": null, "tags": []}}));
    assert_eq!(object.owned("one"), json!({"f:spec": {"f:labels": {}, "f:replicas": {}}}));
}

#[test]
fn another_value_for_what_another_owns_is_a_conflict_and_nothing_changes() {
    let mut object = Object::new();
    object.apply("one", json!({"spec": {"replicas": 1, "paused": true}}));
    let before = object.live.clone();
    let found = object.conflicts("two", json!({"spec": {"replicas": 2, "paused": true}}));
    assert_eq!(found, [r#"conflict with "one" .spec.replicas"#]);
    assert_eq!(object.live, before);
}

#[test]
fn a_conflict_with_an_updater_names_its_version_and_its_subresource() {
    let mut object = Object::new();
    object.update("one", json!({"spec": {"replicas": 1}}));
    object.update_through("two", "status", json!({"spec": {"replicas": 1}, "status": {"replicas": 1}}));
    let found = object.conflicts("three", json!({"spec": {"replicas": 2}}));
    assert_eq!(found, [r#"conflict with "one" using example.com/v1 .spec.replicas"#]);
    let entry = object.entry("two");
    assert_eq!((&entry["subresource"], &entry["operation"]), (&json!("status"), &json!("Update")));
}

#[test]
fn of_one_managers_conflicts_those_through_a_subresource_come_first() {
    let mut object = Object::new();
    object.update("one", json!({"spec": {"replicas": 1, "paused": true}}));
    object.update_through("one", "scale", json!({"spec": {"replicas": 2, "paused": true}}));
    let found = object.conflicts("two", json!({"spec": {"replicas": 3, "paused": false}}));
    let scale = r#"conflict with "one" with subresource "scale" using example.com/v1 .spec.replicas"#;
    assert_eq!(found, [scale, r#"conflict with "one" using example.com/v1 .spec.paused"#]);
}

#[test]
fn the_message_groups_many_conflicts_by_manager() {
    let mut object = Object::new();
    object.apply("one", json!({"spec": {"replicas": 1, "paused": true}}));
    object.apply("two", json!({"spec": {"replicas": 1}}));
    let refused = object.try_apply("three", json!({"spec": {"replicas": 2, "paused": false}}), false).unwrap_err();
    let message = "Apply failed with 3 conflicts: conflicts with \"one\":\n- .spec.paused\n- .spec.replicas\nconflicts with \"two\":\n- .spec.replicas";
    assert_eq!(refused.to_string(), message);
}

#[test]
fn the_same_value_is_owned_together_and_the_second_owner_has_no_time() {
    let mut object = Object::new();
    object.apply("one", json!({"spec": {"replicas": 1}}));
    object.apply("two", json!({"spec": {"replicas": 1}}));
    assert_eq!(object.owned("one"), object.owned("two"));
    assert!(object.entry("one")["time"].is_string() && object.entry("two")["time"].is_null());
}

#[test]
fn the_time_of_an_applier_is_that_of_the_last_change_it_made() {
    let mut object = Object::new();
    object.apply("one", json!({"spec": {"replicas": 1}}));
    object.apply("one", json!({"spec": {"replicas": 2}}));
    object.apply("one", json!({"spec": {"replicas": 2}}));
    assert_eq!(object.entry("one")["time"], "1970-01-01T00:02:00Z");
}

#[test]
fn an_item_that_goes_takes_what_others_own_in_it() {
    let mut object = Object::new();
    object.apply("one", json!({"spec": {"paused": true, "parts": [{"name": "p"}, {"name": "q"}]}}));
    object.update("two", json!({"spec": {"paused": true, "parts": [{"name": "p", "image": "i"}, {"name": "q"}]}}));
    object.apply("one", json!({"spec": {"paused": true, "parts": [{"name": "q"}]}}));
    assert_eq!(object.spec()["parts"], json!([{"name": "q"}]));
    assert_eq!(object.entry("two"), Value::Null);
}

#[test]
fn force_takes_a_field_from_whoever_owns_it() {
    let mut object = Object::new();
    object.apply("one", json!({"spec": {"replicas": 1, "paused": true}}));
    object.try_apply("two", json!({"spec": {"replicas": 2}}), true).unwrap();
    assert_eq!(object.spec(), &json!({"replicas": 2, "paused": true}));
    assert_eq!(object.owned("one"), json!({"f:spec": {"f:paused": {}}}));
}

#[test]
fn kubectl_takes_over_what_it_noted_and_notes_what_it_applies() {
    let noted = r#"{"apiVersion":"example.com/v1","kind":"Thing","metadata":{"name":"a"},"spec":{"replicas":1}}"#;
    let annotations = json!({"kubectl.kubernetes.io/last-applied-configuration": noted});
    let mut object = Object::new();
    object.update(
        "kubectl-client-side-apply",
        json!({"metadata": {"annotations": annotations}, "spec": {"replicas": 1}}),
    );
    assert_eq!(object.conflicts("other", json!({"spec": {"replicas": 2}})).len(), 1);
    object.apply("kubectl", json!({"spec": {"replicas": 2}}));
    assert_eq!(object.spec(), &json!({"replicas": 2}));
    let annotations = object.live.as_ref().unwrap()["metadata"]["annotations"].clone();
    let wanted = noted.replace("1}}", "2}}") + "\n";
    assert_eq!(annotations, json!({"kubectl.kubernetes.io/last-applied-configuration": wanted}));
}

#[test]
fn what_an_applier_no_longer_applies_goes_unless_another_owns_it() {
    let mut object = Object::new();
    object.apply("one", json!({"spec": {"replicas": 1, "paused": true, "labels": {"a": "1"}}}));
    object.apply("two", json!({"spec": {"paused": true}}));
    object.apply("one", json!({"spec": {}}));
    assert_eq!(object.spec(), &json!({"paused": true}));
}

#[test]
fn what_an_updater_changed_stays_when_an_applier_gives_it_up() {
    let mut object = Object::new();
    object.apply("one", json!({"spec": {"replicas": 1}}));
    object.update("two", json!({"spec": {"replicas": 2}}));
    object.apply("one", json!({"spec": {"paused": true}}));
    assert_eq!(object.spec(), &json!({"paused": true, "replicas": 2}));
}

#[test]
fn an_applier_that_gives_up_everything_owns_nothing_and_leaves_no_entry() {
    let mut object = Object::new();
    object.apply("one", json!({"spec": {"replicas": 1}}));
    object.apply("one", json!({}));
    assert_eq!(object.entries(), Vec::<Value>::new());
    assert_eq!(object.live.as_ref().unwrap().get("spec").cloned().unwrap_or_default(), Value::Null);
}

#[test]
fn an_update_owns_what_it_changed_and_takes_it_from_appliers() {
    let mut object = Object::new();
    object.apply("one", json!({"spec": {"replicas": 1, "labels": {"a": "1", "b": "2"}}}));
    object.update("two", json!({"spec": {"replicas": 2, "labels": {"b": "2", "c": "3"}}}));
    assert_eq!(object.owned("one"), json!({"f:spec": {"f:labels": {"f:b": {}}}}));
    assert_eq!(object.owned("two"), json!({"f:spec": {"f:replicas": {}, "f:labels": {"f:c": {}}}}));
}

#[test]
fn an_update_that_changes_nothing_leaves_all_owners_and_times() {
    let mut object = Object::new();
    let before = object.apply("one", json!({"spec": {"replicas": 1}})).clone();
    let mut same = before.clone();
    same["metadata"].as_object_mut().unwrap().remove("managedFields");
    assert_eq!(object.update("two", same), &before);
}

#[test]
fn a_creation_owns_every_field_it_sets_and_the_maps_that_hold_them() {
    let mut object = Object::new();
    object.update("one", json!({"spec": {"parts": [{"name": "p", "ports": [{"port": 1}]}], "tags": ["x"]}}));
    let owned = json!({"f:spec": {
        ".": {},
        "f:parts": {".": {}, "k:{\"name\":\"p\"}": {
            ".": {}, "f:name": {}, "f:ports": {".": {}, "k:{\"port\":1,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}}},
        }},
        "f:tags": {".": {}, "v:\"x\"": {}},
    }});
    assert_eq!(object.owned("one"), owned);
}

#[test]
fn items_of_a_keyed_list_are_found_by_their_keys_with_what_the_schema_gives_for_those_not_set() {
    let mut object = Object::new();
    object.update("one", json!({"spec": {"parts": [{"name": "p", "ports": [{"port": 1, "protocol": "TCP"}]}]}}));
    object.apply("two", json!({"spec": {"parts": [{"name": "p", "ports": [{"port": 1, "name": "web"}]}]}}));
    let ports = json!([{"port": 1, "protocol": "TCP", "name": "web"}]);
    assert_eq!(object.spec()["parts"][0]["ports"], ports);
}

#[test]
fn an_atomic_value_has_one_owner_and_is_set_as_a_whole() {
    let mut object = Object::new();
    object.apply("one", json!({"spec": {"selector": {"app": "a"}, "parts": [{"name": "p", "args": ["x"]}]}}));
    let found =
        object.conflicts("two", json!({"spec": {"selector": {}, "parts": [{"name": "p", "args": ["x", "y"]}]}}));
    let owner = r#"conflict with "one""#;
    assert_eq!(found, [format!("{owner} .spec.selector"), format!("{owner} .spec.parts[name=\"p\"].args")]);
}

#[test]
fn unknown_objects_are_owned_field_by_field_and_unknown_lists_as_a_whole() {
    let mut object = Object::new();
    object.apply("one", json!({"spec": {"free": {"a": {"b": 1}, "l": [{"c": 1}]}}}));
    let owned = json!({"f:spec": {"f:free": {"f:a": {".": {}, "f:b": {}}, "f:l": {}}}});
    assert_eq!(object.owned("one"), owned);
}

#[test]
fn merged_lists_keep_the_order_of_the_intent_for_what_it_names() {
    let mut object = Object::new();
    object.update("one", json!({"spec": {"tags": ["a", "b", "c"]}}));
    object.apply("two", json!({"spec": {"tags": ["x", "c", "a"]}}));
    assert_eq!(object.spec()["tags"], json!(["b", "x", "c", "a"]));
}

#[test]
fn the_eleventh_updater_makes_one_of_the_two_oldest() {
    let mut object = Object::new();
    for number in 0..12 {
        let mut spec = object.live.as_ref().map_or_else(|| json!({"labels": {}}), |live| live["spec"].clone());
        spec["labels"][format!("l{number}")] = json!("x");
        object.update(&format!("manager-{number:02}"), json!({"spec": spec}));
    }
    let names: Vec<_> = object.entries().iter().map(|entry| entry["manager"].as_str().unwrap().to_owned()).collect();
    assert_eq!((names.len(), names[0].as_str(), names[1].as_str()), (10, "ancient-changes", "manager-03"));
    let labels = json!({".": {}, "f:l0": {}, "f:l1": {}, "f:l2": {}});
    assert_eq!(object.owned("ancient-changes"), json!({"f:spec": {".": {}, "f:labels": labels}}));
}

#[test]
fn empty_managed_fields_in_an_update_forget_all_owners_until_somebody_applies() {
    for (reset, is_custom) in [(json!([]), false), (json!([{}]), false), (json!([{}]), true)] {
        let mut object = Object::new();
        object.resource.is_custom = is_custom;
        object.apply("one", json!({"spec": {"replicas": 1}}));
        object.update("two", json!({"metadata": {"managedFields": reset}, "spec": {"replicas": 1}}));
        assert_eq!(object.entries(), Vec::<Value>::new());
        object.update("two", json!({"spec": {"replicas": 2}}));
        assert_eq!(object.entries(), Vec::<Value>::new());
        let found = object.conflicts("three", json!({"spec": {"replicas": 3}}));
        assert_eq!(found, [r#"conflict with "before-first-apply" using example.com/v1 .spec.replicas"#]);
    }
}

#[test]
fn an_empty_list_of_owners_says_nothing_of_a_custom_object() {
    let mut object = Object::new();
    object.apply("one", json!({"spec": {"replicas": 1}}));
    object.update("two", json!({"metadata": {"managedFields": []}, "spec": {"replicas": 1}}));
    assert_eq!(object.entries().len(), 1);
}

#[test]
fn an_update_may_say_who_owns_what_and_nonsense_is_as_if_it_said_nothing() {
    let mut object = Object::new();
    object.apply("one", json!({"spec": {"replicas": 1}}));
    let entry = json!({"manager": "me", "operation": "Apply", "apiVersion": "example.com/v1", "fieldsType": "FieldsV1",
        "fieldsV1": {"f:spec": {"f:replicas": {}}}});
    object.update("two", json!({"metadata": {"managedFields": [entry]}, "spec": {"replicas": 1}}));
    assert_eq!(object.entries()[0]["manager"], "me");
    object.update("two", json!({"metadata": {"managedFields": [{"operation": "Other"}]}, "spec": {"replicas": 1}}));
    assert_eq!(object.entries()[0]["manager"], "me");
}

#[test]
fn the_main_door_owns_no_status_and_the_status_door_nothing_else() {
    let mut object = Object::new();
    object.update("one", json!({"spec": {"replicas": 1}, "status": {"replicas": 1}}));
    assert_eq!(object.owned("one"), json!({"f:spec": {".": {}, "f:replicas": {}}}));
    object.update_through("two", "status", json!({"spec": {"replicas": 2}, "status": {"replicas": 2}}));
    assert_eq!(object.owned("two"), json!({"f:status": {"f:replicas": {}}}));
}

#[test]
fn scaling_takes_owned_replicas_without_a_time_and_makes_nobody_own_others() {
    let mut object = Object::new();
    object.apply("one", json!({"spec": {"replicas": 1}}));
    object.scale("two", 2);
    assert_eq!((object.entries().len(), object.owned("two")), (1, json!({"f:spec": {"f:replicas": {}}})));
    assert_eq!(object.entry("two")["time"], Value::Null);
    let mut object = Object::new();
    object.apply("one", json!({"spec": {"paused": true}}));
    object.scale("two", 2);
    assert_eq!((object.entries().len(), object.entry("two")), (1, Value::Null));
}

#[test]
fn an_intent_that_does_not_fit_is_refused_in_the_words_of_the_real_server() {
    for (body, problem) in [
        (json!({"spec": {"other": 1}}), ".spec.other: field not declared in schema"),
        (json!({"spec": {"tags": ["a", "a"]}}), r#".spec.tags: duplicate entries for key [="a"]"#),
        (
            json!({"spec": {"parts": [{"name": "a"}, {"name": "a"}]}}),
            r#".spec.parts: duplicate entries for key [name="a"]"#,
        ),
        (
            json!({"spec": {"labels": {"a": 2}}}),
            ".spec.labels.a: expected string, got &value.valueUnstructured{Value:2}",
        ),
        (json!({"spec": {"tags": "a"}}), ".spec.tags: expected list, got &{a}"),
        (json!({"spec": ["a"]}), ".spec: expected map, got &{[a]}"),
        (json!({"spec": {"replicas": "a"}}), ".spec.replicas: expected numeric (int or float), got string"),
        (json!({"spec": {"paused": {"a": 1}}}), ".spec.paused: expected boolean, got &{map[a:1]}"),
    ] {
        let refused = Object::new().try_apply("one", body, false).unwrap_err();
        let whole = format!("failed to create typed patch object (/a; example.com/v1, Kind=Thing): {problem}");
        assert_eq!(refused.to_string(), whole);
    }
}

#[test]
fn an_intent_of_another_kind_or_with_managed_fields_is_a_bad_request() {
    let (mut object, writer) = (Object::new(), Writer { manager: "one", subresource: "" });
    let mut other = whole(json!({}));
    other["kind"] = json!("Other");
    let refused = apply(None, &other, &object.resource, writer, false, object.now).unwrap_err();
    assert_eq!(refused.to_string(), "invalid object type: example.com/v1, Kind=Other");
    let refused = object.try_apply("one", json!({"metadata": {"managedFields": []}}), false).unwrap_err();
    assert_eq!(refused.to_string(), "metadata.managedFields must be nil");
}

#[test]
fn times_of_owners_alone_are_no_change() {
    let mut object = Object::new();
    let old = object.update("one", json!({"spec": {"replicas": 1}})).clone();
    let mut new = old.clone();
    new["metadata"]["managedFields"][0]["time"] = json!("1999-01-01T00:00:00Z");
    assert_eq!(keep_times(&old, new.clone()), old);
    new["spec"]["replicas"] = json!(2);
    assert_eq!(keep_times(&old, new.clone()), new);
}

#[test]
fn a_manager_without_a_name_is_called_as_its_program() {
    assert_eq!(manager_name("kubectl/v1.37 (linux)"), "kubectl");
    assert_eq!(manager_name(&"a".repeat(200)).len(), 128);
}
