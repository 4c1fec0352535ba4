//! What is wrong with one field of an object, in the words of Kubernetes.

use std::fmt;

use serde_json::Value;

/// One thing that is wrong with one field.
#[derive(Clone, Debug, PartialEq)]
pub struct Cause {
    /// What kind of wrong.
    pub kind: CauseKind,
    /// The field's path, as in `spec.template.spec.containers[0].name`; empty: the object as a whole.
    pub field: String,
    /// What is given there; shown where the kind shows it.
    pub value: Option<Value>,
    /// What is asked for.
    pub detail: String,
}

/// The kinds of `field.Error` of apimachinery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the reason of that name")]
pub enum CauseKind {
    Required,
    Invalid,
    NotSupported,
    Forbidden,
    Duplicate,
    NotFound,
    TooLong,
    TooMany,
    TypeInvalid,
}

impl Cause {
    /// A cause with the value that is wrong.
    pub fn new(kind: CauseKind, field: impl Into<String>, value: Value, detail: impl Into<String>) -> Self {
        Self { kind, field: field.into(), value: Some(value), detail: detail.into() }
    }

    /// Nothing is there.
    pub fn required(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { kind: CauseKind::Required, field: field.into(), value: None, detail: detail.into() }
    }

    /// What is there may not be.
    pub fn forbidden(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { kind: CauseKind::Forbidden, field: field.into(), value: None, detail: detail.into() }
    }
}

impl Cause {
    /// What is wrong, without the field.
    pub fn message(&self) -> String {
        let name = match self.kind {
            CauseKind::Required => "Required value",
            CauseKind::Invalid | CauseKind::TypeInvalid => "Invalid value",
            CauseKind::NotSupported => "Unsupported value",
            CauseKind::Forbidden => "Forbidden",
            CauseKind::Duplicate => "Duplicate value",
            CauseKind::NotFound => "Not found",
            CauseKind::TooLong => "Too long",
            CauseKind::TooMany => "Too many",
        };
        let is_hidden = matches!(self.kind, CauseKind::Required | CauseKind::Forbidden | CauseKind::TooLong);
        let value = self.value.as_ref().filter(|_| !is_hidden).map_or_else(String::new, |value| format!(": {value}"));
        let detail = if self.detail.is_empty() { String::new() } else { format!(": {}", self.detail) };
        format!("{name}{value}{detail}")
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.field, self.message())
    }
}

impl CauseKind {
    /// The reason in `details.causes` of a Status.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Required => "FieldValueRequired",
            Self::Invalid => "FieldValueInvalid",
            Self::NotSupported => "FieldValueNotSupported",
            Self::Forbidden => "FieldValueForbidden",
            Self::Duplicate => "FieldValueDuplicate",
            Self::NotFound => "FieldValueNotFound",
            Self::TooLong => "FieldValueTooLong",
            Self::TooMany => "FieldValueTooMany",
            Self::TypeInvalid => "FieldValueTypeInvalid",
        }
    }
}
