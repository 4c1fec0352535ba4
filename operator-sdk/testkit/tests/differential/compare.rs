//! Where two normalised values differ.

use std::fmt;

use serde_json::Value;

use crate::echo;

/// One place where they differ.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// As in `answers.0.body.message`.
    pub path: String,
    /// What the real server said.
    pub real: Option<Value>,
    /// What the simulated one said.
    pub simulated: Option<Value>,
}

/// All differences.
pub fn differences(real: &Value, simulated: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    compare("", Some(real), Some(simulated), &mut found);
    found
}

fn compare(path: &str, real: Option<&Value>, simulated: Option<&Value>, found: &mut Vec<Difference>) {
    match (real, simulated) {
        // An answer of another kind differs as a whole.
        (Some(left), Some(right)) if left["code"].is_u64() && left["code"] != right["code"] => {
            found.push(Difference { path: path.to_owned(), real: real.cloned(), simulated: simulated.cloned() });
        }
        (Some(Value::Object(left)), Some(Value::Object(right))) => {
            let mut names: Vec<&String> = left.keys().chain(right.keys()).collect();
            names.sort();
            names.dedup();
            for name in names {
                compare(&join(path, name), left.get(name), right.get(name), found);
            }
        }
        (Some(Value::Array(left)), Some(Value::Array(right))) => {
            for at in 0..left.len().max(right.len()) {
                compare(&join(path, &at.to_string()), left.get(at), right.get(at), found);
            }
        }
        (Some(Value::String(left)), Some(Value::String(right))) if echo::are_alike(left, right) => {}
        (left, right) if left == right => {}
        (left, right) => {
            found.push(Difference { path: path.to_owned(), real: left.cloned(), simulated: right.cloned() });
        }
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |value: &Option<Value>| value.as_ref().map_or_else(|| "nothing".to_owned(), Value::to_string);
        write!(
            formatter,
            "{}\n        real      {}\n        simulated {}",
            self.path,
            show(&self.real),
            show(&self.simulated)
        )
    }
}
