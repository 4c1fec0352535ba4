//! What is wrong with an object: its metadata, its kind's own rules, and of custom kinds its scale.

use serde_json::{Value, json};

use crate::{
    cause::{Cause, CauseKind},
    metadata,
    resource::{Part, Resource},
    schema::cel::has_rules,
};

/// What is wrong with what is about to be written; empty: nothing.
pub(super) fn validate(resource: &Resource, new: &Value, old: Option<&Value>, part: Part) -> Vec<Cause> {
    let mut causes = metadata::causes(resource, new);
    if let Some(old) = old {
        let changed = metadata::update_causes(new, old);
        if resource.is_custom {
            // The real server looks at these parts of a custom object three times.
            causes.extend((0..2).flat_map(|_| changed.iter().cloned().chain(metadata::map_causes(new))));
        } else {
            causes.extend(changed);
        }
    }
    let is_blocked = causes.iter().any(is_blocking);
    let mut own = resource.rules.validate(new, old, part);
    if resource.is_custom {
        own.extend(scale_causes(resource, new, part));
        let is_unchecked = is_blocked && !own.iter().any(|cause| cause.detail == UNCHECKED);
        if is_unchecked && has_rules(&resource.schema) {
            causes.push(Cause::new(CauseKind::Invalid, "", Value::Null, UNCHECKED));
        }
    }
    causes.extend(own);
    causes
}

const UNCHECKED: &str = "some validation rules were not checked because the object was invalid; correct the existing errors \
                         to complete validation";

/// What keeps rules from being evaluated.
fn is_blocking(cause: &Cause) -> bool {
    matches!(cause.kind, CauseKind::Required | CauseKind::TooLong | CauseKind::TooMany | CauseKind::TypeInvalid)
}

fn scale_causes(resource: &Resource, object: &Value, part: Part) -> Option<Cause> {
    let paths = resource.scale.as_ref()?;
    let path = if part == Part::Status { &paths.status_replicas } else { &paths.replicas };
    let value = path.split('.').filter(|field| !field.is_empty()).fold(object, |value, field| &value[field]);
    let detail = match value {
        Value::Null => return None,
        value => match value.as_i64() {
            Some(number) if number < 0 => "should be a non-negative integer".to_owned(),
            Some(number) if number > i64::from(i32::MAX) => format!("should be less than or equal to {}", i32::MAX),
            Some(_) => return None,
            None => {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                let detail = format!("{path} accessor error: {text} is of the type {}, expected int64", go_type(value));
                return Some(Cause::new(CauseKind::Invalid, path.clone(), json!(0), detail));
            }
        },
    };
    Some(Cause::new(CauseKind::Invalid, path.clone(), value.clone(), detail))
}

fn go_type(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "string",
        Value::Bool(_) => "bool",
        Value::Number(_) => "float64",
        Value::Array(_) => "[]interface {}",
        _ => "map[string]interface {}",
    }
}
