//! CEL rules of custom kinds: `x-kubernetes-validations`.
//!
//! A rule that compares with the old value is asked only where there is one. Any other rule is not held against a value that
//! is as it was, but warned of. The cost of rules is not estimated.

mod fields;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use kube_cel::{
    KubeCelExt,
    cel::{
        Context, ExecutionError, FunctionContext, Program, Value as CelValue,
        extractors::This,
        objects::{Key, Map as CelMap, OptionalValue},
    },
};
use regex::Regex;
use serde_json::{Value, json};

use super::{
    Asked, Scalar, Schema, Shape, correlate,
    place::Place,
    read::{is_true, text},
};
use crate::cause::{Cause, CauseKind};

/// Names that CEL keeps for itself.
const RESERVED: [&str; 21] = [
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

/// One rule.
#[derive(Debug)]
pub struct Rule {
    /// What must be true.
    pub rule: String,
    /// What is said if it is not.
    pub message: Option<String>,
    /// Which field is named if it is not, from the one that has the rule.
    pub field_path: Option<String>,
    /// What kind of wrong that is.
    pub reason: CauseKind,
    /// Whether it is asked without an old value, too.
    pub is_old_optional: bool,
    program: Result<Program, String>,
    message_program: Option<Program>,
    compares_with_old: bool,
}

impl Rule {
    /// Reads an item of `x-kubernetes-validations`.
    pub fn read(json: &Value) -> Self {
        let rule = text(json, "rule").unwrap_or_default();
        let program = Program::compile(&rule).map_err(|error| error.to_string());
        let message_program = text(json, "messageExpression").and_then(|program| Program::compile(&program).ok());
        let compares_with_old = program.as_ref().is_ok_and(|program| program.references().has_variable("oldSelf"));
        Self {
            message: text(json, "message"),
            field_path: text(json, "fieldPath"),
            reason: match json.get("reason").and_then(Value::as_str) {
                Some("FieldValueForbidden") => CauseKind::Forbidden,
                Some("FieldValueRequired") => CauseKind::Required,
                Some("FieldValueDuplicate") => CauseKind::Duplicate,
                _ => CauseKind::Invalid,
            },
            is_old_optional: is_true(json, "optionalOldSelf"),
            rule,
            program,
            message_program,
            compares_with_old,
        }
    }

    /// Why it can not be asked of a value of this schema; `None`: it can.
    pub fn problem(&self, schema: &Schema) -> Option<String> {
        let program = match &self.program {
            Ok(program) => program,
            Err(error) => return Some(error.clone()),
        };
        let unknown = fields::unknown_field(&program.expression().expr, schema, self.is_old_optional)?;
        Some(format!("ERROR: <input>: undefined field '{unknown}'"))
    }

    /// Whether it is about how a value changes.
    pub fn compares_with_old(&self) -> bool {
        self.compares_with_old
    }

    /// What is said when the rule does not hold.
    fn words(&self, scope: &Context<'_>) -> String {
        if let Some(program) = &self.message_program
            && let Ok(CelValue::String(message)) = program.execute(scope)
            && !message.trim().is_empty()
        {
            return message.trim().to_owned();
        }
        self.message.clone().unwrap_or_else(|| format!("failed rule: {}", self.rule.trim()))
    }

    /// What is wrong; `None`: nothing.
    fn check(&self, node: &Node<'_>, scope: &Context<'_>) -> Option<Cause> {
        let outcome = match &self.program {
            Ok(program) => program.execute(scope),
            Err(error) => return Some(Cause::new(CauseKind::Invalid, node.place, json!(node.type_name()), error)),
        };
        let error = match outcome {
            Ok(CelValue::Bool(true)) => return None,
            Ok(CelValue::Bool(false)) => return Some(self.cause(node, self.words(scope))),
            Ok(_) => "rule did not give a truth".to_owned(),
            Err(error) => words_of(&error),
        };
        let detail = format!("{error} evaluating rule: {}", self.message.as_deref().unwrap_or(&self.rule));
        Some(Cause::new(CauseKind::Invalid, node.place, json!(node.type_name()), detail))
    }

    fn cause(&self, node: &Node<'_>, message: String) -> Cause {
        let field = format!("{}{}", node.place, self.field_path.as_deref().unwrap_or_default());
        let field = field.strip_prefix('.').unwrap_or(&field).to_owned();
        let is_shown = self.field_path.is_none() && !node.value.is_object() && !node.value.is_array();
        match self.reason {
            CauseKind::Duplicate => Cause { kind: CauseKind::Duplicate, field, value: None, detail: String::new() },
            CauseKind::Invalid => {
                let value = is_shown.then(|| node.value.clone());
                Cause { kind: CauseKind::Invalid, field, value, detail: message }
            }
            kind => Cause { kind, field, value: None, detail: message },
        }
    }
}

/// A value with rules of its own.
struct Node<'a> {
    schema: &'a Schema,
    value: &'a Value,
    old: Option<&'a Value>,
    place: &'a Place<'a>,
}

impl Node<'_> {
    fn type_name(&self) -> &'static str {
        match &self.schema.shape {
            Shape::Map(_) => "object",
            Shape::List(_) => "array",
            Shape::Scalar(Scalar::Integer) => "integer",
            Shape::Scalar(Scalar::Number) => "number",
            Shape::Scalar(Scalar::Boolean) => "boolean",
            Shape::Scalar(Scalar::String | Scalar::Quantity) => "string",
            Shape::Scalar(Scalar::IntOrString) | Shape::Any => "",
        }
    }

    /// The rules that count: of a value that is as it was, only those of its change, or only the others.
    fn asked(&self, which: Which) -> impl Iterator<Item = &Rule> {
        let is_same = self.old == Some(self.value);
        self.schema.rules.iter().map(AsRef::as_ref).filter(move |rule| match which {
            Which::Binding => rule.compares_with_old || !is_same,
            Which::LetPass => !rule.compares_with_old && is_same,
        })
    }

    fn check(&self, which: Which, causes: &mut Vec<Cause>) {
        if self.asked(which).next().is_none() {
            return;
        }
        BASE.with(|base| {
            let mut scope = base.new_inner_scope();
            scope.add_variable_from_value("self", to_cel(self.schema, self.value, self.place.is_root()));
            let old = self.old.map(|old| to_cel(self.schema, old, self.place.is_root()));
            for rule in self.asked(which) {
                if rule.compares_with_old && old.is_none() && !rule.is_old_optional {
                    continue;
                }
                let mut scope = scope.new_inner_scope();
                match (&old, rule.is_old_optional) {
                    (Some(old), false) => scope.add_variable_from_value("oldSelf", old.clone()),
                    (Some(old), true) => scope.add_variable_from_value("oldSelf", optional(Some(old.clone()))),
                    (None, true) => scope.add_variable_from_value("oldSelf", optional(None)),
                    (None, false) => {}
                }
                causes.extend(rule.check(self, &scope));
            }
        });
    }
}

thread_local! {
    static BASE: Context<'static> = base();
}

/// What every rule can use: the functions of Kubernetes, and types as values.
fn base() -> Context<'static> {
    let mut context = Context::default().with_all();
    for name in ["int", "uint", "double", "string", "bool", "bytes", "list", "map", "null_type"] {
        context.add_variable_from_value(name, type_value(name));
    }
    context.add_function("type", |value: CelValue| -> Result<CelValue, ExecutionError> {
        Ok(type_value(match value {
            CelValue::Int(_) => "int",
            CelValue::UInt(_) => "uint",
            CelValue::Float(_) => "double",
            CelValue::String(_) => "string",
            CelValue::Bool(_) => "bool",
            CelValue::Bytes(_) => "bytes",
            CelValue::List(_) => "list",
            CelValue::Map(_) => "map",
            CelValue::Null => "null_type",
            _ => "other",
        }))
    });
    context.add_function("matches", matches);
    context
}

/// As the function that it stands for, but a pattern is compiled once for all runs.
fn matches(
    scope: &FunctionContext<'_, '_>,
    This(text): This<Arc<String>>,
    pattern: Arc<String>,
) -> Result<bool, ExecutionError> {
    static PATTERNS: Mutex<BTreeMap<Arc<String>, Regex>> = Mutex::new(BTreeMap::new());
    let mut patterns = PATTERNS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(compiled) = patterns.get(&pattern) {
        return Ok(compiled.is_match(&text));
    }
    let compiled = Regex::new(&pattern);
    let compiled = compiled.map_err(|error| scope.error(format!("'{pattern}' not a valid regex:\n{error}")))?;
    let is_match = compiled.is_match(&text);
    patterns.insert(pattern, compiled);
    Ok(is_match)
}

/// A type as a value: one that no text of an object equals.
fn type_value(name: &str) -> CelValue {
    CelValue::Bytes(Arc::new(format!("type {name}").into_bytes()))
}

/// What is wrong with a value by the CEL rules of its schema.
pub fn check_rules(schema: &Schema, value: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes = Vec::new();
    let root = Node { schema, value, old, place: &Place::Root };
    check_node(&root, Which::Binding, &mut causes);
    causes
}

/// What is wrong with a value, and let pass because it is as it was.
pub fn check_unchanged(schema: &Schema, value: &Value, old: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let root = Node { schema, value, old: Some(old), place: &Place::Root };
    check_node(&root, Which::LetPass, &mut causes);
    causes
}

/// Which rules are asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    /// Those that have to hold.
    Binding,
    /// Those that need not, for the value is as it was.
    LetPass,
}

fn check_node(node: &Node<'_>, which: Which, causes: &mut Vec<Cause>) {
    let is_settled = which == Which::Binding && node.schema.asked < Asked::Changes && node.old == Some(node.value);
    if node.value.is_null() || is_settled {
        return;
    }
    node.check(which, causes);
    match (&node.schema.shape, node.value) {
        (Shape::Map(map), Value::Object(object)) => {
            for (key, value) in object {
                let known = map.fields.get(key);
                if let Some(schema) = known.or(map.others.as_ref()).filter(|schema| schema.asked > Asked::Nothing) {
                    let place = &match known {
                        Some(_) => Place::Field(node.place, key),
                        None => Place::Key(node.place, key),
                    };
                    let old = node.old.and_then(|old| old.get(key)).filter(|old| !old.is_null());
                    check_node(&Node { schema, value, old, place }, which, causes);
                }
            }
        }
        (Shape::List(list), Value::Array(items)) if list.items.asked > Asked::Nothing => {
            for (index, value) in items.iter().enumerate() {
                let old = node.old.and_then(|old| correlate(list, value, old));
                let place = &Place::Item(node.place, index);
                check_node(&Node { schema: &list.items, value, old, place }, which, causes);
            }
        }
        _ => {}
    }
}

/// Whether there is a rule anywhere.
pub fn has_rules(schema: &Schema) -> bool {
    schema.asked > Asked::Nothing
}

/// A value as rules see it: only what the schema names.
fn to_cel(schema: &Schema, value: &Value, is_root: bool) -> CelValue {
    match (&schema.shape, value) {
        (_, Value::Null) => CelValue::Null,
        (_, Value::Bool(value)) => CelValue::Bool(*value),
        (Shape::Scalar(Scalar::Number), Value::Number(number)) => CelValue::Float(number.as_f64().unwrap_or_default()),
        (_, Value::Number(number)) => match number.as_i64() {
            Some(number) => CelValue::Int(number),
            None => CelValue::Float(number.as_f64().unwrap_or_default()),
        },
        (_, Value::String(text)) => text_to_cel(schema.format.as_deref(), text),
        (Shape::List(list), Value::Array(items)) => {
            CelValue::List(Arc::new(items.iter().map(|item| to_cel(&list.items, item, false)).collect()))
        }
        (_, Value::Array(_)) => CelValue::List(Arc::default()),
        (Shape::Map(map), Value::Object(object)) => {
            let is_object = is_root || schema.is_embedded_resource;
            let known = object.iter().filter_map(|(key, value)| match (map.fields.get(key), &map.others) {
                _ if is_object && key == "metadata" => Some((key.clone(), metadata_to_cel(value))),
                (Some(field), _) => Some((escape(key), to_cel(field, value, false))),
                (None, Some(others)) => Some((key.clone(), to_cel(others, value, false))),
                (None, None) if is_object && (key == "apiVersion" || key == "kind") => {
                    Some((key.clone(), to_cel(&Schema::default(), value, false)))
                }
                (None, None) => None,
            });
            map_to_cel(known)
        }
        (_, Value::Object(_)) => map_to_cel([]),
    }
}

/// Rules see no more of it than this.
fn metadata_to_cel(metadata: &Value) -> CelValue {
    let names = ["name", "generateName"].into_iter();
    let given = names.filter_map(|key| Some((key.to_owned(), to_cel(&Schema::default(), metadata.get(key)?, false))));
    map_to_cel(given)
}

fn map_to_cel(entries: impl IntoIterator<Item = (String, CelValue)>) -> CelValue {
    let map: HashMap<Key, CelValue> =
        entries.into_iter().map(|(key, value)| (Key::String(Arc::new(key)), value)).collect();
    CelValue::Map(CelMap { map: Arc::new(map) })
}

/// Times and bytes are values of their own kinds, made by the functions of CEL.
fn text_to_cel(format: Option<&str>, text: &str) -> CelValue {
    let plain = CelValue::String(Arc::new(text.to_owned()));
    let maker = match format {
        Some("date-time") => "timestamp(self)",
        Some("duration") => "duration(self)",
        Some("byte") => "base64.decode(self)",
        _ => return plain,
    };
    let Ok(maker) = Program::compile(maker) else { return plain };
    BASE.with(|base| {
        let mut scope = base.new_inner_scope();
        scope.add_variable_from_value("self", plain.clone());
        maker.execute(&scope).unwrap_or(plain)
    })
}

fn optional(value: Option<CelValue>) -> CelValue {
    CelValue::Opaque(Arc::new(value.map_or_else(OptionalValue::none, OptionalValue::of)))
}

/// A field's name as rules write it.
fn escape(name: &str) -> String {
    if RESERVED.contains(&name) {
        return format!("__{name}__");
    }
    name.replace("__", "__underscores__").replace('.', "__dot__").replace('-', "__dash__").replace('/', "__slash__")
}

/// In the words of the server.
fn words_of(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchKey(key) => format!("no such key: {key}"),
        ExecutionError::DivisionByZero(_) => "division by zero".to_owned(),
        ExecutionError::RemainderByZero(_) => "modulus by zero".to_owned(),
        ExecutionError::NoSuchOverload => "no such overload".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::read::read;

    fn told(schema: &Value, value: &Value, old: Option<&Value>) -> Vec<String> {
        check_rules(&read(schema), value, old).iter().map(Cause::to_string).collect()
    }

    fn number(rule: &Value) -> Value {
        json!({"type": "object", "properties": {"n": {"type": "integer", "x-kubernetes-validations": [rule]}}})
    }

    #[test]
    fn a_rule_that_does_not_hold_says_its_message_its_own_words_or_itself() {
        let spoken = |rule: Value| told(&number(&rule), &json!({"n": -1}), None);
        assert_eq!(spoken(json!({"rule": "self > 0", "message": "more"})), ["n: Invalid value: -1: more"]);
        let own = json!({"rule": "self > 0", "messageExpression": "'not ' + string(self)", "message": "more"});
        assert_eq!(spoken(own), ["n: Invalid value: -1: not -1"]);
        assert_eq!(spoken(json!({"rule": "self > 0"})), ["n: Invalid value: -1: failed rule: self > 0"]);
    }

    #[test]
    fn a_rule_names_the_field_and_the_reason_that_it_says() {
        let rule =
            json!({"rule": "self.a > 1", "message": "small", "fieldPath": ".a", "reason": "FieldValueForbidden"});
        let schema = json!({
            "type": "object", "properties": {"a": {"type": "integer"}}, "x-kubernetes-validations": [rule],
        });
        assert_eq!(told(&schema, &json!({"a": 1}), None), ["a: Forbidden: small"]);
    }

    #[test]
    fn a_rule_of_a_change_is_asked_only_of_a_change() {
        let schema = number(&json!({"rule": "self >= oldSelf", "message": "falls"}));
        assert_eq!(told(&schema, &json!({"n": 1}), None), Vec::<String>::new());
        assert_eq!(told(&schema, &json!({"n": 1}), Some(&json!({}))), Vec::<String>::new());
        assert_eq!(told(&schema, &json!({"n": 1}), Some(&json!({"n": 2}))), ["n: Invalid value: 1: falls"]);
    }

    #[test]
    fn a_rule_with_an_optional_old_value_is_asked_always() {
        let rule = json!({
            "rule": "oldSelf.hasValue() ? self >= oldSelf.value() : self == 0", "optionalOldSelf": true, "message": "m",
        });
        assert_eq!(told(&number(&rule), &json!({"n": 1}), None), ["n: Invalid value: 1: m"]);
        assert_eq!(told(&number(&rule), &json!({"n": 1}), Some(&json!({"n": 2}))), ["n: Invalid value: 1: m"]);
        assert_eq!(told(&number(&rule), &json!({"n": 2}), Some(&json!({"n": 1}))), Vec::<String>::new());
    }

    #[test]
    fn what_is_as_it_was_is_let_pass_and_told_as_a_warning() {
        let schema = number(&json!({"rule": "self > 0", "message": "more"}));
        let (same, other) = (json!({"n": -1}), json!({"n": -2}));
        assert_eq!(told(&schema, &same, Some(&same)), Vec::<String>::new());
        assert_eq!(told(&schema, &same, Some(&other)), ["n: Invalid value: -1: more"]);
        let let_pass = |old: &Value| check_unchanged(&read(&schema), &same, old).len();
        assert_eq!((let_pass(&same), let_pass(&other)), (1, 0));
    }

    #[test]
    fn the_old_item_of_a_list_by_keys_is_found_wherever_it_was() {
        let item = json!({"type": "object", "properties": {
            "name": {"type": "string"},
            "n": {"type": "integer", "x-kubernetes-validations": [{"rule": "self >= oldSelf", "message": "falls"}]},
        }});
        let schema = json!({
            "type": "array", "items": item, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
        });
        let old = json!([{"name": "a", "n": 2}, {"name": "b", "n": 5}]);
        let new = json!([{"name": "b", "n": 4}, {"name": "a", "n": 3}, {"name": "c", "n": 0}]);
        assert_eq!(told(&schema, &new, Some(&old)), ["[0].n: Invalid value: 4: falls"]);
    }

    #[test]
    fn a_field_whose_name_cel_can_not_say_is_asked_by_its_escaped_name() {
        let rule = json!({"rule": "self.__namespace__ == 'a' && self.b__dash__c == 1", "message": "m"});
        let schema = json!({
            "type": "object", "x-kubernetes-validations": [rule],
            "properties": {"namespace": {"type": "string"}, "b-c": {"type": "integer"}},
        });
        assert_eq!(told(&schema, &json!({"namespace": "a", "b-c": 1}), None), Vec::<String>::new());
        assert_eq!(told(&schema, &json!({"namespace": "a", "b-c": 2}), None).len(), 1);
    }
}
