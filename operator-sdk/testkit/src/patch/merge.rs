//! JSON merge patch: objects are merged, null takes away, all else replaces.

use serde_json::{Map, Value};

pub(super) fn apply(live: &Value, patch: &Map<String, Value>) -> Value {
    let mut merged = live.as_object().cloned().unwrap_or_else(Map::new);
    for (name, wanted) in patch {
        if wanted.is_null() {
            merged.remove(name);
            continue;
        }
        let value = match (merged.get(name), wanted) {
            (Some(live @ Value::Object(_)), Value::Object(wanted)) => apply(live, wanted),
            (Some(Value::Object(_)), wanted) => wanted.clone(),
            _ => without_nulls(wanted),
        };
        merged.insert(name.clone(), value);
    }
    Value::Object(merged)
}

/// Where there was nothing to take away, null says nothing; the real server holds that inside lists, too.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.iter().filter(|(_, value)| !value.is_null());
            Value::Object(fields.map(|(name, value)| (name.clone(), without_nulls(value))).collect())
        }
        Value::Array(items) => items.iter().map(without_nulls).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn patched(live: Value, patch: Value) -> Value {
        apply(&live, patch.as_object().unwrap())
    }

    #[test]
    fn objects_are_merged_lists_are_replaced_and_null_takes_away() {
        let live = json!({"a": {"b": 1, "c": 2}, "l": [1, 2], "gone": 1});
        let patch = json!({"a": {"c": 3}, "l": [3], "gone": null});
        assert_eq!(patched(live, patch), json!({"a": {"b": 1, "c": 3}, "l": [3]}));
    }

    #[test]
    fn null_where_nothing_is_leaves_nothing() {
        let patch = json!({"a": {"b": null, "c": {"d": null}}, "l": [{"x": null, "y": 1}, null]});
        assert_eq!(patched(json!({}), patch), json!({"a": {"c": {}}, "l": [{"y": 1}, null]}));
    }

    #[test]
    fn a_scalar_replaces_an_object_and_an_object_a_scalar() {
        assert_eq!(patched(json!({"a": {"b": 1}}), json!({"a": 1})), json!({"a": 1}));
        assert_eq!(patched(json!({"a": 1}), json!({"a": {"b": 1, "c": null}})), json!({"a": {"b": 1}}));
    }
}
