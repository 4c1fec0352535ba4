//! The simulated server, asked by the same client through its in-process face.

use serde_json::Value;

use crate::case::{Case, File};

/// The normalised answers to a case, from a server of its own.
pub fn run(_file: &File, _case: &Case) -> Value {
    Value::Null
}
