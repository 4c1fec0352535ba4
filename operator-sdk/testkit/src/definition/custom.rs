//! What the server does to objects of a custom kind: what their schema says.

use std::sync::Arc;

use serde_json::Value;

use crate::{
    cause::{Cause, CauseKind},
    go_text,
    resource::{Part, Rules, ScalePaths},
    schema::{
        Schema, Shape,
        cel::{check_rules, check_unchanged, has_rules},
        check::check,
        prune::{apply_defaults, apply_defaults_only, check_embedded, check_lists},
    },
};

const UNCHECKED: &str = "some validation rules were not checked because the object was invalid; correct the existing errors \
                         to complete validation";

/// What a custom kind does.
pub(super) struct Custom {
    schema: Arc<Schema>,
    has_status: bool,
    scale: Option<ScalePaths>,
    has_rules: bool,
    /// Whether what is stored may break rules that are newer than it.
    may_be_older: bool,
}

impl Custom {
    pub(super) fn new(schema: Arc<Schema>, has_status: bool, scale: Option<ScalePaths>, is_original: bool) -> Self {
        Self { has_rules: has_rules(&schema), may_be_older: !is_original, schema, has_status, scale }
    }

    /// By the schema, CEL rules aside.
    fn check_shape(&self, new: &Value, old: Option<&Value>, part: Part) -> Vec<Cause> {
        if part == Part::Main {
            let mut causes = check(&self.schema, new, old);
            causes.extend(check_embedded(&self.schema, new));
            return causes;
        }
        let Shape::Map(map) = &self.schema.shape else { return Vec::new() };
        let (Some(schema), Some(status)) = (map.fields.get("status"), new.get("status")) else { return Vec::new() };
        // A status is looked at by itself, so that what is said begins there.
        let mut causes = check(schema, status, old.and_then(|old| old.get("status")));
        for cause in causes.iter_mut().filter(|cause| !cause.field.is_empty()) {
            cause.field = format!("status.{}", cause.field);
        }
        causes
    }
}

impl Custom {
    fn check_scale(&self, new: &Value, part: Part) -> Vec<Cause> {
        let Some(scale) = &self.scale else { return Vec::new() };
        let of_spec = (part == Part::Main).then(|| check_replicas(new, &scale.replicas)).flatten();
        let of_status = check_replicas(new, &scale.status_replicas);
        let of_selector = scale.selector.as_ref().and_then(|path| {
            let value = find(new, path).filter(|value| !value.is_string())?;
            Some(Cause::new(CauseKind::Invalid, path, Value::from(""), unreadable(path, value, "string")))
        });
        of_spec.into_iter().chain(of_status).chain(of_selector).collect()
    }
}

impl Rules for Custom {
    fn default(&self, object: &mut Value) {
        apply_defaults(&self.schema, object);
    }

    fn default_applied(&self, object: &mut Value) {
        apply_defaults_only(&self.schema, object);
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
        causes.extend(self.check_scale(new, part));
        // What was not unique before may stay so.
        let doubles = check_lists(&self.schema, new);
        if !doubles.is_empty() && old.is_none_or(|old| check_lists(&self.schema, old).is_empty()) {
            causes.extend(doubles);
        }
        match (self.has_rules, causes.iter().any(blocks_rules)) {
            (false, _) => {}
            (true, false) => causes.extend(check_rules(&self.schema, new, old)),
            (true, true) => causes.push(Cause::new(CauseKind::Invalid, "", Value::Null, UNCHECKED)),
        }
        causes
    }

    fn warn(&self, new: &Value, old: Option<&Value>, _part: Part) -> Vec<String> {
        let Some(old) = old.filter(|_| self.has_rules && self.may_be_older) else { return Vec::new() };
        check_unchanged(&self.schema, new, old).iter().map(Cause::to_string).collect()
    }
}

/// Whether the CEL rules are not asked because of it.
fn blocks_rules(cause: &Cause) -> bool {
    use CauseKind::{NotSupported, Required, TooLong, TooMany, TypeInvalid};
    matches!(cause.kind, NotSupported | Required | TooLong | TooMany | TypeInvalid)
}

fn check_replicas(object: &Value, path: &str) -> Option<Cause> {
    let value = find(object, path)?;
    let (number, detail) = match value.as_i64() {
        None => (0, unreadable(path, value, "int64")),
        Some(number) if number < 0 => (number, "should be a non-negative integer".to_owned()),
        Some(number) if number > i64::from(i32::MAX) => {
            (number, format!("should be less than or equal to {}", i32::MAX))
        }
        Some(_) => return None,
    };
    Some(Cause::new(CauseKind::Invalid, path, number.into(), detail))
}

fn unreadable(path: &str, value: &Value, expected: &str) -> String {
    let (shown, given) = (go_text::plain(value), go_text::type_name(value));
    format!("{path} accessor error: {shown} is of the type {given}, expected {expected}")
}

fn find<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    path.trim_start_matches('.').split('.').try_fold(object, |value, key| value.get(key))
}
