//! What is found wrong with an object of a built-in kind, and how the server words what is often wrong.

use serde_json::{Map as JsonMap, Value, json};

use crate::{
    cause::{Cause, CauseKind},
    names,
};

/// What is found so far.
#[derive(Default)]
pub(super) struct Findings(pub(super) Vec<Cause>);

impl Findings {
    pub(super) fn required(&mut self, path: impl Into<String>, detail: &str) {
        self.0.push(Cause::required(path, detail));
    }

    pub(super) fn forbidden(&mut self, path: impl Into<String>, detail: impl Into<String>) {
        self.0.push(Cause::forbidden(path, detail));
    }

    pub(super) fn invalid(&mut self, path: impl Into<String>, value: &Value, detail: impl Into<String>) {
        self.0.push(Cause::new(CauseKind::Invalid, path, value.clone(), detail));
    }

    pub(super) fn too_long(&mut self, path: impl Into<String>, limit: usize) {
        let detail = format!("may not be more than {limit} bytes");
        self.0.push(Cause { kind: CauseKind::TooLong, field: path.into(), value: None, detail });
    }

    pub(super) fn duplicate(&mut self, path: impl Into<String>, value: &Value) {
        self.0.push(Cause::new(CauseKind::Duplicate, path, value.clone(), ""));
    }

    pub(super) fn not_found(&mut self, path: impl Into<String>, value: &Value) {
        self.0.push(Cause::new(CauseKind::NotFound, path, value.clone(), ""));
    }

    /// A text that is none of those possible.
    pub(super) fn not_one_of(&mut self, path: impl Into<String>, value: &Value, values: &[&str]) {
        if !value.as_str().is_some_and(|text| values.contains(&text)) {
            let values: Vec<String> = values.iter().map(|value| format!("{value:?}")).collect();
            let detail = format!("supported values: {}", values.join(", "));
            self.0.push(Cause::new(CauseKind::NotSupported, path, value.clone(), detail));
        }
    }

    /// Each problem with a text.
    pub(super) fn problems(&mut self, path: &str, value: &str, problems: Vec<String>) {
        for problem in problems {
            self.invalid(path, &json!(value), problem);
        }
    }

    /// A DNS label.
    pub(super) fn label(&mut self, path: &str, value: &str) {
        self.problems(path, value, names::label_problems(value));
    }

    /// A number that may not be below nothing, if it is given.
    pub(super) fn not_negative(&mut self, object: &Value, path: &str, key: &str) {
        let value = &object[key];
        if value.as_i64().is_some_and(|number| number < 0) {
            self.invalid(format!("{path}.{key}"), value, NEGATIVE);
        }
    }

    /// A field that may not change.
    pub(super) fn immutable(&mut self, new: &Value, old: &Value, path: &str) {
        if new != old {
            self.invalid(path, new, "field is immutable");
        }
    }

    /// The number of a port.
    pub(super) fn port_number(&mut self, path: impl Into<String>, value: &Value) {
        if !value.as_i64().is_some_and(|port| (1..=65535).contains(&port)) {
            self.invalid(path, value, "must be between 1 and 65535, inclusive");
        }
    }

    /// The name of a port.
    pub(super) fn port_name(&mut self, path: &str, name: &str) {
        let mut problems = Vec::new();
        if name.len() > 15 {
            problems.push("must be no more than 15 characters".to_owned());
        }
        if !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-') {
            problems.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)".to_owned());
        }
        if !name.bytes().any(|byte| byte.is_ascii_lowercase()) {
            problems.push("must contain at least one letter (a-z)".to_owned());
        }
        if name.contains("--") {
            problems.push("must not contain consecutive hyphens".to_owned());
        }
        if name.starts_with('-') || name.ends_with('-') {
            problems.push("must not begin or end with a hyphen".to_owned());
        }
        self.problems(path, name, problems);
    }

    /// The number or the name of a port.
    pub(super) fn port(&mut self, path: &str, value: &Value) {
        match value.as_str() {
            Some(name) => self.port_name(path, name),
            None => self.port_number(path, value),
        }
    }

    /// A number that is not negative, or a percentage.
    pub(super) fn amount(&mut self, path: &str, value: &Value) {
        match value.as_str() {
            Some(text) if percentage(text).is_none() => self.invalid(path, value, PERCENTAGE),
            None if value.as_i64().is_some_and(|number| number < 0) => self.invalid(path, value, NEGATIVE),
            _ => {}
        }
    }

    /// A percentage of at most 100.
    pub(super) fn at_most_everything(&mut self, path: &str, value: &Value) {
        if value.as_str().and_then(percentage).is_some_and(|percentage| percentage > 100) {
            self.invalid(path, value, "must not be greater than 100%");
        }
    }

    /// Labels of an object or of a template.
    pub(super) fn labels(&mut self, labels: &Value, path: &str) {
        for (name, value) in fields(labels) {
            self.problems(path, name, names::qualified_name_problems(name));
            let value = value.as_str().unwrap_or_default();
            self.problems(path, value, names::label_value_problems(value));
        }
    }

    /// A label selector; gives whether it is one.
    pub(super) fn selector(&mut self, selector: &Value, path: &str) -> bool {
        let before = self.0.len();
        self.labels(&selector["matchLabels"], &format!("{path}.matchLabels"));
        for (index, expression) in items(&selector["matchExpressions"]).enumerate() {
            let path = format!("{path}.matchExpressions[{index}]");
            let values = items(&expression["values"]).count();
            match expression["operator"].as_str().unwrap_or_default() {
                "In" | "NotIn" if values == 0 => {
                    self.required(format!("{path}.values"), "must be specified when `operator` is 'In' or 'NotIn'");
                }
                "Exists" | "DoesNotExist" if values > 0 => {
                    let detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                    self.forbidden(format!("{path}.values"), detail);
                }
                "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
                _ => {
                    let detail = "not a valid selector operator";
                    self.invalid(format!("{path}.operator"), &expression["operator"], detail);
                }
            }
            let key = expression["key"].as_str().unwrap_or_default();
            self.problems(&format!("{path}.key"), key, names::qualified_name_problems(key));
            for (index, value) in items(&expression["values"]).enumerate() {
                let value = value.as_str().unwrap_or_default();
                self.problems(&format!("{path}.values[{index}]"), value, names::label_value_problems(value));
            }
        }
        before == self.0.len()
    }
}

const NEGATIVE: &str = "must be greater than or equal to 0";
const PERCENTAGE: &str = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', \
                          regex used for validation is '[0-9]+%')";

/// The number of a text such as `25%`.
fn percentage(text: &str) -> Option<i64> {
    let digits = text.strip_suffix('%')?;
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(i64::MAX))
}

/// Whether a number or a percentage is nothing.
pub(super) fn is_none(value: &Value) -> bool {
    match value.as_str() {
        Some(text) => percentage(text).unwrap_or_default() == 0,
        None => value.as_i64().unwrap_or_default() == 0,
    }
}

/// An object as the server shows its own: with names that begin with a capital.
pub(super) fn go_value(value: &Value) -> Value {
    let capital = |name: &String| {
        let mut letters = name.chars();
        letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect::<String>()
    };
    match value.as_object() {
        Some(object) => object.iter().map(|(name, value)| (capital(name), value.clone())).collect(),
        None => value.clone(),
    }
}

/// The items of an array; of anything else none.
pub(super) fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// The fields of an object; of anything else none.
pub(super) fn fields(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(JsonMap::iter)
}

/// Whether labels are those that a selector asks for.
pub(super) fn selects(selector: &Value, labels: &Value) -> bool {
    let has = |value: &Value, wanted: &Value| items(wanted).any(|wanted| wanted == value);
    fields(&selector["matchLabels"]).all(|(name, value)| labels.get(name) == Some(value))
        && items(&selector["matchExpressions"]).all(|expression| {
            let label = expression["key"].as_str().and_then(|key| labels.get(key));
            match expression["operator"].as_str().unwrap_or_default() {
                "In" => label.is_some_and(|label| has(label, &expression["values"])),
                "NotIn" => label.is_none_or(|label| !has(label, &expression["values"])),
                "Exists" => label.is_some(),
                _ => label.is_none(),
            }
        })
}

/// Whether a selector asks for nothing.
pub(super) fn is_empty_selector(selector: &Value) -> bool {
    fields(&selector["matchLabels"]).next().is_none() && items(&selector["matchExpressions"]).next().is_none()
}
