//! Label selectors and field selectors.

mod label;

use serde_json::Value;

use crate::{failure::Failure, resource::Resource};

/// Which objects a list or a watch wants.
#[derive(Clone, Debug, Default)]
pub struct Selector {
    labels: Vec<Requirement>,
    fields: Vec<FieldRequirement>,
}

#[derive(Clone, Debug)]
struct Requirement {
    key: String,
    operator: Operator,
}

#[derive(Clone, Debug)]
enum Operator {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Absent,
    Above(i64),
    Below(i64),
}

#[derive(Clone, Debug)]
struct FieldRequirement {
    path: Vec<String>,
    value: String,
    is_negated: bool,
}

impl Selector {
    /// Reads the selectors of a request for a kind.
    pub fn parse(resource: &Resource, labels: &str, fields: &str) -> Result<Self, Failure> {
        Ok(Self { labels: label::parse(labels)?, fields: parse_fields(resource, fields)? })
    }

    /// Reads a `LabelSelector` as it stands in objects (`matchLabels`, `matchExpressions`); an empty one matches all.
    pub fn from_object(selector: &Value) -> Self {
        let equal = selector["matchLabels"].as_object().into_iter().flatten();
        let mut labels: Vec<Requirement> = equal
            .map(|(key, value)| Requirement {
                key: key.clone(),
                operator: Operator::In(vec![value.as_str().unwrap_or_default().to_owned()]),
            })
            .collect();
        for expression in selector["matchExpressions"].as_array().into_iter().flatten() {
            let values = expression["values"].as_array().into_iter().flatten();
            let values = values.filter_map(|value| value.as_str().map(str::to_owned)).collect();
            let operator = match expression["operator"].as_str() {
                Some("In") => Operator::In(values),
                Some("NotIn") => Operator::NotIn(values),
                Some("Exists") => Operator::Exists,
                _ => Operator::Absent,
            };
            labels.push(Requirement { key: expression["key"].as_str().unwrap_or_default().to_owned(), operator });
        }
        Self { labels, fields: Vec::new() }
    }

    /// The same with the name given.
    #[must_use]
    pub fn with_name(mut self, name: &str) -> Self {
        let path = vec!["metadata".to_owned(), "name".to_owned()];
        self.fields.push(FieldRequirement { path, value: name.to_owned(), is_negated: false });
        self
    }

    /// Whether everything matches.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// The name that the field selector asks for.
    pub fn name(&self) -> Option<&str> {
        let named = |field: &&FieldRequirement| !field.is_negated && field.path == ["metadata", "name"];
        self.fields.iter().find(named).map(|field| field.value.as_str())
    }

    /// Whether an object is wanted.
    pub fn matches(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        self.labels.iter().all(|requirement| requirement.matches(labels[&requirement.key].as_str()))
            && self.fields.iter().all(|field| field.matches(object))
    }
}

impl Requirement {
    fn matches(&self, label: Option<&str>) -> bool {
        let number = || label.and_then(|label| label.parse::<i64>().ok());
        match &self.operator {
            Operator::In(values) => label.is_some_and(|label| values.iter().any(|value| value == label)),
            Operator::NotIn(values) => !label.is_some_and(|label| values.iter().any(|value| value == label)),
            Operator::Exists => label.is_some(),
            Operator::Absent => label.is_none(),
            Operator::Above(bound) => number().is_some_and(|number| number > *bound),
            Operator::Below(bound) => number().is_some_and(|number| number < *bound),
        }
    }
}

impl FieldRequirement {
    fn matches(&self, object: &Value) -> bool {
        let value = self.path.iter().fold(object, |value, field| &value[field]);
        let is_equal = match value {
            Value::Null => self.value.is_empty() || self.value == "false",
            Value::String(text) => *text == self.value,
            other => serde_json::from_str::<Value>(&self.value).is_ok_and(|value| value == *other),
        };
        is_equal != self.is_negated
    }
}

fn parse_fields(resource: &Resource, text: &str) -> Result<Vec<FieldRequirement>, Failure> {
    let mut fields = Vec::new();
    for term in split_fields(text).into_iter().filter(|term| !term.is_empty()) {
        let (path, value, is_negated) = if let Some((path, value)) = term.split_once("!=") {
            (path, value, true)
        } else if let Some((path, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
            (path, value, false)
        } else {
            return Err(Failure::bad_request(format!("invalid selector: '{text}'; can't understand '{term}'")));
        };
        let is_known = path == "metadata.name"
            || (resource.is_namespaced && path == "metadata.namespace")
            || resource.selectable_fields.iter().any(|field| field.trim_start_matches('.') == path);
        if !is_known {
            return Err(Failure::bad_request(unknown_field(resource, path)));
        }
        let path = path.split('.').map(str::to_owned).collect();
        fields.push(FieldRequirement { path, value: unescape(value), is_negated });
    }
    Ok(fields)
}

fn unknown_field(resource: &Resource, path: &str) -> String {
    if resource.is_custom || !resource.selectable_fields.is_empty() {
        return format!("field label not supported: {path}");
    }
    format!("{path:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\"")
}

/// At commas that are not escaped.
fn split_fields(text: &str) -> Vec<String> {
    let (mut terms, mut term, mut is_escaped) = (Vec::new(), String::new(), false);
    for letter in text.chars() {
        if letter == ',' && !is_escaped {
            terms.push(std::mem::take(&mut term));
            continue;
        }
        is_escaped = letter == '\\' && !is_escaped;
        term.push(letter);
    }
    terms.push(term);
    terms
}

fn unescape(value: &str) -> String {
    let (mut plain, mut is_escaped) = (String::new(), false);
    for letter in value.chars() {
        if letter == '\\' && !is_escaped {
            is_escaped = true;
            continue;
        }
        is_escaped = false;
        plain.push(letter);
    }
    plain
}
