//! `metadata.managedFields`: who owns which fields, since when, and by which operation.

use std::{cell::OnceCell, collections::BTreeMap, ops::Deref};

use jiff::{Timestamp, fmt::strtime, tz::TimeZone};
use serde_json::{Map, Value, json};

use super::field_set::FieldSet;

/// How many entries of updates an object keeps.
const MAX_UPDATERS: usize = 10;

/// Owns what the oldest of more updaters owned.
const ANCIENT: &str = "ancient-changes";

/// Who owns what, by who it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Managers(pub(super) BTreeMap<ManagerKey, Owned>);

/// A field manager: the same name is another one by another operation, at another subresource, or, of an update, in another
/// version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ManagerKey {
    pub(super) name: String,
    pub(super) operation: Operation,
    /// Empty for an applier, who is the same in all versions.
    pub(super) version: String,
    pub(super) subresource: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Operation {
    Apply,
    Update,
}

/// What a manager owns.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Owned {
    pub(super) fields: Fields,
    pub(super) api_version: String,
    pub(super) time: Option<Timestamp>,
}

/// The fields that somebody owns: a set, which is read from what is stored only if that is asked for. Most writes change
/// nothing of who owns what.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields {
    /// As [`FieldSet::encode`] wrote it, if the set is still that.
    stored: Option<Value>,
    set: OnceCell<FieldSet>,
}

impl Managers {
    /// Reads `managedFields` as a client gives them; `None`: they are no such thing.
    pub(super) fn decode(entries: Value) -> Option<Self> {
        let mut managers = Self::stored(entries)?;
        // A client may write what says the same otherwise.
        for owned in managers.0.values_mut() {
            owned.fields = FieldSet::clone(&owned.fields).into();
        }
        Some(managers)
    }

    /// Reads `managedFields` that the server has written.
    pub(super) fn stored(entries: Value) -> Option<Self> {
        let Value::Array(entries) = entries else { return None };
        entries.into_iter().map(decode_entry).collect::<Option<_>>().map(Self)
    }

    /// Those of an object; none, if they cannot be read.
    pub(super) fn of(object: Option<&Value>) -> Self {
        let entries = object.and_then(|object| object.pointer("/metadata/managedFields"));
        entries.cloned().and_then(Self::stored).unwrap_or_default()
    }

    /// As `managedFields`, sorted as the real server does; `None`: nobody owns anything.
    pub(super) fn encode(self) -> Option<Value> {
        let mut entries: Vec<_> = self.0.into_iter().collect();
        entries.sort_by_cached_key(|(key, owned)| {
            let seconds = owned.time.map_or(0, Timestamp::as_second);
            (key.operation, seconds, key.name.clone(), owned.api_version.clone(), key.subresource.clone())
        });
        (!entries.is_empty()).then(|| entries.into_iter().map(encode_entry).collect())
    }

    /// All that anybody owns.
    pub(super) fn all_fields(&self) -> FieldSet {
        self.0.values().fold(FieldSet::default(), |all, owned| all.union(&owned.fields))
    }

    /// Merges the oldest updaters of each version into one, until there are few enough.
    pub(super) fn cap_updaters(&mut self) {
        let is_updater = |key: &&ManagerKey| key.operation == Operation::Update;
        let mut count = self.0.keys().filter(is_updater).count();
        if count <= MAX_UPDATERS {
            return;
        }
        let mut updaters: Vec<_> = self.0.keys().filter(is_updater).cloned().collect();
        updaters.sort_by_key(|key| (self.0[key].time.map_or(0, Timestamp::as_second), key.clone()));
        let mut first_of_version = BTreeMap::<String, ManagerKey>::new();
        for key in updaters {
            if count <= MAX_UPDATERS {
                return;
            }
            let Some(first) = first_of_version.get(&key.version) else {
                first_of_version.insert(key.version.clone(), key);
                continue;
            };
            let ancient = ManagerKey { name: ANCIENT.into(), subresource: String::new(), ..key.clone() };
            if !self.0.contains_key(&ancient)
                && let Some(owned) = self.0.remove(first)
            {
                self.0.insert(ancient.clone(), owned);
            }
            if let Some(owned) = self.0.remove(&key)
                && let Some(bucket) = self.0.get_mut(&ancient)
            {
                bucket.fields = bucket.fields.union(&owned.fields).into();
                bucket.time = owned.time;
            }
            count -= 1;
        }
    }
}

impl Fields {
    /// Whether nobody owns anything by it.
    pub(super) fn is_empty(&self) -> bool {
        match (self.set.get(), &self.stored) {
            (None, Some(stored)) => stored.as_object().is_none_or(Map::is_empty),
            _ => FieldSet::is_empty(self),
        }
    }

    /// Whether a path belongs to both sets.
    pub(super) fn meets(&self, other: &FieldSet) -> bool {
        match (self.set.get(), &self.stored) {
            (None, Some(stored)) => other.meets_encoded(stored),
            _ => !self.intersection(other).is_empty(),
        }
    }

    /// Whether all paths of the other set belong to this one.
    pub(super) fn contains(&self, other: &FieldSet) -> bool {
        match (self.set.get(), &self.stored) {
            (None, Some(stored)) => other.is_within_encoded(stored),
            _ => other.difference(self).is_empty(),
        }
    }
}

impl Deref for Fields {
    type Target = FieldSet;

    fn deref(&self) -> &FieldSet {
        self.set.get_or_init(|| self.stored.as_ref().map(FieldSet::decode).unwrap_or_default())
    }
}

impl From<FieldSet> for Fields {
    fn from(set: FieldSet) -> Self {
        Self { stored: None, set: set.into() }
    }
}

impl PartialEq for Fields {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

fn decode_entry(mut entry: Value) -> Option<(ManagerKey, Owned)> {
    let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let operation = match text("operation").as_str() {
        "Apply" => Operation::Apply,
        "Update" => Operation::Update,
        _ => return None,
    };
    let api_version = text("apiVersion");
    if text("fieldsType") != "FieldsV1" || api_version.is_empty() {
        return None;
    }
    let version = if operation == Operation::Update { api_version.clone() } else { String::new() };
    let key = ManagerKey { name: text("manager"), operation, version, subresource: text("subresource") };
    let time = text("time").parse().ok();
    let stored = entry.get_mut("fieldsV1").map(Value::take);
    Some((key, Owned { fields: Fields { stored, set: OnceCell::new() }, api_version, time }))
}

fn encode_entry((key, owned): (ManagerKey, Owned)) -> Value {
    let operation = if key.operation == Operation::Apply { "Apply" } else { "Update" };
    let mut entry = json!({
        "operation": operation,
        "apiVersion": owned.api_version,
        "fieldsType": "FieldsV1",
    });
    entry["fieldsV1"] = match owned.fields.stored {
        Some(stored) => stored,
        None => owned.fields.encode(),
    };
    if !key.name.is_empty() {
        entry["manager"] = key.name.into();
    }
    if let Some(time) = owned.time {
        entry["time"] = time_text(time).into();
    }
    if !key.subresource.is_empty() {
        entry["subresource"] = key.subresource.into();
    }
    entry
}

fn time_text(time: Timestamp) -> String {
    strtime::format("%Y-%m-%dT%H:%M:%SZ", &time.to_zoned(TimeZone::UTC)).unwrap_or_default()
}
