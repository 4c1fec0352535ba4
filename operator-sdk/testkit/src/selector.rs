//! Label selectors and field selectors.

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
        Ok(Self { labels: parse_labels(labels)?, fields: parse_fields(resource, fields)? })
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
            other => other.to_string() == self.value,
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

fn parse_labels(text: &str) -> Result<Vec<Requirement>, Failure> {
    let mut requirements = Vec::new();
    for term in split_labels(text) {
        let term = term.trim();
        if term.is_empty() {
            if text.trim().is_empty() {
                continue;
            }
            return Err(unparsable(text));
        }
        requirements.push(parse_label(term).ok_or_else(|| unparsable(text))?);
    }
    for requirement in &requirements {
        check_label(requirement)?;
    }
    Ok(requirements)
}

fn unparsable(text: &str) -> Failure {
    Failure::bad_request(format!("unable to parse requirement: {text}"))
}

fn parse_label(term: &str) -> Option<Requirement> {
    if let Some(key) = term.strip_prefix('!') {
        return Some(Requirement { key: plain(key)?, operator: Operator::Absent });
    }
    if let Some((key, values)) = term.split_once('(') {
        let values = values.trim_end().strip_suffix(')')?;
        let values = values.split(',').map(|value| value.trim().to_owned()).collect();
        let (key, word) = key.trim().rsplit_once(char::is_whitespace)?;
        let operator = match word {
            "in" => Operator::In(values),
            "notin" => Operator::NotIn(values),
            _ => return None,
        };
        return Some(Requirement { key: plain(key)?, operator });
    }
    let operators: [(&str, fn(String) -> Option<Operator>); 5] = [
        ("!=", |value| Some(Operator::NotIn(vec![value]))),
        ("==", |value| Some(Operator::In(vec![value]))),
        ("=", |value| Some(Operator::In(vec![value]))),
        (">", |value| value.parse().ok().map(Operator::Above)),
        ("<", |value| value.parse().ok().map(Operator::Below)),
    ];
    for (sign, operator) in operators {
        if let Some((key, value)) = term.split_once(sign) {
            let value = value.trim();
            let value = if value.is_empty() { String::new() } else { plain(value)? };
            return Some(Requirement { key: plain(key)?, operator: operator(value)? });
        }
    }
    Some(Requirement { key: plain(term)?, operator: Operator::Exists })
}

/// A word without spaces and signs.
fn plain(word: &str) -> Option<String> {
    let word = word.trim();
    let is_plain =
        !word.is_empty() && !word.contains(|letter: char| letter.is_whitespace() || "=!(),<>".contains(letter));
    is_plain.then(|| word.to_owned())
}

/// At commas outside parentheses.
fn split_labels(text: &str) -> Vec<String> {
    let (mut terms, mut term, mut depth) = (Vec::new(), String::new(), 0_i32);
    for letter in text.chars() {
        depth += i32::from(letter == '(') - i32::from(letter == ')');
        if letter == ',' && depth == 0 {
            terms.push(std::mem::take(&mut term));
        } else {
            term.push(letter);
        }
    }
    terms.push(term);
    terms
}

fn check_label(requirement: &Requirement) -> Result<(), Failure> {
    let values = match &requirement.operator {
        Operator::In(values) | Operator::NotIn(values) => values.as_slice(),
        _ => &[],
    };
    if let Some(problem) = crate::names::qualified_name_problems(&requirement.key).into_iter().next() {
        return Err(Failure::bad_request(format!(
            "unable to parse requirement: key: Invalid value: {:?}: {problem}",
            requirement.key
        )));
    }
    for (index, value) in values.iter().enumerate() {
        if let Some(problem) = crate::names::label_value_problems(value).into_iter().next() {
            return Err(Failure::bad_request(format!(
                "unable to parse requirement: values[{index}][{}]: Invalid value: {value:?}: {problem}",
                requirement.key
            )));
        }
    }
    Ok(())
}
