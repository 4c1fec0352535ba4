//! Whether a rule names only fields that the schema has.
//!
//! Types are followed through fields, items and the variables of macros; of what a function gives, nothing is known.

use kube_cel::cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedEntryExpr, IdedExpr, SelectExpr, operators,
};

use super::escape;
use crate::schema::{Map, Schema, Shape};

/// The fields of an object as a whole.
const OF_AN_OBJECT: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// The first field that an expression about a value of this schema names and that is not there.
pub(super) fn unknown_field(expression: &Expr, schema: &Schema, is_old_optional: bool) -> Option<String> {
    let old = (!is_old_optional).then_some(schema);
    let variables = vec![("self".to_owned(), Some(schema)), ("oldSelf".to_owned(), old)];
    let mut walk = Walk { variables, unknown: None };
    walk.visit(expression);
    walk.unknown
}

struct Walk<'a> {
    variables: Vec<(String, Known<'a>)>,
    unknown: Option<String>,
}

/// The schema of a value, if it is known.
type Known<'a> = Option<&'a Schema>;

impl<'a> Walk<'a> {
    fn visit(&mut self, expression: &Expr) -> Known<'a> {
        match expression {
            Expr::Ident(name) => self.variables.iter().rfind(|(known, _)| known == name)?.1,
            Expr::Select(select) => self.visit_field(select),
            Expr::Call(call) => self.visit_call(call),
            Expr::Comprehension(comprehension) => self.visit_macro(comprehension),
            Expr::List(list) => self.visit_all(&list.elements),
            Expr::Map(map) => self.visit_entries(&map.entries),
            Expr::Struct(object) => self.visit_entries(&object.entries),
            _ => None,
        }
    }

    fn visit_field(&mut self, select: &SelectExpr) -> Known<'a> {
        let schema = self.visit(&select.operand.expr)?;
        let Shape::Map(map) = &schema.shape else { return None };
        let mut fields = map.fields.iter();
        if let Some((_, field)) = fields.find(|(name, _)| escape(name) == select.field) {
            return Some(field);
        }
        let is_known = schema.is_embedded_resource && OF_AN_OBJECT.contains(&select.field.as_str());
        if map.others.is_none() && !map.fields.is_empty() && !is_known {
            self.unknown.get_or_insert_with(|| select.field.clone());
        }
        map.others.as_deref()
    }

    fn visit_call(&mut self, call: &CallExpr) -> Known<'a> {
        if let Some(target) = &call.target {
            self.visit(&target.expr);
        }
        let seen: Vec<Known<'a>> = call.args.iter().map(|argument| self.visit(&argument.expr)).collect();
        match (call.func_name.as_str(), seen.as_slice()) {
            (operators::INDEX, [Some(schema), _]) => values(schema),
            (operators::CONDITIONAL, [_, one, other]) => one.or(*other),
            _ => None,
        }
    }

    fn visit_macro(&mut self, comprehension: &ComprehensionExpr) -> Known<'a> {
        let range = self.visit(&comprehension.iter_range.expr);
        self.visit(&comprehension.accu_init.expr);
        let value = range.and_then(values);
        let is_list = range.is_some_and(|range| matches!(range.shape, Shape::List(_)));
        let outer = self.variables.len();
        self.variables.push((comprehension.accu_var.clone(), None));
        match &comprehension.iter_var2 {
            None => self.variables.push((comprehension.iter_var.clone(), value.filter(|_| is_list))),
            Some(second) => {
                self.variables.push((comprehension.iter_var.clone(), None));
                self.variables.push((second.clone(), value));
            }
        }
        for part in [&comprehension.loop_cond, &comprehension.loop_step, &comprehension.result] {
            self.visit(&part.expr);
        }
        self.variables.truncate(outer);
        None
    }

    fn visit_all(&mut self, expressions: &[IdedExpr]) -> Known<'a> {
        for expression in expressions {
            self.visit(&expression.expr);
        }
        None
    }

    fn visit_entries(&mut self, entries: &[IdedEntryExpr]) -> Known<'a> {
        for entry in entries {
            match &entry.expr {
                EntryExpr::MapEntry(entry) => {
                    self.visit(&entry.key.expr);
                    self.visit(&entry.value.expr)
                }
                EntryExpr::StructField(field) => self.visit(&field.value.expr),
            };
        }
        None
    }
}

/// What a list or a map holds.
fn values(schema: &Schema) -> Known<'_> {
    match &schema.shape {
        Shape::List(list) => Some(&list.items),
        Shape::Map(Map { others, .. }) => others.as_deref(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::schema::{Rule, read::read};

    #[test]
    fn a_rule_names_no_field_that_is_not_there() {
        let part = json!({"type": "object", "properties": {"name": {"type": "string"}}});
        let schema = read(&json!({"type": "object", "properties": {
            "n": {"type": "integer"}, "b-c": {"type": "string"},
            "parts": {"type": "array", "items": part}, "by": {"type": "object", "additionalProperties": part},
        }}));
        let told = |rule: &str| Rule::read(&json!({"rule": rule})).problem(&schema);
        for rule in [
            "self.n > 1 && self.b__dash__c == ''",
            "self.parts.all(part, part.name != '')",
            "self.by.all(key, self.by[key].name != key)",
            "has(self.by.other) && oldSelf.parts[0].name == self.by['x'].name",
        ] {
            assert_eq!(told(rule), None, "{rule}");
        }
        for rule in [
            "self.m > 1",
            "has(self.m)",
            "oldSelf.m == 1",
            "self.parts.all(part, part.m == '')",
            "self.parts.map(part, part.name).all(name, self.m.exists(other, other == name))",
            "self.by['x'].m == ''",
            "self.parts[0].m == ''",
            "[1].all(n, n == self.m)",
        ] {
            assert_eq!(told(rule).as_deref(), Some("ERROR: <input>: undefined field 'm'"), "{rule}");
        }
    }
}
