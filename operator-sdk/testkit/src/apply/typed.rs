//! How server-side apply sees a value by its schema: as something that is set as a whole, or as parts that have owners of
//! their own.

use std::sync::LazyLock;

use serde_json::Value;

use super::path::{Atom, Element};
use crate::schema::{List, ListType, Map, Scalar, Schema, Shape, openapi};

static ANYTHING: LazyLock<Schema> = LazyLock::new(Schema::default);
static TEXT: LazyLock<Schema> = LazyLock::new(|| Schema { shape: Shape::Scalar(Scalar::String), ..Schema::default() });

/// A schema at its place: below one that keeps unknown fields, all do.
#[derive(Clone, Copy)]
pub(super) struct Type<'a> {
    schema: &'a Schema,
    keeps_unknown_fields: bool,
    /// Whether it has `apiVersion`, `kind` and `metadata`, whatever the schema says of them.
    is_object: bool,
}

/// What a value is taken for. `None` in it: nothing is known of it.
#[derive(Clone, Copy)]
pub(super) enum Form<'a> {
    Scalar(Option<Scalar>),
    List(Option<&'a List>),
    Map(Option<&'a Map>),
}

impl<'a> Type<'a> {
    pub(super) fn of(schema: &'a Schema) -> Self {
        Self { schema, keeps_unknown_fields: schema.keeps_unknown_fields, is_object: true }
    }

    /// Of an unknown value, whatever it is: objects field by field, arrays as a whole.
    pub(super) fn form(self, value: &Value) -> Form<'a> {
        match (&self.schema.shape, value) {
            (Shape::Scalar(scalar), _) => Form::Scalar(self.is_known().then_some(*scalar)),
            (Shape::List(list), _) => Form::List(Some(list)),
            (Shape::Map(map), _) => Form::Map(Some(map)),
            (Shape::Any, Value::Array(_)) => Form::List(None),
            (Shape::Any, Value::Object(_) | Value::Null) => Form::Map(None),
            (Shape::Any, _) => Form::Scalar(None),
        }
    }

    /// Whether it is one of the fields that the schema names.
    pub(super) fn declares(self, name: &str) -> bool {
        self.object_field(name).is_some()
            || matches!(&self.schema.shape, Shape::Map(map) if map.fields.contains_key(name))
    }

    /// Of a field; `None`: there is no such field.
    pub(super) fn field(self, name: &str) -> Option<Self> {
        if let Some(schema) = self.object_field(name) {
            return Some(self.below(schema));
        }
        let Shape::Map(map) = &self.schema.shape else { return Some(self.below(&ANYTHING)) };
        let knows_nothing = map.fields.is_empty() && map.others.is_none();
        match map.fields.get(name).or(map.others.as_ref()) {
            Some(schema) => Some(self.below(schema)),
            None if self.keeps_unknown_fields || knows_nothing => Some(self.below(&ANYTHING)),
            None => None,
        }
    }

    /// Of the items of a list.
    pub(super) fn item(self) -> Self {
        match &self.schema.shape {
            Shape::List(list) => self.below(&list.items),
            _ => self.below(&ANYTHING),
        }
    }

    /// Of text in a format of its own nothing is known, except of bytes.
    fn is_known(self) -> bool {
        !matches!(&self.schema.shape, Shape::Scalar(Scalar::String))
            || self.schema.format.as_deref().is_none_or(|format| format == "byte")
    }

    /// Of what lies a step below.
    pub(super) fn at(self, element: &Element) -> Option<Self> {
        match element {
            Element::Field(name) => self.field(name),
            _ => Some(self.item()),
        }
    }

    /// What this makes of a value that is not given.
    pub(super) fn default(self) -> Option<&'a Value> {
        self.schema.default.as_ref()
    }

    fn below(self, schema: &'a Schema) -> Self {
        let keeps_unknown_fields = self.keeps_unknown_fields || schema.keeps_unknown_fields;
        Self { schema, keeps_unknown_fields, is_object: schema.is_embedded_resource }
    }

    fn object_field(self, name: &str) -> Option<&'static Schema> {
        match name {
            "apiVersion" | "kind" if self.is_object => Some(&TEXT),
            "metadata" if self.is_object => Some(&openapi::METADATA),
            _ => None,
        }
    }
}

impl Form<'_> {
    /// Whether it has one owner.
    pub(super) fn is_atomic(self) -> bool {
        match self {
            Self::Scalar(_) => true,
            Self::List(list) => list.is_none_or(|list| list.list_type == ListType::Atomic),
            Self::Map(map) => map.is_some_and(|map| map.is_atomic),
        }
    }

    pub(super) fn is_same_kind(self, other: Self) -> bool {
        std::mem::discriminant(&self) == std::mem::discriminant(&other)
    }
}

/// How an item of a list is found again. `place` is where it is.
///
/// # Errors
/// In the words of the real server, why the item cannot be found by its content.
pub(super) fn element(item: &Value, place: usize, list: Option<&List>, ty: Type<'_>) -> Result<Element, String> {
    match list.map_or(&ListType::Atomic, |list| &list.list_type) {
        ListType::Atomic => Ok(Element::Index(place)),
        ListType::Set => match item {
            Value::Object(_) => Err("associative list without keys has an element that's a map type".into()),
            Value::Array(_) => Err("not supported: associative list with lists as elements".into()),
            Value::Null => Err("associative list without keys has an element that's an explicit null".into()),
            scalar => Ok(Element::Value(Atom(scalar.clone()))),
        },
        ListType::Map(keys) => element_by_keys(item, keys, ty),
    }
}

fn element_by_keys(item: &Value, keys: &[String], ty: Type<'_>) -> Result<Element, String> {
    let fields = match item {
        Value::Object(fields) => fields,
        Value::Null => return Err("associative list with keys may not have a null element".into()),
        _ => return Err("associative list with keys may not have non-map elements".into()),
    };
    let default = |name: &String| ty.field(name).and_then(Type::default);
    let given: Vec<_> = keys
        .iter()
        .filter_map(|name| Some((name.clone(), fields.get(name).or_else(|| default(name))?.clone())))
        .collect();
    if given.is_empty() {
        let keys: Vec<_> = keys.iter().map(|name| format!("{name:?}")).collect();
        let keys = keys.join(" ");
        return Err(format!(
            "associative list with keys has an element that omits all key fields [{keys}] (and doesn't have default values for any key fields)"
        ));
    }
    Ok(Element::key(given))
}
