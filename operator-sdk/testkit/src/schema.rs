//! What the server knows of the shape of an object: of built-in kinds from the published OpenAPI documents, of custom
//! kinds from their CustomResourceDefinition.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::Value;

pub use self::{cel::Rule, check::Validation};

pub mod cel;
pub mod check;
pub mod decode;
pub mod format;
pub mod openapi;
pub(crate) mod place;
pub mod prune;
pub mod quantity;
pub mod read;

/// The shape of a value and what the server does to it.
#[derive(Clone, Debug, Default)]
pub struct Schema {
    /// What kind of value this is.
    pub shape: Shape,
    /// The name of a built-in type, as in `io.k8s.api.apps.v1.DeploymentSpec`.
    pub name: Option<Arc<str>>,
    /// What a value that is not given becomes. Of built-in kinds it is only the value of a key of a list that is not
    /// given; their defaults are in their `Rules`.
    pub default: Option<Value>,
    /// Whether `null` is a value; elsewhere it counts as not given.
    pub is_nullable: bool,
    /// `x-kubernetes-preserve-unknown-fields`: unknown fields stay.
    pub keeps_unknown_fields: bool,
    /// `x-kubernetes-embedded-resource`: a whole object with `apiVersion`, `kind` and `metadata`.
    pub is_embedded_resource: bool,
    /// `format`, as in `int32`.
    pub format: Option<String>,
    /// What a built-in kind does with a zero value.
    pub zero: Zero,
    /// What a value of a custom kind must be beyond its shape.
    pub validation: Option<Arc<Validation>>,
    /// `x-kubernetes-validations`.
    pub rules: Vec<Arc<Rule>>,
    /// Whether there are rules here or within.
    pub asked: Asked,
    /// Whether there are whole objects here or within.
    pub embeds: bool,
}

/// Which rules there are, here or within.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Asked {
    /// None.
    #[default]
    Nothing,
    /// Rules of a value.
    Values,
    /// Among them rules of how a value changes.
    Changes,
}

/// What the server writes for a zero value: `0`, `""`, `false`, `[]`, `{}` or nothing at all.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Zero {
    /// What was given.
    #[default]
    Kept,
    /// Nothing.
    Dropped,
    /// This.
    Written(Value),
}

/// A kind of value.
#[derive(Clone, Debug, Default)]
pub enum Shape {
    /// Anything; merged as a whole if nothing is known of it.
    #[default]
    Any,
    /// A string, number or boolean.
    Scalar(Scalar),
    /// An object.
    Map(Map),
    /// An array.
    List(List),
}

/// A kind of scalar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scalar {
    /// `type: string`.
    String,
    /// `type: integer`.
    Integer,
    /// `type: number`.
    Number,
    /// `type: boolean`.
    Boolean,
    /// `x-kubernetes-int-or-string`.
    IntOrString,
    /// A quantity: a string, or a number that becomes one.
    Quantity,
}

/// An object: known fields, or any number of the same kind.
#[derive(Clone, Debug, Default)]
pub struct Map {
    /// Known fields.
    pub fields: BTreeMap<String, Arc<Schema>>,
    /// What all other fields hold; `None`: there are no others.
    pub others: Option<Arc<Schema>>,
    /// Those of them that come where they are not given: with a default, or with a zero value that is written.
    pub implied: Vec<String>,
    /// `required`.
    pub required: Vec<String>,
    /// `x-kubernetes-map-type: atomic`: replaced as a whole by server-side apply.
    pub is_atomic: bool,
    /// `x-kubernetes-patch-strategy` of strategic merge patch.
    pub strategy: Strategy,
}

impl Map {
    /// The fields that come where they are not given.
    pub fn implied(&self) -> impl Iterator<Item = (&String, &Arc<Schema>)> {
        self.implied.iter().filter_map(|key| self.fields.get_key_value(key))
    }
}

/// An array.
#[derive(Clone, Debug, Default)]
pub struct List {
    /// What it holds.
    pub items: Arc<Schema>,
    /// How server-side apply merges it.
    pub list_type: ListType,
    /// `x-kubernetes-patch-merge-key`: how strategic merge patch finds an item; `None`: the list of scalars is a set, or
    /// the list is replaced, by `strategy`.
    pub merge_key: Option<String>,
    /// `x-kubernetes-patch-strategy`.
    pub strategy: Strategy,
}

/// How server-side apply merges a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ListType {
    /// As a whole.
    #[default]
    Atomic,
    /// By value; the items are scalars, or atomic.
    Set,
    /// By these fields of an item.
    Map(Vec<String>),
}

/// What strategic merge patch does: `x-kubernetes-patch-strategy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Strategy {
    /// `merge`: lists are merged instead of replaced.
    pub merges: bool,
    /// `retainKeys`: fields that a patch does not name go.
    pub retains_keys: bool,
}

/// The item that an item of a list was before, if items are found by keys.
pub fn correlate<'a>(list: &List, item: &Value, old: &'a Value) -> Option<&'a Value> {
    let ListType::Map(keys) = &list.list_type else { return None };
    old.as_array()?.iter().find(|old| keys.iter().all(|key| old.get(key) == item.get(key)))
}
