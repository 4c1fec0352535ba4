//! What is promised of strategic merge patch, on a Deployment as the published schemas describe it.

use serde_json::{Value, json};

use crate::{
    patch::{PatchError, PatchKind, apply},
    schema::openapi,
};

fn patched(spec: &Value, patch: &Value) -> Result<Value, PatchError> {
    let schema = openapi::schema("io.k8s.api.apps.v1.Deployment");
    let whole = |spec: &Value| json!({"spec": {"template": {"spec": spec}}});
    let patch = whole(patch).to_string();
    let mut patched = apply(&whole(spec), PatchKind::Strategic, patch.as_bytes(), &schema)?;
    Ok(patched["spec"]["template"]["spec"].take())
}

#[track_caller]
fn assert_patched(spec: Value, patch: Value, wanted: Value) {
    assert_eq!(patched(&spec, &patch), Ok(wanted));
}

fn three() -> Value {
    json!({"containers": [{"name": "a", "image": "1"}, {"name": "b", "image": "1"}, {"name": "c", "image": "1"}]})
}

#[test]
fn items_are_merged_by_their_key_and_new_ones_stand_as_in_the_patch() {
    let patch = json!({"containers": [{"name": "b", "image": "2"}, {"name": "d"}]});
    let [a, b, c] = ["a", "b", "c"].map(|name| json!({"name": name, "image": if name == "b" { "2" } else { "1" }}));
    let containers = json!([a, b, {"name": "d"}, c]);
    assert_patched(three(), patch, json!({"containers": containers}));
}

#[test]
fn items_that_the_patch_names_stand_in_its_order() {
    let patch = json!({"containers": [{"name": "c"}, {"name": "a"}]});
    let names: Vec<_> = names(&patched(&three(), &patch).unwrap());
    assert_eq!(names, ["b", "c", "a"]);
}

#[test]
fn the_order_that_a_patch_sets_holds_for_items_it_does_not_change() {
    let patch = json!({"$setElementOrder/containers": [{"name": "c"}, {"name": "b"}, {"name": "a"}]});
    assert_eq!(names(&patched(&three(), &patch).unwrap()), ["c", "b", "a"]);
}

#[test]
fn an_order_without_an_item_of_the_patch_is_refused() {
    let patch = json!({"$setElementOrder/containers": [{"name": "a"}], "containers": [{"name": "b"}]});
    let message = "The order in patch list:\n[map[name:b]]\n doesn't match $setElementOrder list:\n[map[name:a]]\n";
    assert_eq!(patched(&three(), &patch), Err(PatchError::Unfit(message.into())));
}

#[test]
fn an_item_may_be_deleted_and_a_list_replaced() {
    let patch = json!({"containers": [{"name": "a", "$patch": "delete"}]});
    assert_eq!(names(&patched(&three(), &patch).unwrap()), ["b", "c"]);
    let patch = json!({"containers": [{"$patch": "replace"}, {"name": "z"}]});
    assert_patched(three(), patch, json!({"containers": [{"name": "z"}]}));
}

#[test]
fn an_object_may_be_replaced_or_emptied() {
    let spec = json!({"nodeSelector": {"a": "1"}});
    assert_patched(
        spec.clone(),
        json!({"nodeSelector": {"$patch": "replace", "b": "2"}}),
        json!({"nodeSelector": {"b": "2"}}),
    );
    assert_patched(spec, json!({"nodeSelector": {"$patch": "delete"}}), json!({"nodeSelector": {}}));
}

#[test]
fn a_list_without_a_key_is_replaced_and_null_takes_away() {
    let spec = json!({"tolerations": [{"key": "a"}], "nodeSelector": {"a": "1"}, "hostname": "x"});
    let patch = json!({"tolerations": [{"key": "b"}], "nodeSelector": {"a": null}, "hostname": null});
    assert_patched(spec, patch, json!({"tolerations": [{"key": "b"}], "nodeSelector": {}}));
}

#[test]
fn fields_that_are_not_retained_go() {
    let spec = json!({"volumes": [{"name": "v", "emptyDir": {}}]});
    let patch = json!({"volumes": [{"name": "v", "$retainKeys": ["name", "hostPath"], "hostPath": {"path": "/"}}]});
    assert_patched(spec.clone(), patch, json!({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}));
    let patch = json!({"volumes": [{"name": "v", "$retainKeys": ["name"], "hostPath": {"path": "/"}}]});
    assert_eq!(patched(&spec, &patch), Err(PatchError::BadRequest("invalid patch format of retainKeys".into())));
}

#[test]
fn scalars_of_a_set_are_added_and_deleted() {
    let schema = openapi::schema("io.k8s.api.core.v1.ConfigMap");
    let live = json!({"metadata": {"finalizers": ["a/x", "b/x"]}});
    let run = |patch: Value| {
        let patched = apply(&live, PatchKind::Strategic, patch.to_string().as_bytes(), &schema).unwrap();
        patched["metadata"]["finalizers"].clone()
    };
    assert_eq!(run(json!({"metadata": {"finalizers": ["c/x", "a/x"]}})), json!(["c/x", "a/x", "b/x"]));
    assert_eq!(run(json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a/x"]}})), json!(["b/x"]));
}

#[test]
fn an_item_without_its_key_and_an_unknown_directive_are_refused() {
    for (patch, problem) in [
        (json!({"containers": [{"image": "x"}]}), "map: map[image:x] does not contain declared merge key: name"),
        (json!({"containers": [{"name": "a", "$patch": "x"}]}), "unknown patch type: x in map: map[$patch:x name:a]"),
        (
            json!({"containers": [{"name": "a", "$patch": "merge"}]}),
            "merging lists cannot yet be specified in the patch",
        ),
        (json!({"$patch": "x"}), "unknown patch type: x in map: map[$patch:x]"),
    ] {
        assert_eq!(patched(&three(), &patch), Err(PatchError::Unfit(problem.into())));
    }
}

#[test]
fn an_outcome_of_other_types_is_refused() {
    for (patch, problem) in [
        (json!({"hostname": 1}), "cannot convert int64 to string"),
        (json!({"containers": {}}), "cannot restore slice from map"),
        (json!({"nodeSelector": "x"}), "cannot restore map from string"),
        (json!({"securityContext": []}), "cannot restore struct from: slice"),
        (json!({"hostNetwork": "x"}), "cannot convert string to bool"),
    ] {
        let refused = patched(&three(), &patch).unwrap_err();
        assert_eq!(refused.to_string(), problem);
    }
}

fn names(spec: &Value) -> Vec<String> {
    let containers = spec["containers"].as_array().unwrap().iter();
    containers.map(|container| container["name"].as_str().unwrap().to_owned()).collect()
}
