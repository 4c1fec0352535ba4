//! JSON patch, JSON merge patch and strategic merge patch: what a patch makes of an object, and in the real server's words
//! why it cannot.
//!
//! Whether the outcome still is an object of its kind is for the caller to see.

use serde_json::{Map, Value};

use crate::{go_text::json_name, schema::Schema};

mod json;
mod merge;
mod strategic;

/// How a patch is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatchKind {
    /// `application/json-patch+json`, RFC 6902.
    Json,
    /// `application/merge-patch+json`, RFC 7396.
    Merge,
    /// `application/strategic-merge-patch+json`; custom resources have none (415).
    Strategic,
}

/// Why a patch does nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// 400 `BadRequest`.
    #[error("{0}")]
    BadRequest(String),
    /// 413 `RequestEntityTooLarge`.
    #[error("{0}")]
    TooLarge(String),
    /// 422 `Invalid`, with empty details.
    #[error("the server rejected our request due to an error in our request")]
    Unprocessable,
    /// 422 `Invalid`, of the field `patch`.
    #[error("{problem}")]
    Mistyped {
        /// The patch as the real server prints it.
        patch: String,
        /// What is wrong with the outcome.
        problem: String,
    },
    /// 500 without a reason.
    #[error("{0}")]
    Unfit(String),
}

/// What the patch makes of the object as the server would show it. `schema` says how strategic merge patch finds items.
///
/// # Errors
/// A [`PatchError`].
pub fn apply(live: &Value, kind: PatchKind, body: &[u8], schema: &Schema) -> Result<Value, PatchError> {
    let body: Value = serde_json::from_slice(body).map_err(|_| PatchError::BadRequest("invalid JSON patch".into()))?;
    match kind {
        PatchKind::Json => json::apply(live, &body),
        PatchKind::Merge => match body {
            Value::Object(patch) => Ok(merge::apply(live, &patch)),
            Value::Null => Err(PatchError::BadRequest("Invalid JSON Patch".into())),
            other => Err(PatchError::BadRequest(format!("error decoding patch: {}", not_an_object(&other)))),
        },
        PatchKind::Strategic => match body {
            Value::Object(patch) => {
                let live = live.as_object().cloned().unwrap_or_else(Map::new);
                strategic::apply(live, patch, schema)
            }
            Value::Null => Ok(live.clone()),
            other => Err(PatchError::BadRequest(not_an_object(&other))),
        },
    }
}

fn not_an_object(value: &Value) -> String {
    format!("json: cannot unmarshal {} into Go value of type map[string]interface {{}}", json_name(value))
}
