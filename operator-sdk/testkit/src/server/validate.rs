//! What is wrong with an object: its metadata, and what its kind's own rules say.

use serde_json::Value;

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
            let twice_more: Vec<Cause> = changed.into_iter().chain(metadata::map_causes(new)).collect();
            causes.extend(twice_more.clone());
            causes.extend(twice_more);
        } else {
            causes.extend(changed);
        }
    }
    let is_blocked = causes.iter().any(is_blocking);
    let own = resource.rules.validate(new, old, part);
    if resource.is_custom {
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
