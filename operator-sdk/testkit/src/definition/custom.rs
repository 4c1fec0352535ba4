//! What the server does to objects of a custom kind: what their schema says.

use std::sync::Arc;

use serde_json::Value;

use crate::{
    cause::{Cause, CauseKind},
    resource::{Part, Rules},
    schema::{
        Schema, Shape,
        cel::{check_rules, has_rules},
        check::check,
        prune::{apply_defaults, check_embedded, check_lists},
    },
};

const UNCHECKED: &str = "some validation rules were not checked because the object was invalid; correct the existing errors \
                         to complete validation";

/// What a custom kind does.
pub(super) struct Custom {
    schema: Arc<Schema>,
    has_status: bool,
    has_rules: bool,
}

impl Custom {
    pub(super) fn new(schema: Arc<Schema>, has_status: bool) -> Self {
        Self { has_rules: has_rules(&schema), schema, has_status }
    }

    /// By the schema, CEL rules aside.
    fn check_shape(&self, new: &Value, old: Option<&Value>, part: Part) -> Vec<Cause> {
        if part == Part::Main {
            let mut causes = check(&self.schema, new, old, "");
            causes.extend(check_embedded(&self.schema, new, ""));
            return causes;
        }
        let Shape::Map(map) = &self.schema.shape else { return Vec::new() };
        let (Some(schema), Some(status)) = (map.fields.get("status"), new.get("status")) else { return Vec::new() };
        // A status is looked at by itself, so that what is said begins there.
        let mut causes = check(schema, status, old.and_then(|old| old.get("status")), "");
        for cause in causes.iter_mut().filter(|cause| !cause.field.is_empty()) {
            cause.field = format!("status.{}", cause.field);
        }
        causes
    }
}

impl Rules for Custom {
    fn default(&self, object: &mut Value) {
        apply_defaults(&self.schema, object);
    }

    fn prepare(&self, new: &mut Value, old: Option<&Value>, _part: Part) {
        if old.is_none()
            && self.has_status
            && let Some(object) = new.as_object_mut()
        {
            object.remove("status");
        }
    }

    fn validate(&self, new: &Value, old: Option<&Value>, part: Part) -> Vec<Cause> {
        let mut causes = self.check_shape(new, old, part);
        // What was not unique before may stay so.
        if old.is_none_or(|old| check_lists(&self.schema, old, "").is_empty()) {
            causes.extend(check_lists(&self.schema, new, ""));
        }
        match (self.has_rules, causes.iter().any(blocks_rules)) {
            (false, _) => {}
            (true, false) => causes.extend(check_rules(&self.schema, new, old)),
            (true, true) => causes.push(Cause::new(CauseKind::Invalid, "", Value::Null, UNCHECKED)),
        }
        causes
    }
}

/// Whether the CEL rules are not asked because of it.
fn blocks_rules(cause: &Cause) -> bool {
    use CauseKind::{NotSupported, Required, TooLong, TooMany, TypeInvalid};
    matches!(cause.kind, NotSupported | Required | TooLong | TooMany | TypeInvalid)
}
