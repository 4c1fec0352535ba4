//! Whether an intent fits the schema, in the words of the real server, which are those of Go.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    path::Element,
    typed::{Form, Type, element},
};
use crate::{
    go_text::{plain, syntax, type_name},
    schema::Scalar,
};

/// Why the intent is none of an object of this type.
///
/// # Errors
/// What the real server says of it.
pub(super) fn validate(intent: &Value, ty: Type<'_>) -> Result<(), String> {
    let mut problems = Vec::new();
    visit(intent, ty, "", &mut problems);
    match &problems[..] {
        [] => Ok(()),
        [problem] => Err(problem.clone()),
        many => Err(format!("errors:\n  {}", many.join("\n  "))),
    }
}

/// Whether a value is one of this type; items of a list may be there twice. What equals its counterpart in a value that is
/// `known` to be one is not looked at.
pub(super) fn fits(value: &Value, ty: Type<'_>, known: Option<&Value>) -> bool {
    let fits_field = |(name, value): (&String, &Value)| {
        let known = known.and_then(|known| known.get(name));
        known == Some(value) || ty.field(name).is_some_and(|field| fits(value, field, known))
    };
    match (ty.form(value), value) {
        (_, Value::Null) => true,
        (Form::Scalar(scalar), value) => check_scalar(value, scalar).is_none(),
        (Form::Map(_), Value::Object(object)) => object.iter().all(fits_field),
        (Form::List(list), Value::Array(items)) => items
            .iter()
            .enumerate()
            .all(|(place, item)| element(item, place, list, ty.item()).is_ok() && fits(item, ty.item(), None)),
        _ => false,
    }
}

fn visit(value: &Value, ty: Type<'_>, path: &str, problems: &mut Vec<String>) {
    let at = |problem: String| if path.is_empty() { problem } else { format!("{path}: {problem}") };
    match (ty.form(value), value) {
        (_, Value::Null) => {}
        (Form::Scalar(scalar), value) => {
            problems.extend(check_scalar(value, scalar).map(at));
        }
        (Form::Map(_), Value::Object(object)) => {
            for (name, value) in object {
                let path = format!("{path}.{name}");
                match ty.field(name) {
                    Some(field) => visit(value, field, &path, problems),
                    None => return problems.push(format!("{path}: field not declared in schema")),
                }
            }
        }
        (Form::Map(_), value) => problems.push(at(format!("expected map, got &{{{}}}", plain(value)))),
        (Form::List(list), Value::Array(items)) => {
            let mut found = BTreeSet::new();
            for (place, item) in items.iter().enumerate() {
                let element: Element = match element(item, place, list, ty.item()) {
                    Ok(element) => element,
                    Err(problem) => return problems.push(at(format!("element {place}: {problem}"))),
                };
                let below = format!("{path}{element}");
                if !found.insert(element.clone()) {
                    problems.push(at(format!("duplicate entries for key {element}")));
                }
                visit(item, ty.item(), &below, problems);
            }
        }
        (Form::List(_), value) => problems.push(at(format!("expected list, got &{{{}}}", plain(value)))),
    }
}

fn check_scalar(value: &Value, scalar: Option<Scalar>) -> Option<String> {
    let is_scalar = !value.is_array() && !value.is_object();
    match scalar {
        Some(Scalar::String) if !value.is_string() => {
            Some(format!("expected string, got &value.valueUnstructured{{Value:{}}}", syntax(value)))
        }
        Some(Scalar::Integer | Scalar::Number) if !value.is_number() => {
            Some(format!("expected numeric (int or float), got {}", type_name(value)))
        }
        Some(Scalar::Boolean) if !value.is_boolean() => Some(format!("expected boolean, got &{{{}}}", plain(value))),
        _ if !is_scalar => Some(format!("expected any scalar, got &{{{}}}", plain(value))),
        _ => None,
    }
}
