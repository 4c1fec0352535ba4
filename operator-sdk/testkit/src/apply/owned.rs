//! Which fields a value sets.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{
    field_set::FieldSet,
    path::Element,
    typed::{Form, Type, element},
};

/// All fields that the value sets, and the items of its lists.
pub(super) fn fields(value: &Value, ty: Type<'_>) -> FieldSet {
    let mut set = FieldSet::default();
    let form = ty.form(value);
    match (form, value) {
        _ if form.is_atomic() => {}
        (Form::Map(_), Value::Object(object)) => {
            for (name, value) in object {
                let Some(field) = ty.field(name) else { continue };
                let is_empty = value.is_null() || value.as_object().is_some_and(Map::is_empty);
                if is_empty || !ty.declares(name) || field.form(value).is_atomic() {
                    set.add_member(Element::field(name));
                }
                set.add_child(Element::field(name), fields(value, field));
            }
        }
        (Form::List(list), Value::Array(items)) => {
            let mut found = BTreeMap::<Element, Vec<&Value>>::new();
            for (place, item) in items.iter().enumerate() {
                if let Ok(element) = element(item, place, list, ty.item()) {
                    found.entry(element).or_default().push(item);
                }
            }
            for (element, items) in found {
                if let [item] = items[..] {
                    set.add_child(element.clone(), fields(item, ty.item()));
                }
                set.add_member(element);
            }
        }
        _ => {}
    }
    set
}

/// The set and, above each of its paths, the fields that the schema names: who owns what is in them holds them, too.
pub(super) fn with_named_fields(set: &FieldSet, ty: Type<'_>) -> FieldSet {
    let mut all = set.clone();
    for (element, child) in set.children() {
        if matches!(element, Element::Field(name) if ty.declares(name)) {
            all.add_member(element.clone());
        }
        if let Some(ty) = ty.at(element) {
            all.add_child(element.clone(), with_named_fields(child, ty));
        }
    }
    all
}
