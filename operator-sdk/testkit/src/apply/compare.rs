//! What differs between two states of an object, field by field.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use serde_json::{Map, Value};

use super::{
    field_set::FieldSet,
    path::{Element, Path, is_equal},
    typed::{Form, Type, element},
};
use crate::schema::List;

/// What differs.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    /// What was there and is not.
    pub(super) removed: FieldSet,
    /// What is there now and was not, or was another.
    pub(super) changed: FieldSet,
}

/// What became of the old state, but for what is ignored and lies below that.
pub(super) fn compare(old: &Value, new: &Value, ty: Type<'_>, ignored: &FieldSet) -> Comparison {
    let mut walk = Walk::default();
    walk.visit(Some(old), Some(new), ty, Some(ignored));
    walk.found
}

impl Comparison {
    /// What is not as it was.
    pub(super) fn touched(&self) -> Cow<'_, FieldSet> {
        if self.removed.is_empty() {
            return Cow::Borrowed(&self.changed);
        }
        Cow::Owned(self.changed.union(&self.removed))
    }
}

#[derive(Default)]
struct Walk {
    path: Path,
    found: Comparison,
}

impl Walk {
    fn visit(&mut self, old: Option<&Value>, new: Option<&Value>, ty: Type<'_>, ignored: Option<&FieldSet>) {
        if old != new {
            self.visit_changed(old, new, ty, ignored);
        }
    }

    fn visit_changed(&mut self, old: Option<&Value>, new: Option<&Value>, ty: Type<'_>, ignored: Option<&FieldSet>) {
        let forms = (old.map(|old| ty.form(old)), new.map(|new| ty.form(new)));
        if let (Some(before), Some(after)) = forms
            && !before.is_same_kind(after)
        {
            self.visit_as(before, old, new, ty, ignored);
        }
        let Some(form) = forms.1.or(forms.0) else { return };
        self.visit_as(form, old, new, ty, ignored);
    }

    fn visit_as(
        &mut self,
        form: Form<'_>,
        old: Option<&Value>,
        new: Option<&Value>,
        ty: Type<'_>,
        ignored: Option<&FieldSet>,
    ) {
        let is_whole = form.is_atomic() || (has_no_parts(old, form) && has_no_parts(new, form));
        match (old, new) {
            (None, Some(_)) => self.found.changed.insert(&self.path),
            (Some(_), None) => self.found.removed.insert(&self.path),
            (Some(old), Some(new)) if is_whole && !is_equal(old, new) => self.found.changed.insert(&self.path),
            _ => {}
        }
        match form {
            _ if is_whole => {}
            Form::Map(_) => self.visit_fields(old, new, ty, ignored),
            Form::List(list) => self.visit_items(&index(old, list, ty), &index(new, list, ty), ty),
            Form::Scalar(_) => {}
        }
    }

    fn visit_fields(&mut self, old: Option<&Value>, new: Option<&Value>, ty: Type<'_>, ignored: Option<&FieldSet>) {
        let nothing = Map::new();
        let [old, new] = [old, new].map(|value| value.and_then(Value::as_object).unwrap_or(&nothing));
        for name in old.keys().chain(new.keys().filter(|name| !old.contains_key(*name))) {
            let (old, new) = (old.get(name), new.get(name));
            if old == new {
                continue;
            }
            let (element, Some(field)) = (Element::field(name), ty.field(name)) else { continue };
            if ignored.is_some_and(|ignored| ignored.has_member(&element)) {
                continue;
            }
            let ignored = ignored.and_then(|ignored| ignored.child(&element));
            self.below(element, |walk| walk.visit_changed(old, new, field, ignored));
        }
    }

    /// Items that are there more than once are taken as one whole.
    fn visit_items(&mut self, old: &Items<'_>, new: &Items<'_>, ty: Type<'_>) {
        for element in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
            let [old, new] = [old, new].map(|items| items.get(element).map_or(&[][..], Vec::as_slice));
            let item = ty.item();
            self.below(element.clone(), |walk| match (old, new) {
                (many, []) if many.len() > 1 => walk.found.removed.insert(&walk.path),
                (many, [one]) if many.len() > 1 => {
                    walk.visit(None, Some(one), item, None);
                    walk.found.removed.insert(&walk.path);
                }
                ([], many) if many.len() > 1 => walk.found.changed.insert(&walk.path),
                ([one], many) if many.len() > 1 => {
                    walk.visit(Some(one), None, item, None);
                    walk.found.changed.insert(&walk.path);
                }
                (before, after) if before.len() > 1 && !are_equal(before, after) => {
                    walk.found.changed.insert(&walk.path);
                }
                (before, _) if before.len() > 1 => {}
                (before, after) => walk.visit(before.first().copied(), after.first().copied(), item, None),
            });
        }
    }

    fn below(&mut self, element: Element, visit: impl FnOnce(&mut Self)) {
        self.path.push(element);
        visit(self);
        self.path.pop();
    }
}

type Items<'a> = BTreeMap<Element, Vec<&'a Value>>;

fn index<'a>(value: Option<&'a Value>, list: Option<&List>, ty: Type<'_>) -> Items<'a> {
    let mut items = Items::new();
    for (place, item) in value.and_then(Value::as_array).into_iter().flatten().enumerate() {
        if let Ok(element) = element(item, place, list, ty.item()) {
            items.entry(element).or_default().push(item);
        }
    }
    items
}

fn are_equal(left: &[&Value], right: &[&Value]) -> bool {
    left.len() == right.len() && left.iter().zip(right).all(|(left, right)| is_equal(left, right))
}

/// Nothing is empty; nor is a value of another form one that has parts.
pub(super) fn has_no_parts(value: Option<&Value>, form: Form<'_>) -> bool {
    match (form, value) {
        (Form::Map(_), Some(Value::Object(fields))) => fields.is_empty(),
        (Form::List(_), Some(Value::Array(items))) => items.is_empty(),
        _ => true,
    }
}
