//! Conditions in a status, and times as objects carry them.

use jiff::Timestamp;
use serde_json::{Value, json};

/// A condition to be set; an empty reason and message are none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Condition<'a> {
    pub(super) kind: &'a str,
    pub(super) is_true: bool,
    pub(super) reason: &'a str,
    pub(super) message: &'a str,
}

impl<'a> Condition<'a> {
    /// One that holds, as it mostly does.
    pub(super) fn holds(kind: &'a str) -> Self {
        Self { kind, is_true: true, reason: "", message: "" }
    }

    /// One that does not hold, and why.
    pub(super) fn fails(kind: &'a str, reason: &'a str, message: &'a str) -> Self {
        Self { kind, is_true: false, reason, message }
    }

    /// As it stands in a patch of an object that may have it already: its time is that of its last change, and what it says
    /// no more is `null`.
    pub(super) fn patch(&self, object: &Value, now: Timestamp) -> Value {
        let status = if self.is_true { "True" } else { "False" };
        let former = find(object, self.kind).filter(|former| former["status"] == status);
        let since = former.map(|former| &former["lastTransitionTime"]).filter(|since| since.is_string());
        let text = |text: &str| if text.is_empty() { Value::Null } else { text.into() };
        json!({
            "type": self.kind,
            "status": status,
            "reason": text(self.reason),
            "message": text(self.message),
            "lastTransitionTime": since.cloned().unwrap_or_else(|| seconds(now).into()),
        })
    }
}

/// A condition of an object.
pub(super) fn find<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    let mut conditions = object["status"]["conditions"].as_array().into_iter().flatten();
    conditions.find(|condition| condition["type"] == kind)
}

/// Whether a condition of an object holds.
pub(super) fn is_true(object: &Value, kind: &str) -> bool {
    find(object, kind).is_some_and(|condition| condition["status"] == "True")
}

/// Whether a patch would leave an object as it is. Lists of things with a `type` are sets of those.
pub(super) fn changes_nothing(patch: &Value, object: &Value) -> bool {
    match (patch, object) {
        (Value::Object(patch), _) => patch.iter().all(|(name, value)| changes_nothing(value, &object[name])),
        (Value::Array(patch), Value::Array(items)) if patch.iter().all(|wanted| wanted["type"].is_string()) => {
            patch.iter().all(|wanted| {
                let mut items = items.iter();
                items.find(|item| item["type"] == wanted["type"]).is_some_and(|item| changes_nothing(wanted, item))
            })
        }
        (Value::Array(patch), Value::Array(items)) => {
            patch.len() == items.len() && patch.iter().zip(items).all(|(wanted, item)| changes_nothing(wanted, item))
        }
        (patch, object) => patch == object,
    }
}

/// A time as objects carry it.
pub(super) fn seconds(time: Timestamp) -> String {
    Timestamp::from_second(time.as_second()).unwrap_or(time).to_string()
}
