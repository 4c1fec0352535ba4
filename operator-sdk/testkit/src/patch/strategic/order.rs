//! The order of merged lists: `$setElementOrder` before that of the patch before that of the live list.

use serde_json::Value;

use super::{DIRECTIVE, Fields, ORDER, PatchError, as_list, field, list, without_directives, without_merge_key};
use crate::{
    go_text::{plain, type_name},
    schema::Schema,
};

/// Merges the lists for which the patch sets an order, and takes them out of the patch.
pub(super) fn apply(live: &mut Fields, patch: &mut Fields, schema: &Schema) -> Result<(), PatchError> {
    let names: Vec<_> = patch.keys().filter_map(|name| name.strip_prefix(ORDER)).map(str::to_owned).collect();
    for name in names {
        let order = array(patch.remove(&format!("{ORDER}{name}")).unwrap_or_default())?;
        let list = as_list(field(schema, &name));
        let key = list.and_then(|list| list.merge_key.as_deref());
        let original = live.get(&name).cloned().map(array).transpose()?;
        let wanted = patch.remove(&name).map(array).transpose()?;
        if original.is_none() && wanted.is_none() {
            continue;
        }
        check(wanted.as_deref().unwrap_or_default(), &order, key)?;
        let merged = match (original.clone(), wanted) {
            (original, None) => original.unwrap_or_default(),
            (None, Some(wanted)) => wanted.into_iter().filter_map(without_directives).collect(),
            (Some(original), Some(wanted)) => match list {
                Some(list) if list.strategy.merges => list::merge(original, wanted, list)?,
                _ => wanted,
            },
        };
        let arranged = arrange(merged, &order, original.as_deref().unwrap_or_default(), key);
        live.insert(name, Value::Array(arranged));
    }
    Ok(())
}

/// The items in the order of `first`; those that it has not keep the order of `second`, and stand before what follows them
/// there.
pub(super) fn arrange(items: Vec<Value>, first: &[Value], second: &[Value], key: Option<&str>) -> Vec<Value> {
    let place = |order: &[Value], item: &Value| order.iter().position(|other| is_same(other, item, key));
    let (mut named, mut others): (Vec<_>, Vec<_>) = items.into_iter().partition(|item| place(first, item).is_some());
    named.sort_by_key(|item| place(first, item));
    others.sort_by_key(|item| place(second, item));
    let mut others = others.into_iter().peekable();
    let mut arranged = Vec::new();
    for item in named {
        let limit = place(second, &item);
        while let Some(other) =
            others.next_if(|other| limit.is_some_and(|limit| place(second, other).is_some_and(|other| other < limit)))
        {
            arranged.push(other);
        }
        arranged.push(item);
    }
    arranged.extend(others);
    arranged
}

/// What the patch sets stands in the order, in the same order.
fn check(wanted: &[Value], order: &[Value], key: Option<&str>) -> Result<(), PatchError> {
    if order.is_empty() {
        return Ok(());
    }
    if let Some(key) = key
        && let Some(item) = order.iter().find(|item| item.get(key).is_none())
    {
        return Err(without_merge_key(item, key));
    }
    let mut rest = order.iter();
    for item in wanted.iter().filter(|item| key.is_none() || item.get(DIRECTIVE).is_none()) {
        if let Some(key) = key
            && item.get(key).is_none()
        {
            return Err(without_merge_key(item, key));
        }
        if !rest.any(|other| is_same(other, item, key)) {
            let (wanted, order) = (Value::Array(wanted.to_vec()), Value::Array(order.to_vec()));
            return Err(PatchError::Unfit(format!(
                "The order in patch list:\n{}\n doesn't match $setElementOrder list:\n{}\n",
                plain(&wanted),
                plain(&order)
            )));
        }
    }
    Ok(())
}

fn is_same(left: &Value, right: &Value, key: Option<&str>) -> bool {
    match key {
        Some(key) => left.get(key).is_some() && left.get(key) == right.get(key),
        None => left == right,
    }
}

fn array(value: Value) -> Result<Vec<Value>, PatchError> {
    match value {
        Value::Array(items) => Ok(items),
        other => Err(PatchError::Unfit(format!("expected a []interface {{}}, but received a {}", type_name(&other)))),
    }
}
