//! One step into an object, as `fieldsV1` writes it: a field, an item of a list by its keys or by its value, or a place.

use std::{cmp::Ordering, fmt, sync::Arc};

use serde_json::{Map, Number, Value};

use crate::schema::prune::shorten_numbers;

/// A path from the root of an object.
pub(super) type Path = Vec<Element>;

/// A step of a path. The order is that of the real server's output.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Element {
    /// `f:`: a field of an object.
    Field(Arc<str>),
    /// `k:`: the item of a list whose fields have these values, by name.
    Key(Vec<(String, Atom)>),
    /// `v:`: the item of a list that is this value.
    Value(Atom),
    /// `i:`: the item at this place.
    Index(usize),
}

/// A value that can be compared with any other: numbers, then strings, booleans, arrays, objects and null.
#[derive(Clone, Debug)]
pub(super) struct Atom(pub(super) Value);

impl Element {
    /// A field.
    pub(super) fn field(name: &str) -> Self {
        Self::Field(name.into())
    }

    /// Reads what [`Element::encode`] writes; `None`: a kind of step that is not known.
    pub(super) fn decode(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once(':')?;
        match kind {
            "f" => Some(Self::Field(rest.into())),
            "v" => serde_json::from_str(rest).ok().map(|value| Self::Value(Atom(value))),
            "i" => rest.parse().ok().map(Self::Index),
            "k" => {
                let fields: Map<String, Value> = serde_json::from_str(rest).ok()?;
                Some(Self::key(fields))
            }
            _ => None,
        }
    }

    /// As a name in `fieldsV1`.
    pub(super) fn encode(&self) -> String {
        match self {
            Self::Field(name) => ["f:", name].concat(),
            Self::Value(value) => format!("v:{}", value.text()),
            Self::Index(index) => format!("i:{index}"),
            Self::Key(fields) => {
                let fields: Vec<_> = fields
                    .iter()
                    .map(|(name, value)| format!("{}:{}", Value::from(name.as_str()), value.text()))
                    .collect();
                format!("k:{{{}}}", fields.join(","))
            }
        }
    }

    pub(super) fn key(fields: impl IntoIterator<Item = (String, Value)>) -> Self {
        let mut fields: Vec<_> = fields.into_iter().map(|(name, value)| (name, Atom(value))).collect();
        fields.sort();
        Self::Key(fields)
    }
}

/// As in the causes of a conflict: `.spec.ports[port=80,protocol="TCP"].name`.
pub(super) fn display(path: &[Element]) -> String {
    path.iter().map(ToString::to_string).collect()
}

impl fmt::Display for Element {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(formatter, ".{name}"),
            Self::Value(value) => write!(formatter, "[={}]", value.0),
            Self::Index(index) => write!(formatter, "[{index}]"),
            Self::Key(fields) => {
                let fields: Vec<_> = fields.iter().map(|(name, value)| format!("{name}={}", value.0)).collect();
                write!(formatter, "[{}]", fields.join(","))
            }
        }
    }
}

impl Atom {
    /// The one way in which Go writes it: a whole number without a point.
    fn text(&self) -> String {
        let mut value = self.0.clone();
        shorten_numbers(&mut value);
        value.to_string()
    }
}

impl PartialEq for Atom {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Atom {}

impl PartialOrd for Atom {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Atom {
    fn cmp(&self, other: &Self) -> Ordering {
        compare(&self.0, &other.0)
    }
}

/// Whether two values are the same to server-side apply, to which `1` and `1.0` are the same.
pub(super) fn is_equal(left: &Value, right: &Value) -> bool {
    left == right || compare(left, right).is_eq()
}

fn compare(left: &Value, right: &Value) -> Ordering {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => compare_numbers(left, right),
        (Value::String(left), Value::String(right)) => left.cmp(right),
        (Value::Bool(left), Value::Bool(right)) => left.cmp(right),
        (Value::Array(left), Value::Array(right)) => {
            let pairs = left.iter().zip(right).map(|(left, right)| compare(left, right));
            pairs.fold(Ordering::Equal, Ordering::then).then(left.len().cmp(&right.len()))
        }
        (Value::Object(left), Value::Object(right)) => compare_objects(left, right),
        _ => rank(left).cmp(&rank(right)),
    }
}

fn compare_numbers(left: &Number, right: &Number) -> Ordering {
    match (left.as_i64(), right.as_i64()) {
        (Some(left), Some(right)) => left.cmp(&right),
        _ => left.as_f64().unwrap_or_default().total_cmp(&right.as_f64().unwrap_or_default()),
    }
}

fn compare_objects(left: &Map<String, Value>, right: &Map<String, Value>) -> Ordering {
    let sorted = |object: &Map<String, Value>| {
        let mut fields: Vec<_> = object.iter().map(|(name, value)| (name.clone(), Atom(value.clone()))).collect();
        fields.sort();
        fields
    };
    sorted(left).cmp(&sorted(right))
}

fn rank(value: &Value) -> u8 {
    match value {
        Value::Number(_) => 0,
        Value::String(_) => 1,
        Value::Bool(_) => 2,
        Value::Array(_) => 3,
        Value::Object(_) => 4,
        Value::Null => 5,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_step_is_read_as_it_was_written() {
        for text in ["f:a", "f:a.b/c:d", "v:\"x\"", "v:1", "v:true", "i:3", "k:{\"port\":80,\"protocol\":\"TCP\"}"] {
            assert_eq!(Element::decode(text).unwrap().encode(), text);
        }
    }

    #[test]
    fn a_whole_number_is_written_without_a_point() {
        assert_eq!(Element::Value(Atom(json!(1.0))).encode(), "v:1");
        assert_eq!(Element::key([("port".into(), json!(80.0))]).encode(), r#"k:{"port":80}"#);
    }

    #[test]
    fn the_keys_of_an_item_are_sorted_by_name() {
        let element = Element::decode(r#"k:{"protocol":"TCP","port":80}"#).unwrap();
        assert_eq!(element.encode(), r#"k:{"port":80,"protocol":"TCP"}"#);
        assert_eq!(element.to_string(), r#"[port=80,protocol="TCP"]"#);
    }

    #[test]
    fn what_is_no_step_is_none() {
        for text in ["", "a", "z:a", "v:{", "i:x", "k:1"] {
            assert_eq!(Element::decode(text), None, "{text}");
        }
    }

    #[test]
    fn numbers_are_equal_by_value_and_kinds_have_an_order() {
        assert!(is_equal(&json!({"a": [1]}), &json!({"a": [1.0]})));
        assert!(!is_equal(&json!({"a": [1]}), &json!({"a": ["1"]})));
        assert!(Atom(json!(7)) < Atom(json!("a")) && Atom(json!("b")) < Atom(json!(true)));
    }
}
