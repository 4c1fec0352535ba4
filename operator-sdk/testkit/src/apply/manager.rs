//! `metadata.managedFields`: who owns which fields, since when, and by which operation.

use std::collections::BTreeMap;

use jiff::{Timestamp, fmt::strtime, tz::TimeZone};
use serde_json::{Value, json};

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
    pub(super) fields: FieldSet,
    pub(super) api_version: String,
    pub(super) time: Option<Timestamp>,
}

impl Managers {
    /// Reads `managedFields`; `None`: they are no such thing.
    pub(super) fn decode(entries: &Value) -> Option<Self> {
        let entries = entries.as_array()?.iter().map(decode_entry).collect::<Option<BTreeMap<_, _>>>()?;
        Some(Self(entries))
    }

    /// Those of an object; none, if they cannot be read.
    pub(super) fn of(object: Option<&Value>) -> Self {
        object.and_then(|object| Self::decode(object.pointer("/metadata/managedFields")?)).unwrap_or_default()
    }

    /// As `managedFields`, sorted as the real server does; `None`: nobody owns anything.
    pub(super) fn encode(&self) -> Option<Value> {
        let mut entries: Vec<_> = self.0.iter().collect();
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
        let mut updaters: Vec<_> = self.0.keys().filter(|key| key.operation == Operation::Update).cloned().collect();
        let mut count = updaters.len();
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
                bucket.fields = bucket.fields.union(&owned.fields);
                bucket.time = owned.time;
            }
            count -= 1;
        }
    }
}

fn decode_entry(entry: &Value) -> Option<(ManagerKey, Owned)> {
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
    let fields = entry.get("fieldsV1").map(FieldSet::decode).unwrap_or_default();
    Some((key, Owned { fields, api_version, time: text("time").parse().ok() }))
}

fn encode_entry((key, owned): (&ManagerKey, &Owned)) -> Value {
    let operation = if key.operation == Operation::Apply { "Apply" } else { "Update" };
    let mut entry = json!({
        "operation": operation,
        "apiVersion": owned.api_version,
        "fieldsType": "FieldsV1",
        "fieldsV1": owned.fields.encode(),
    });
    if !key.name.is_empty() {
        entry["manager"] = json!(key.name);
    }
    if let Some(time) = owned.time {
        entry["time"] = json!(time_text(time));
    }
    if !key.subresource.is_empty() {
        entry["subresource"] = json!(key.subresource);
    }
    entry
}

fn time_text(time: Timestamp) -> String {
    strtime::format("%Y-%m-%dT%H:%M:%SZ", &time.to_zoned(TimeZone::UTC)).unwrap_or_default()
}
