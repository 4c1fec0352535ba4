//! The schema in a CustomResourceDefinition: what makes it structural, and what people get wrong in it.
//!
//! Not done: the types in rules beyond the names of fields, the cost of rules, what may stand within `allOf`, `anyOf`, `oneOf` and `not`.

use regex::Regex;
use serde_json::{Value, json};

use super::super::findings::{Findings, fields, items};
use crate::schema::{Rule, check::check as check_value, decode::join, read::read};

const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];

/// What is wrong with the schema of a version; `path` is its own.
pub(super) fn check(schema: &Value, path: &str, findings: &mut Findings) {
    let metadata = &schema["properties"]["metadata"];
    let is_more = |(name, _): (&String, &Value)| name != "name" && name != "generateName";
    if fields(&metadata["properties"]).any(is_more) {
        let detail = "must not specify anything other than name and generateName, but metadata is implicitly specified";
        findings.forbidden(format!("{path}.properties[metadata]"), detail);
    }
    check_node(schema, path, true, findings);
    for (name, field) in fields(&schema["properties"]).filter(|(name, _)| *name != "metadata") {
        check_tree(field, &format!("{path}.properties[{name}]"), findings);
    }
}

fn check_tree(schema: &Value, path: &str, findings: &mut Findings) {
    check_node(schema, path, false, findings);
    for (name, field) in fields(&schema["properties"]) {
        check_tree(field, &format!("{path}.properties[{name}]"), findings);
    }
    for key in ["items", "additionalProperties"] {
        if schema[key].is_object() {
            check_tree(&schema[key], &format!("{path}.{key}"), findings);
        }
    }
}

fn check_node(schema: &Value, path: &str, is_root: bool, findings: &mut Findings) {
    let is_free = ["x-kubernetes-preserve-unknown-fields", "x-kubernetes-int-or-string"];
    match schema["type"].as_str().unwrap_or_default() {
        "" if is_free.iter().all(|key| schema[*key] != json!(true)) => {
            findings.required(format!("{path}.type"), "must not be empty for specified object fields");
        }
        "" => {}
        "array" if schema["items"].is_null() => findings.required(format!("{path}.items"), "must be specified"),
        _ => findings.not_one_of(format!("{path}.type"), &schema["type"], &TYPES),
    }
    check_keys(schema, path, findings);
    check_default(schema, path, findings);
    if let Some(pattern) = schema["pattern"].as_str()
        && Regex::new(pattern).is_err()
    {
        let detail =
            format!("must be a valid regular expression, but isn't: error parsing regexp: {}", go_error(pattern));
        findings.invalid(format!("{path}.pattern"), &schema["pattern"], detail);
    }
    check_rules(schema, path, is_root, findings);
}

fn check_rules(schema: &Value, path: &str, is_root: bool, findings: &mut Findings) {
    let mut rules = items(&schema["x-kubernetes-validations"]).enumerate().peekable();
    if rules.peek().is_none() {
        return;
    }
    let mut shape = read(schema);
    shape.is_embedded_resource |= is_root;
    for (index, rule) in rules {
        if let Some(problem) = Rule::read(rule).problem(&shape) {
            let path = format!("{path}.x-kubernetes-validations[{index}].rule");
            let value = json!({
                "Rule": rule["rule"], "Message": "", "MessageExpression": "", "Reason": null, "FieldPath": "",
                "OptionalOldSelf": null,
            });
            findings.invalid(path, &value, format!("compilation failed: {problem}"));
        }
    }
}

fn check_keys(schema: &Value, path: &str, findings: &mut Findings) {
    if schema["x-kubernetes-list-type"] != "map" {
        return;
    }
    let keys = &schema["x-kubernetes-list-map-keys"];
    let path = format!("{path}.x-kubernetes-list-map-keys");
    let is_field = |key: &Value| key.as_str().is_some_and(|key| schema["items"]["properties"].get(key).is_some());
    if items(keys).next().is_none() {
        findings.required(path, "must not be empty if x-kubernetes-list-type is map");
    } else if !items(keys).all(is_field) {
        findings.invalid(path, keys, "entries must all be names of item properties");
    }
}

fn check_default(schema: &Value, path: &str, findings: &mut Findings) {
    let default = &schema["default"];
    if default.is_null() {
        return;
    }
    for mut cause in check_value(&read(schema), default, None) {
        cause.field = join(&format!("{path}.default"), &cause.field).trim_end_matches('.').to_owned();
        findings.0.push(cause);
    }
}

/// What Go says of a pattern, as far as it is the commonest mistake.
fn go_error(pattern: &str) -> String {
    format!("missing closing ): `{pattern}`")
}
