//! Kinds of which only the shape is known.

use serde_json::Value;

use crate::{
    cause::Cause,
    resource::{Part, Rules},
};

/// Does nothing.
pub(super) struct Other;

impl Rules for Other {
    fn default(&self, _object: &mut Value) {}

    fn validate(&self, _new: &Value, _old: Option<&Value>, _part: Part) -> Vec<Cause> {
        Vec::new()
    }
}
