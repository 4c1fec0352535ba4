//! What stands in a case for things that only a run knows: `${ns}`, `${1.metadata.uid}`, `${a*300}`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// What a run knows so far.
#[derive(Debug, Default)]
pub struct Known {
    /// The namespace of the case.
    pub namespace: String,
    /// The answers by number and by id.
    pub answers: BTreeMap<String, Value>,
}

impl Known {
    /// A text with everything put in.
    pub fn fill(&self, text: &str) -> String {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let Some((name, after)) = after.split_once('}') else { break };
            filled.push_str(before);
            filled.push_str(&self.value(name));
            rest = after;
        }
        filled + rest
    }

    /// A value with everything put into its texts and names.
    pub fn fill_all(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.fill(text)),
            Value::Array(items) => items.iter().map(|item| self.fill_all(item)).collect(),
            Value::Object(fields) => Value::Object(
                fields.iter().map(|(name, value)| (self.fill(name), self.fill_all(value))).collect::<Map<_, _>>(),
            ),
            other => other.clone(),
        }
    }

    fn value(&self, name: &str) -> String {
        if name == "ns" {
            return self.namespace.clone();
        }
        if let Some((letters, count)) = name.split_once('*') {
            return letters.repeat(count.parse().expect("a number of repetitions"));
        }
        let (path, more) =
            name.split_once('+').map_or((name, 0), |(path, more)| (path, more.parse().expect("a number")));
        let (step, path) = path.split_once('.').unwrap_or((path, ""));
        let answer = self.answers.get(step);
        let value = path.split('.').fold(answer, |value, name| match value? {
            Value::Array(items) => items.get(name.parse::<usize>().ok()?),
            value => value.get(name),
        });
        match value {
            Some(Value::String(text)) if more == 0 => text.clone(),
            Some(Value::String(text)) => text.parse::<u64>().map_or(text.clone(), |number| (number + more).to_string()),
            Some(value) => value.to_string(),
            // A request that failed has no such field; the same on both sides.
            None => "missing".to_owned(),
        }
    }
}
