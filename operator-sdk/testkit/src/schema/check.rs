//! What a value of a custom kind must be, and what the server says of one that is not: types, bounds, patterns, formats and
//! the combinations of these. CEL rules are in [`cel`](super::cel).

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::{Value, json};

use super::{
    Scalar, Schema, Shape, format,
    place::Place,
    read::{is_true, items, text, texts},
};
use crate::cause::{Cause, CauseKind};

/// What a value must be beyond its shape.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs, reason = "the names are those of OpenAPI")]
pub struct Validation {
    /// `type`, which counts only within `allOf`, `anyOf`, `oneOf` and `not`.
    pub type_name: Option<String>,
    pub minimum: Option<f64>,
    pub maximum: Option<f64>,
    pub is_minimum_exclusive: bool,
    pub is_maximum_exclusive: bool,
    pub multiple_of: Option<f64>,
    pub min_length: Option<usize>,
    pub max_length: Option<usize>,
    pub pattern: Option<Regex>,
    pub min_items: Option<usize>,
    pub max_items: Option<usize>,
    pub min_properties: Option<usize>,
    pub max_properties: Option<usize>,
    /// `enum`; empty: anything.
    pub values: Vec<Value>,
    pub all_of: Vec<Validation>,
    pub any_of: Vec<Validation>,
    pub one_of: Vec<Validation>,
    pub not: Option<Box<Validation>>,
    /// What lies within, where the shape does not say it: within `allOf`, `anyOf`, `oneOf` and `not`.
    pub within: Within,
}

/// What the parts of a value must be.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs, reason = "the names are those of OpenAPI")]
pub struct Within {
    pub required: Vec<String>,
    pub fields: BTreeMap<String, Validation>,
    pub others: Option<Box<Validation>>,
    pub items: Option<Box<Validation>>,
}

impl Validation {
    /// Reads what a schema says beyond its shape; `None`: nothing.
    pub fn read(json: &Value) -> Option<Self> {
        const KEYS: [&str; 16] = [
            "minimum",
            "maximum",
            "multipleOf",
            "minLength",
            "maxLength",
            "pattern",
            "minItems",
            "maxItems",
            "minProperties",
            "maxProperties",
            "enum",
            "allOf",
            "anyOf",
            "oneOf",
            "not",
            "exclusiveMinimum",
        ];
        let is_reference =
            json.get("$ref").is_some() || items(json, "allOf").iter().any(|part| part.get("$ref").is_some());
        let says_something = !is_reference && KEYS.iter().any(|key| json.get(*key).is_some());
        says_something.then(|| Self::read_outer(json))
    }

    fn read_outer(json: &Value) -> Self {
        let number = |key: &str| json.get(key).and_then(Value::as_f64);
        let size = |key: &str| json.get(key).and_then(Value::as_u64).and_then(|size| usize::try_from(size).ok());
        let parts = |key: &str| items(json, key).iter().map(Self::read_nested).collect();
        Self {
            type_name: None,
            minimum: number("minimum"),
            maximum: number("maximum"),
            is_minimum_exclusive: is_true(json, "exclusiveMinimum"),
            is_maximum_exclusive: is_true(json, "exclusiveMaximum"),
            multiple_of: number("multipleOf"),
            min_length: size("minLength"),
            max_length: size("maxLength"),
            pattern: text(json, "pattern").and_then(|pattern| Regex::new(&pattern).ok()),
            min_items: size("minItems"),
            max_items: size("maxItems"),
            min_properties: size("minProperties"),
            max_properties: size("maxProperties"),
            values: items(json, "enum").to_vec(),
            all_of: parts("allOf"),
            any_of: parts("anyOf"),
            one_of: parts("oneOf"),
            not: json.get("not").map(|not| Box::new(Self::read_nested(not))),
            within: Within::default(),
        }
    }

    fn read_nested(json: &Value) -> Self {
        let nested =
            |key: &str| json.get(key).filter(|part| part.is_object()).map(|part| Box::new(Self::read_nested(part)));
        let fields = json.get("properties").and_then(Value::as_object);
        let fields =
            fields.into_iter().flatten().map(|(name, field)| (name.clone(), Self::read_nested(field))).collect();
        let within = Within {
            required: texts(json, "required"),
            fields,
            others: nested("additionalProperties"),
            items: nested("items"),
        };
        Self { type_name: text(json, "type"), within, ..Self::read_outer(json) }
    }

    /// What is wrong with a value.
    fn check(&self, value: &Value, place: &Place<'_>) -> Vec<Cause> {
        let mut causes = Vec::new();
        if let Some(type_name) = &self.type_name
            && !is_of_type(value, type_name)
        {
            causes.push(wrong_type(place, type_name, type_of(value)));
        }
        self.check_value(value, place, &mut causes);
        let Within { required, fields, others, items } = &self.within;
        match value {
            Value::Object(object) => {
                check_required(required, value, place, &mut causes);
                for (key, value) in object {
                    if let Some(field) = fields.get(key).or(others.as_deref()) {
                        causes.extend(field.check(value, &Place::Field(place, key)));
                    }
                }
            }
            Value::Array(values) => {
                for (index, value) in values.iter().enumerate() {
                    causes.extend(items.iter().flat_map(|item| item.check(value, &Place::Item(place, index))));
                }
            }
            _ => {}
        }
        causes
    }

    fn check_value(&self, value: &Value, place: &Place<'_>, causes: &mut Vec<Cause>) {
        self.check_combinations(value, place, causes);
        match value {
            Value::String(text) => causes.extend(self.check_text(text, place)),
            Value::Number(number) => {
                causes.extend(number.as_f64().and_then(|number| self.check_number(value, number, place)))
            }
            Value::Array(items) => causes.extend(self.check_length(items.len(), place)),
            Value::Object(fields) => causes.extend(self.check_size(fields.len(), place)),
            Value::Null | Value::Bool(_) => {}
        }
        if !self.values.is_empty() && !self.values.contains(value) {
            let values: Vec<String> = self.values.iter().map(|value| format!("{:?}", plain(value))).collect();
            let detail = format!("supported values: {}", values.join(", "));
            causes.push(Cause::new(CauseKind::NotSupported, place, value.clone(), detail));
        }
    }

    fn check_combinations(&self, value: &Value, place: &Place<'_>, causes: &mut Vec<Cause>) {
        let whole = |detail: String| Cause::new(CauseKind::Invalid, "", json!(""), detail);
        if !self.any_of.is_empty() {
            let results: Vec<_> = self.any_of.iter().map(|part| part.check(value, place)).collect();
            if results.iter().all(|causes| !causes.is_empty()) {
                causes.push(whole(format!("\"{place}\" must validate at least one schema (anyOf)")));
                causes.extend(results.into_iter().next().unwrap_or_default());
            }
        }
        if !self.one_of.is_empty() {
            let results: Vec<_> = self.one_of.iter().map(|part| part.check(value, place)).collect();
            let found = match results.iter().filter(|causes| causes.is_empty()).count() {
                0 => Some("Found none valid".to_owned()),
                1 => None,
                count => Some(format!("Found {count} valid alternatives")),
            };
            if let Some(found) = found {
                causes.push(whole(format!("\"{place}\" must validate one and only one schema (oneOf). {found}")));
                causes.extend(results.into_iter().next().unwrap_or_default());
            }
        }
        let of_all: Vec<Cause> = self.all_of.iter().flat_map(|part| part.check(value, place)).collect();
        if !of_all.is_empty() {
            causes.extend(of_all);
            causes.push(whole(format!("\"{place}\" must validate all the schemas (allOf)")));
        }
        if self.not.as_ref().is_some_and(|not| not.check(value, place).is_empty()) {
            causes.push(whole(format!("\"{place}\" must not validate the schema (not)")));
        }
    }

    fn check_text(&self, text: &str, place: &Place<'_>) -> Option<Cause> {
        let length = text.chars().count();
        if let Some(max) = self.max_length.filter(|max| length > *max) {
            return Some(Cause {
                kind: CauseKind::TooLong,
                field: place.to_string(),
                value: None,
                detail: format!("may not be more than {max} bytes"),
            });
        }
        let wrong = |detail: String| Some(Cause::new(CauseKind::Invalid, place, json!(text), detail));
        if let Some(min) = self.min_length.filter(|min| length < *min) {
            return wrong(format!("{place} in body should be at least {min} chars long"));
        }
        match &self.pattern {
            Some(pattern) if !pattern.is_match(text) => wrong(format!("{place} in body should match '{pattern}'")),
            _ => None,
        }
    }

    fn check_number(&self, value: &Value, number: f64, place: &Place<'_>) -> Option<Cause> {
        let wrong = |detail: String| Some(Cause::new(CauseKind::Invalid, place, value.clone(), detail));
        if let Some(factor) = self.multiple_of.filter(|factor| (number / factor).fract() != 0.0) {
            return wrong(format!("{place} in body should be a multiple of {factor}"));
        }
        let above = |max: &f64| number > *max || (self.is_maximum_exclusive && number == *max);
        if let Some(max) = self.maximum.filter(above) {
            let or_equal = if self.is_maximum_exclusive { "" } else { " or equal to" };
            return wrong(format!("{place} in body should be less than{or_equal} {max}"));
        }
        let below = |min: &f64| number < *min || (self.is_minimum_exclusive && number == *min);
        if let Some(min) = self.minimum.filter(below) {
            let or_equal = if self.is_minimum_exclusive { "" } else { " or equal to" };
            return wrong(format!("{place} in body should be greater than{or_equal} {min}"));
        }
        None
    }

    fn check_length(&self, length: usize, place: &Place<'_>) -> Option<Cause> {
        check_count(length, (self.min_items, "items"), self.max_items, place)
    }

    fn check_size(&self, size: usize, place: &Place<'_>) -> Option<Cause> {
        check_count(size, (self.min_properties, "properties"), self.max_properties, place)
    }
}

/// What is wrong with a value of a custom kind by its schema, CEL rules aside. Where it is the same as before, nothing is.
pub fn check(schema: &Schema, value: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes = Vec::new();
    check_at(schema, value, old, &Place::Root, &mut causes);
    causes
}

fn check_at(schema: &Schema, value: &Value, old: Option<&Value>, place: &Place<'_>, causes: &mut Vec<Cause>) {
    if (value.is_null() && schema.is_nullable) || old == Some(value) {
        return;
    }
    check_type(schema, value, place, causes);
    if let Some(validation) = &schema.validation {
        validation.check_value(value, place, causes);
    }
    match (&schema.shape, value) {
        (Shape::Map(map), Value::Object(object)) => {
            check_required(&map.required, value, place, causes);
            for (key, value) in object {
                if let Some(field) = map.fields.get(key).or(map.others.as_ref()) {
                    let old = old.and_then(|old| old.get(key));
                    check_at(field, value, old, &Place::Field(place, key), causes);
                }
            }
        }
        (Shape::List(list), Value::Array(items)) => {
            for (index, item) in items.iter().enumerate() {
                let old = old.and_then(|old| super::correlate(list, item, old));
                check_at(&list.items, item, old, &Place::Item(place, index), causes);
            }
        }
        _ => {}
    }
}

fn check_type(schema: &Schema, value: &Value, place: &Place<'_>, causes: &mut Vec<Cause>) {
    let Some(type_name) = type_name(&schema.shape) else { return };
    let format = schema.format.as_deref();
    let is_right = match &schema.shape {
        Shape::Scalar(Scalar::IntOrString) => value.is_string() || is_of_type(value, "integer"),
        _ => is_of_type(value, type_name),
    };
    let is_integer = matches!(schema.shape, Shape::Scalar(Scalar::Integer));
    let is_sized = is_integer && matches!(format, Some("int32" | "int64"));
    if !is_right {
        let is_fraction = is_sized && value.is_number();
        let (expected, given) =
            if is_fraction { (format.unwrap_or_default(), "float64") } else { (type_name, type_of(value)) };
        causes.push(wrong_type(place, expected, given));
    }
    if is_integer && value.is_number() && !format::fits(value, format.unwrap_or_default()) {
        let format = if is_sized {
            format!("with format {}", format.unwrap_or_default())
        } else {
            "(default format)".to_owned()
        };
        let detail = format!("Checked value must be of type integer {format} in {place}");
        causes.push(Cause::new(CauseKind::Invalid, "", json!(""), detail));
    }
    if let (Value::String(text), Some(format)) = (value, format)
        && type_name == "string"
        && !format::is_valid(format, text)
    {
        let detail = format!("{place} in body must be of type {format}: {text:?}");
        causes.push(Cause::new(CauseKind::TypeInvalid, place, value.clone(), detail));
    }
}

fn check_required(required: &[String], value: &Value, place: &Place<'_>, causes: &mut Vec<Cause>) {
    let missing = required.iter().filter(|key| value.get(key.as_str()).is_none());
    causes.extend(missing.map(|key| Cause::required(&Place::Field(place, key), "")));
}

fn check_count(count: usize, min: (Option<usize>, &str), max: Option<usize>, place: &Place<'_>) -> Option<Cause> {
    let (min, unit) = min;
    if let Some(min) = min.filter(|min| count < *min) {
        let detail = format!("{place} in body should have at least {min} {unit}");
        return Some(Cause::new(CauseKind::Invalid, place, json!(count), detail));
    }
    let max = max.filter(|max| count > *max)?;
    Some(Cause::new(CauseKind::TooMany, place, json!(count), format!("must have at most {max} items")))
}

fn wrong_type(place: &Place<'_>, expected: &str, given: &str) -> Cause {
    let detail = format!("{place} in body must be of type {expected}: {given:?}");
    Cause::new(CauseKind::TypeInvalid, place, json!(given), detail)
}

fn is_of_type(value: &Value, type_name: &str) -> bool {
    match type_name {
        "integer" => value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "number" => value.is_number(),
        _ => type_of(value) == type_name,
    }
}

fn type_name(shape: &Shape) -> Option<&'static str> {
    Some(match shape {
        Shape::Any => return None,
        Shape::Map(_) => "object",
        Shape::List(_) => "array",
        Shape::Scalar(Scalar::String | Scalar::Quantity) => "string",
        Shape::Scalar(Scalar::Integer) => "integer",
        Shape::Scalar(Scalar::Number) => "number",
        Shape::Scalar(Scalar::Boolean) => "boolean",
        Shape::Scalar(Scalar::IntOrString) => "integer,string",
    })
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// A value without quotes round a text.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::read::read;

    fn told(schema: Value, value: Value, old: Option<&Value>) -> Vec<String> {
        let schema = read(&json!({"type": "object", "properties": {"f": schema}}));
        let within = |value: &Value| json!({"f": value});
        let old = old.map(within);
        check(&schema, &within(&value), old.as_ref()).iter().map(Cause::to_string).collect()
    }

    #[test]
    fn each_limit_is_told_in_the_words_of_the_server() {
        for (schema, value, words) in [
            (
                json!({"type": "string"}),
                json!(1),
                "f: Invalid value: \"integer\": f in body must be of type string: \"integer\"",
            ),
            (json!({"type": "string", "maxLength": 1}), json!("ab"), "f: Too long: may not be more than 1 bytes"),
            (
                json!({"type": "string", "pattern": "^a$"}),
                json!("b"),
                "f: Invalid value: \"b\": f in body should match '^a$'",
            ),
            (
                json!({"type": "string", "enum": ["a"]}),
                json!("b"),
                "f: Unsupported value: \"b\": supported values: \"a\"",
            ),
            (
                json!({"type": "integer", "minimum": 1}),
                json!(0),
                "f: Invalid value: 0: f in body should be greater than or equal to 1",
            ),
            (json!({"type": "array", "maxItems": 0}), json!([1]), "f: Too many: 1: must have at most 0 items"),
            (json!({"type": "object", "required": ["a"]}), json!({}), "f.a: Required value"),
            (
                json!({"type": "string", "format": "date-time"}),
                json!("x"),
                "f: Invalid value: \"x\": f in body must be of type date-time: \"x\"",
            ),
            (
                json!({"not": {"type": "string"}}),
                json!("x"),
                ": Invalid value: \"\": \"f\" must not validate the schema (not)",
            ),
        ] {
            assert_eq!(told(schema, value, None), [words]);
        }
    }

    #[test]
    fn what_is_wrong_may_stay_as_it_was_but_not_become_wrong_otherwise() {
        let schema =
            json!({"type": "object", "properties": {"n": {"type": "integer", "maximum": 1}, "m": {"type": "integer"}}});
        let old = json!({"n": 5, "m": 1});
        assert_eq!(told(schema.clone(), json!({"n": 5, "m": 2}), Some(&old)), Vec::<String>::new());
        assert_eq!(told(schema, json!({"n": 6, "m": 1}), Some(&old)).len(), 1);
    }
}
