//! An intent laid over what is there: what it sets is set, the rest stays.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{
    compare::has_no_parts,
    path::Element,
    typed::{Form, Type, element},
};
use crate::schema::List;

/// The live value as the intent wants it. Nothing is taken away here.
pub(super) fn merge(live: &Value, intent: &Value, ty: Type<'_>) -> Value {
    let form = ty.form(intent);
    if !form.is_same_kind(ty.form(live)) || form.is_atomic() {
        return intent.clone();
    }
    if has_no_parts(Some(live), form) && has_no_parts(Some(intent), form) {
        return intent.clone();
    }
    match form {
        Form::Map(_) => merge_fields(live, intent, ty),
        Form::List(list) => merge_items(live, intent, list, ty.item()),
        Form::Scalar(_) => intent.clone(),
    }
}

fn merge_fields(live: &Value, intent: &Value, ty: Type<'_>) -> Value {
    let mut merged = live.as_object().cloned().unwrap_or_else(Map::new);
    for (name, wanted) in intent.as_object().into_iter().flatten() {
        let Some(field) = ty.field(name) else { continue };
        let value = merged.get(name).map_or_else(|| wanted.clone(), |live| merge(live, wanted, field));
        merged.insert(name.clone(), value);
    }
    Value::Object(merged)
}

/// Items of both come in the order of the intent, those of one only stay behind what they follow, those of the live list
/// first.
fn merge_items(live: &Value, intent: &Value, list: Option<&List>, item: Type<'_>) -> Value {
    let (live, intent) = (elements(live, list, item), elements(intent, list, item));
    let wanted: BTreeMap<&Element, &Value> = intent.iter().map(|(element, value)| (element, *value)).collect();
    let mut is_there = BTreeMap::<&Element, Vec<&Value>>::new();
    for (element, value) in &live {
        is_there.entry(element).or_default().push(value);
    }
    let mut shared =
        intent.iter().map(|(element, _)| element).filter(|element| is_there.contains_key(element)).peekable();
    let mut rest = live.iter().peekable();
    let mut merged = Vec::new();
    for (element, value) in &intent {
        while let Some((next, value)) = rest.next_if(|(next, _)| shared.peek() != Some(&next)) {
            if !wanted.contains_key(next) {
                merged.push((*value).clone());
            }
        }
        rest.next_if(|(next, _)| next == element);
        shared.next_if_eq(&element);
        merged.push(match is_there.get(element).map(Vec::as_slice) {
            Some([live]) => merge(live, value, item),
            _ => (*value).clone(),
        });
    }
    merged.extend(rest.filter(|(element, _)| !wanted.contains_key(element)).map(|(_, value)| (*value).clone()));
    Value::Array(merged)
}

fn elements<'a>(value: &'a Value, list: Option<&List>, item: Type<'_>) -> Vec<(Element, &'a Value)> {
    let items = value.as_array().into_iter().flatten().enumerate();
    items.filter_map(|(place, value)| Some((element(value, place, list, item).ok()?, value))).collect()
}
