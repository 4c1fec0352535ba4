//! JSON patch as the real server reads it, which is laxer than RFC 6902: `replace` sets a field that is not there, `test`
//! takes a missing field for null, and indices below zero count from the end.

use serde_json::{Map, Value};

use super::PatchError;
use crate::go_text::json_name;

const MAX_OPERATIONS: usize = 10_000;

pub(super) fn apply(live: &Value, patch: &Value) -> Result<Value, PatchError> {
    let operations = decode(patch)?;
    if operations.len() > MAX_OPERATIONS {
        return Err(PatchError::TooLarge(format!(
            "The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {}",
            operations.len()
        )));
    }
    let mut object = live.clone();
    for operation in operations {
        run(&mut object, operation).ok_or(PatchError::Unprocessable)?;
    }
    Ok(object)
}

fn decode(patch: &Value) -> Result<Vec<&Map<String, Value>>, PatchError> {
    let bad = |value: &Value, wanted: &str| {
        let problem = format!("cannot unmarshal {} into Go {wanted}", json_name(value));
        Err(PatchError::BadRequest(format!("error decoding patch: json: {problem}")))
    };
    let operations = match patch {
        Value::Array(operations) => operations,
        Value::Null => return Ok(Vec::new()),
        other => return bad(other, "value of type []handlers.jsonPatchOp"),
    };
    let mut decoded = Vec::new();
    for operation in operations {
        let Value::Object(fields) = operation else {
            return bad(operation, "value of type handlers.jsonPatchOp");
        };
        for name in ["op", "path", "from"] {
            match fields.get(name) {
                None | Some(Value::String(_) | Value::Null) => {}
                Some(other) => return bad(other, &format!("struct field jsonPatchOp.{name} of type string")),
            }
        }
        decoded.push(fields);
    }
    Ok(decoded)
}

/// `None`: it cannot be done, for whatever reason; the answer is the same.
fn run(object: &mut Value, operation: &Map<String, Value>) -> Option<()> {
    let text = |name: &str| operation.get(name).and_then(Value::as_str);
    let value = operation.get("value").cloned().unwrap_or(Value::Null);
    let path = text("path")?;
    match text("op")? {
        "add" => add(object, path, value),
        "remove" => remove(object, path).map(drop),
        "replace" => replace(object, path, value),
        "test" => (get(object, path)? == value).then_some(()),
        "copy" => {
            let value = get(object, text("from")?)?;
            add(object, path, value)
        }
        "move" => {
            let value = remove(object, text("from")?)?;
            add(object, path, value)
        }
        _ => None,
    }
}

fn get(object: &mut Value, path: &str) -> Option<Value> {
    if path.is_empty() {
        return Some(object.clone());
    }
    match find(object, path)? {
        (Value::Array(items), key) => items.get(index(&key, items.len())?).cloned(),
        (holder, key) => Some(holder.get(&key).cloned().unwrap_or(Value::Null)),
    }
}

fn add(object: &mut Value, path: &str, value: Value) -> Option<()> {
    match find(object, path)? {
        (Value::Array(items), key) if key == "-" => items.push(value),
        (Value::Array(items), key) => {
            let place = index(&key, items.len() + 1)?;
            items.insert(place, value);
        }
        (holder, key) => _ = holder.as_object_mut()?.insert(key, value),
    }
    Some(())
}

fn replace(object: &mut Value, path: &str, value: Value) -> Option<()> {
    if path.is_empty() {
        *object = value;
        return (object.is_object() || object.is_array()).then_some(());
    }
    match find(object, path)? {
        (Value::Array(items), key) => {
            let place = index(&key, items.len())?;
            items[place] = value;
        }
        (holder, key) => _ = holder.as_object_mut()?.insert(key, value),
    }
    Some(())
}

fn remove(object: &mut Value, path: &str) -> Option<Value> {
    match find(object, path)? {
        (Value::Array(items), key) => {
            let place = index(&key, items.len())?;
            Some(items.remove(place))
        }
        (holder, key) => holder.as_object_mut()?.remove(&key),
    }
}

/// What holds the last step of the path, an object or an array, and that step.
fn find<'a>(object: &'a mut Value, path: &str) -> Option<(&'a mut Value, String)> {
    let mut steps: Vec<_> = path.split('/').skip(1).map(|step| step.replace("~1", "/").replace("~0", "~")).collect();
    let last = steps.pop()?;
    let mut holder = object;
    for step in steps {
        holder = match holder {
            Value::Array(items) => {
                let place = index(&step, items.len())?;
                items.get_mut(place)?
            }
            Value::Object(fields) => fields.get_mut(&step)?,
            _ => return None,
        };
    }
    (holder.is_object() || holder.is_array()).then_some((holder, last))
}

/// A place in an array of this length; below zero it counts from the end.
fn index(step: &str, length: usize) -> Option<usize> {
    let place: isize = step.parse().ok()?;
    let place = if place < 0 { length.checked_sub(place.unsigned_abs())? } else { place.unsigned_abs() };
    (place < length).then_some(place)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn patched(patch: Value) -> Result<Value, PatchError> {
        apply(&json!({"a": {"b/c": 1}, "l": [1, 2, 3], "n": null}), &patch)
    }

    #[track_caller]
    fn assert_at(patch: Value, pointer: &str, wanted: Value) {
        assert_eq!(patched(patch).unwrap().pointer(pointer), Some(&wanted));
    }

    #[test]
    fn each_operation_does_what_it_is_called() {
        assert_at(json!([{"op": "add", "path": "/a/x", "value": {"y": 1}}]), "/a/x/y", json!(1));
        assert_at(json!([{"op": "add", "path": "/l/1", "value": 9}]), "/l", json!([1, 9, 2, 3]));
        assert_at(json!([{"op": "add", "path": "/l/-", "value": 9}]), "/l", json!([1, 2, 3, 9]));
        assert_at(json!([{"op": "remove", "path": "/a/b~1c"}]), "/a", json!({}));
        assert_at(json!([{"op": "replace", "path": "/l/0", "value": 9}]), "/l", json!([9, 2, 3]));
        assert_at(json!([{"op": "move", "from": "/l/0", "path": "/l/-"}]), "/l", json!([2, 3, 1]));
        assert_at(json!([{"op": "copy", "from": "/l", "path": "/a/l"}]), "/a/l", json!([1, 2, 3]));
    }

    #[test]
    fn what_the_real_server_lets_pass_beyond_the_standard_passes() {
        assert_at(json!([{"op": "replace", "path": "/a/new", "value": 1}]), "/a/new", json!(1));
        assert_at(json!([{"op": "test", "path": "/a/missing", "value": null}]), "/l/0", json!(1));
        assert_at(json!([{"op": "remove", "path": "/l/-1"}]), "/l", json!([1, 2]));
    }

    #[test]
    fn what_cannot_be_done_is_unprocessable_and_nothing_is_done() {
        for operation in [
            json!({"op": "test", "path": "/a/b~1c", "value": 2}),
            json!({"op": "remove", "path": "/a/missing"}),
            json!({"op": "add", "path": "/missing/x", "value": 1}),
            json!({"op": "add", "path": "/n/x", "value": 1}),
            json!({"op": "add", "path": "/l/7", "value": 1}),
            json!({"op": "add", "path": "", "value": {}}),
            json!({"op": "other", "path": "/a"}),
            json!({"op": "add"}),
        ] {
            assert_eq!(patched(json!([operation])), Err(PatchError::Unprocessable), "{operation}");
        }
    }

    #[test]
    fn what_is_no_patch_is_a_bad_request() {
        for (patch, problem) in [
            (json!({}), "cannot unmarshal object into Go value of type []handlers.jsonPatchOp"),
            (json!([1]), "cannot unmarshal number into Go value of type handlers.jsonPatchOp"),
            (json!([{"op": 1}]), "cannot unmarshal number into Go struct field jsonPatchOp.op of type string"),
        ] {
            let refused = PatchError::BadRequest(format!("error decoding patch: json: {problem}"));
            assert_eq!(patched(patch), Err(refused));
        }
    }

    #[test]
    fn a_patch_has_at_most_ten_thousand_operations() {
        let operation = json!({"op": "test", "path": "/n", "value": null});
        assert!(patched(json!(vec![operation.clone(); 10_000])).is_ok());
        assert!(matches!(patched(json!(vec![operation; 10_001])), Err(PatchError::TooLarge(_))));
    }
}
