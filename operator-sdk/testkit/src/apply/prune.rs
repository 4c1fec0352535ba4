//! What an applier set once and sets no longer goes, unless somebody else owns it.

use serde_json::{Map, Value};

use super::{
    field_set::FieldSet,
    owned::{fields, with_named_fields},
    path::Element,
    typed::{Form, Type, element},
};

/// `merged` without what is in `last`, is in no set of `owned`, and has nothing left that anybody owns.
pub(super) fn prune(merged: &Value, last: &FieldSet, owned: &FieldSet, ty: Type<'_>) -> Value {
    let last = with_named_fields(last, ty);
    let all = with_named_fields(&fields(merged, ty), ty);
    let remaining = |value: &Value| with_named_fields(&fields(value, ty), ty);
    let kept = remaining(&without(merged, &last, ty)).union(&with_named_fields(owned, ty));
    let owned_only = without(merged, &all.difference(&kept), ty);
    let gone = all.difference(&remaining(&owned_only)).intersection(&last);
    without(merged, &gone, ty)
}

/// The value without these fields; what is left empty by it is null.
fn without(value: &Value, gone: &FieldSet, ty: Type<'_>) -> Value {
    let form = ty.form(value);
    match (form, value) {
        (Form::Scalar(_), value) => value.clone(),
        _ if form.is_atomic() => Value::Null,
        (Form::Map(_), Value::Object(object)) => {
            let rest: Map<_, _> = object
                .iter()
                .filter(|(name, _)| !gone.has_member(&Element::field(name)))
                .map(|(name, value)| (name.clone(), below(value, gone, &Element::field(name), ty.field(name))))
                .collect();
            if rest.is_empty() { Value::Null } else { Value::Object(rest) }
        }
        (Form::List(list), Value::Array(items)) => {
            let elements =
                items.iter().enumerate().map(|(place, item)| (element(item, place, list, ty.item()).ok(), item));
            let rest: Vec<_> = elements
                .filter(|(element, _)| !element.as_ref().is_some_and(|element| gone.has_member(element)))
                .map(|(element, item)| match element {
                    Some(element) => below(item, gone, &element, Some(ty.item())),
                    None => item.clone(),
                })
                .collect();
            if rest.is_empty() { Value::Null } else { Value::Array(rest) }
        }
        _ => Value::Null,
    }
}

fn below(value: &Value, gone: &FieldSet, element: &Element, ty: Option<Type<'_>>) -> Value {
    match (gone.child(element), ty) {
        (Some(gone), Some(ty)) => without(value, gone, ty),
        _ => value.clone(),
    }
}
