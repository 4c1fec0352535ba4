//! Lists merged item by item: by a key of their objects, or scalars by themselves.

use serde_json::Value;

use super::{DIRECTIVE, PatchError, order, unknown_directive, without_merge_key};
use crate::{go_text::plain, schema::List};

/// What the patch makes of the list, in the order of the patch; what is live only keeps its place among what is live.
pub(super) fn merge(live: Vec<Value>, patch: Vec<Value>, list: &List) -> Result<Vec<Value>, PatchError> {
    check_items(&live, &patch)?;
    let key = list.merge_key.as_deref();
    let are_objects = live.iter().chain(&patch).next().is_some_and(Value::is_object);
    let (live, patch, merged) = match (key, are_objects) {
        (Some(key), true) => {
            let (live, patch) = follow_directives(live, patch, key)?;
            let merged = merge_objects(live.clone(), &patch, key, list)?;
            (live, patch, merged)
        }
        (None, true) => return Err(PatchError::Unfit("cannot merge lists without merge key for ".into())),
        (_, false) => {
            let mut merged = Vec::<Value>::new();
            for item in live.iter().chain(&patch) {
                if !merged.contains(item) {
                    merged.push(item.clone());
                }
            }
            (live, patch, merged)
        }
    };
    Ok(order::arrange(merged, &patch, &live, key.filter(|_| are_objects)))
}

/// All items are of one kind, and none is a list.
fn check_items(live: &[Value], patch: &[Value]) -> Result<(), PatchError> {
    let kind = |item: &Value| (std::mem::discriminant(item), item.is_f64());
    let mut items = live.iter().chain(patch);
    let Some(first) = items.next() else { return Ok(()) };
    if first.is_array() {
        return Err(PatchError::Unprocessable);
    }
    if items.any(|item| kind(item) != kind(first)) {
        let both = [live, patch].map(|items| plain(&Value::Array(items.to_vec())));
        return Err(PatchError::Unfit(format!("list element types are not identical: [{}]", both.join(" "))));
    }
    Ok(())
}

/// Items of the patch that say what is to be done, done; and the rest of the patch.
fn follow_directives(
    mut live: Vec<Value>,
    patch: Vec<Value>,
    key: &str,
) -> Result<(Vec<Value>, Vec<Value>), PatchError> {
    let mut rest = Vec::new();
    let mut replaces = false;
    for item in patch {
        match item.get(DIRECTIVE).map(Value::as_str) {
            None => rest.push(item),
            Some(Some("delete")) => {
                let gone = item.get(key).ok_or_else(|| without_merge_key(&item, key))?;
                live.retain(|item| item.get(key) != Some(gone));
            }
            Some(Some("replace")) => replaces = true,
            Some(Some("merge")) => {
                return Err(PatchError::Unfit("merging lists cannot yet be specified in the patch".into()));
            }
            Some(_) => return Err(unknown_directive(&item.as_object().cloned().unwrap_or_default())),
        }
    }
    Ok(if replaces { (rest, Vec::new()) } else { (live, rest) })
}

fn merge_objects(mut live: Vec<Value>, patch: &[Value], key: &str, list: &List) -> Result<Vec<Value>, PatchError> {
    for item in patch {
        let id = item.get(key).ok_or_else(|| without_merge_key(item, key))?;
        let found = live.iter_mut().find(|live| live.get(key) == Some(id));
        match (found, item) {
            (Some(Value::Object(found)), Value::Object(item)) => {
                *found = super::merge(std::mem::take(found), item.clone(), &list.items)?;
            }
            _ => live.push(item.clone()),
        }
    }
    Ok(live)
}
