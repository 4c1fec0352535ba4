//! Server-side apply: who owns which field, and what an applied intent makes of an object.
//!
//! Written from the documented behaviour (<https://kubernetes.io/docs/reference/using-api/server-side-apply/>) and from the
//! answers of the real server. Owners of a built-in kind at other versions are taken to own the same fields at this one; no
//! schema changes from granular to atomic under an object.

use std::sync::LazyLock;

use jiff::Timestamp;
use serde_json::{Map, Value};

pub use self::{conflict::Conflicts, scale::update_scale};
use self::{
    field_set::FieldSet,
    manager::{Fields, ManagerKey, Managers, Operation, Owned},
    merge::merge,
    owned::fields,
    prune::prune,
    typed::Type,
    versions::Differences,
};
use crate::resource::Resource;

mod compare;
mod conflict;
mod field_set;
mod ignored;
mod last_applied;
mod manager;
mod merge;
mod owned;
mod path;
mod prune;
mod scale;
mod skeleton;
mod typed;
mod validate;
mod versions;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

/// Owns what was there when the first applier came and nobody owned it.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";

/// Who writes, through which door.
#[derive(Clone, Copy, Debug)]
pub struct Writer<'a> {
    /// `fieldManager`, or what [`manager_name`] makes of the user agent.
    pub manager: &'a str,
    /// As in `status`; empty: none.
    pub subresource: &'a str,
}

/// Why an intent is not applied.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// 409 `Conflict` with causes.
    #[error("{}", .0.message())]
    Conflicts(Conflicts),
    /// 400 `BadRequest`.
    #[error("{0}")]
    BadRequest(String),
    /// 500 without a reason: the intent does not fit the schema.
    #[error("{0}")]
    Unfit(String),
}

/// What `intent` makes of `live`, with `managedFields`; `live` is `None` where there is no such object yet. Defaults are not
/// set, and nothing is checked but that the intent fits the schema. Where nothing changes, the object is as it was; whether
/// more than times of `managedFields` differ, the caller finds with [`keep_times`].
///
/// # Errors
/// A [`Refusal`].
pub fn apply(
    live: Option<&Value>,
    intent: &Value,
    resource: &Resource,
    writer: Writer<'_>,
    force: bool,
    now: Timestamp,
) -> Result<Value, Refusal> {
    check(intent, resource)?;
    let ty = Type::of(&resource.schema);
    let ignored = ignored::fields(resource, writer.subresource);
    let mut managers = Managers::of(live);
    let old = live.map_or_else(|| skeleton::object(resource), without_managed_fields);
    if live.is_some() && managers.0.is_empty() {
        let first = Writer { manager: BEFORE_FIRST_APPLY, ..writer };
        record_update(&mut managers, &skeleton::object(resource), &old, resource, first, now);
    }
    let me = key(resource, writer, Operation::Apply);
    let last = managers.0.remove(&me);
    let mut mine = Owned {
        fields: fields(intent, ty).difference_with_all_below(&ignored).into(),
        api_version: resource.api_version(),
        time: last.as_ref().and_then(|last| last.time),
    };
    let mut merged = merge(&old, intent, ty);
    if let Some(last) = &last {
        merged = prune(&merged, &last.fields, &managers.all_fields().union(&mine.fields), ty);
    }
    let found = Differences::find(&old, &merged, resource, &managers, &ignored);
    let conflicts = conflicts(&managers, &found);
    let conflicts = last_applied::resolve(conflicts, writer.manager, &old, resource);
    if !force && !conflicts.0.is_empty() {
        return Err(Refusal::Conflicts(conflicts));
    }
    found.take_from(&mut managers);
    if path::is_equal(&old, &merged) {
        merged = old;
    } else {
        mine.time = Some(now);
    }
    mine.fields = mine.fields.difference(&NEVER_OWNED).into();
    if !mine.fields.is_empty() {
        managers.0.insert(me, mine);
    }
    last_applied::note(&mut merged, intent, writer.manager);
    Ok(with_managed_fields(merged, managers))
}

/// `new` with `managedFields` that say what `writer` changed of `live`; `live` is `None` at a creation. For all writes but
/// apply.
pub fn update(live: Option<&Value>, mut new: Value, resource: &Resource, writer: Writer<'_>, now: Timestamp) -> Value {
    let given =
        new.pointer_mut("/metadata").and_then(Value::as_object_mut).and_then(|meta| meta.remove("managedFields"));
    let is_reset = given.as_ref().is_some_and(|given| is_reset(given, resource)) && writer.subresource.is_empty();
    let is_stored = |given: &Value| live.is_some_and(|live| given == managed_fields(live));
    let given = given.filter(|_| writer.subresource.is_empty()).and_then(|given| match is_stored(&given) {
        true => Managers::stored(given),
        false => Managers::decode(given),
    });
    let mut managers = match given {
        _ if is_reset => Managers::default(),
        Some(given) if !given.0.is_empty() => given,
        _ => Managers::of(live),
    };
    if live.is_some() && managers.0.is_empty() {
        return new;
    }
    let fits = |object, known| validate::fits(object, Type::of(&resource.schema), known);
    if resource.is_custom && !(fits(&new, None) && live.is_none_or(|live| fits(live, Some(&new)))) {
        return with_managed_fields(new, managers);
    }
    match live {
        Some(live) => record_update(&mut managers, live, &new, resource, writer, now),
        None => record_update(&mut managers, &skeleton::object(resource), &new, resource, writer, now),
    }
    with_managed_fields(new, managers)
}

/// The new object; with the times of the old one's `managedFields` where nothing but those differs.
#[must_use]
pub fn keep_times(old: &Value, mut new: Value) -> Value {
    if let (Value::Array(before), Value::Array(after)) = (managed_fields(old), managed_fields(&new))
        && before.len() == after.len()
        && before.iter().zip(after).all(|(before, after)| is_equal_but_for(&["time"], before, after))
        && is_equal_but_for(&["metadata"], old, &new)
        && is_equal_but_for(&["managedFields"], &old["metadata"], &new["metadata"])
    {
        new["metadata"]["managedFields"] = managed_fields(old).clone();
    }
    new
}

/// The name of a manager that gives none: the user agent up to the first slash.
pub fn manager_name(user_agent: &str) -> String {
    const MAX_BYTES: usize = 128;
    let mut name = String::new();
    for character in
        user_agent.split('/').next().unwrap_or_default().chars().filter(|character| !character.is_control())
    {
        if name.len() + character.len_utf8() > MAX_BYTES {
            break;
        }
        name.push(character);
    }
    name
}

fn check(intent: &Value, resource: &Resource) -> Result<(), Refusal> {
    let text = |pointer: &str| intent.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let api_version = text("/apiVersion");
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let shown = format!("{group}/{version}, Kind={}", text("/kind"));
    if api_version != resource.api_version() || text("/kind") != resource.kind {
        return Err(Refusal::BadRequest(format!("invalid object type: {shown}")));
    }
    if intent.pointer("/metadata/managedFields").is_some_and(|fields| !fields.is_null()) {
        return Err(Refusal::BadRequest("metadata.managedFields must be nil".into()));
    }
    validate::validate(intent, Type::of(&resource.schema)).map_err(|problem| {
        let name = format!("{}/{}", text("/metadata/namespace"), text("/metadata/name"));
        Refusal::Unfit(format!("failed to create typed patch object ({name}; {shown}): {problem}"))
    })
}

/// Gives `writer` what differs, and takes it from all others.
fn record_update(
    managers: &mut Managers,
    old: &Value,
    new: &Value,
    resource: &Resource,
    writer: Writer<'_>,
    now: Timestamp,
) {
    let ignored = ignored::fields(resource, writer.subresource);
    let found = Differences::find(old, new, resource, managers, &ignored);
    let mine = found.here.changed.difference(&NEVER_OWNED);
    let me = key(resource, writer, Operation::Update);
    // Most write what they own already.
    let lost = found.here.touched().difference(&mine);
    let stays = managers
        .0
        .get(&me)
        .is_some_and(|owned| !owned.fields.is_empty() && owned.fields.contains(&mine) && !owned.fields.meets(&lost));
    let my_fields = stays.then(|| managers.0.remove(&me)).flatten();
    found.take_from(managers);
    if let Some(mut owned) = my_fields {
        if !mine.is_empty() {
            owned.time = Some(now);
        }
        managers.0.insert(me, owned);
    } else if !mine.is_empty() {
        let api_version = resource.api_version();
        let entry = managers.0.entry(me);
        let owned = entry.or_insert_with(|| Owned { fields: Fields::default(), api_version, time: None });
        owned.fields = owned.fields.union(&mine).into();
        owned.time = Some(now);
    }
    managers.cap_updaters();
}

fn key(resource: &Resource, writer: Writer<'_>, operation: Operation) -> ManagerKey {
    let name = if writer.manager.is_empty() { "unknown" } else { writer.manager };
    let version = if operation == Operation::Update { resource.api_version() } else { String::new() };
    ManagerKey { name: name.into(), operation, version, subresource: writer.subresource.into() }
}

fn conflicts(managers: &Managers, found: &Differences) -> Conflicts {
    let of = |(key, owned): (&ManagerKey, &Owned)| {
        let paths = owned.fields.intersection(&found.seen_in(&owned.api_version).changed).paths();
        paths.into_iter().map(|path| (key.clone(), path)).collect::<Vec<_>>()
    };
    let mut owners: Vec<_> = managers.0.iter().collect();
    // The real server sorts by the JSON of a manager, in which one with a subresource comes first.
    owners.sort_by_key(|(key, _)| (&key.name, key.operation, &key.version, key.subresource.is_empty()));
    Conflicts(owners.into_iter().flat_map(of).collect())
}

/// Fields that say which object it is, or that only the server sets.
static NEVER_OWNED: LazyLock<FieldSet> = LazyLock::new(|| {
    let of_metadata =
        ["name", "namespace", "creationTimestamp", "selfLink", "uid", "clusterName", "generation", "resourceVersion"];
    let root = FieldSet::of(&[&["apiVersion"], &["kind"], &["metadata"]]);
    of_metadata.iter().fold(root, |set, name| set.union(&FieldSet::of(&[&["metadata", name]])))
});

/// `[{}]`, and of a built-in kind `[]`, ask that nothing be known of who owns what.
fn is_reset(managed_fields: &Value, resource: &Resource) -> bool {
    match managed_fields.as_array().map(Vec::as_slice) {
        Some([]) => !resource.is_custom,
        Some([Value::Object(entry)]) => entry.is_empty(),
        _ => false,
    }
}

fn managed_fields(object: &Value) -> &Value {
    &object["metadata"]["managedFields"]
}

/// Whether two maps say the same outside of these fields.
fn is_equal_but_for(fields: &[&str], one: &Value, other: &Value) -> bool {
    fn rest<'a>(map: &'a Map<String, Value>, fields: &'a [&str]) -> impl Iterator<Item = (&'a String, &'a Value)> {
        map.iter().filter(move |(name, _)| !fields.contains(&name.as_str()))
    }
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => rest(one, fields).eq(rest(other, fields)),
        _ => one == other,
    }
}

/// A copy that leaves out what may be the larger half.
pub(crate) fn without_managed_fields(object: &Value) -> Value {
    let Value::Object(fields) = object else { return object.clone() };
    let copied = fields.iter().map(|(name, value)| {
        let copy = match value {
            Value::Object(metadata) if name == "metadata" => {
                let kept = metadata.iter().filter(|(name, _)| *name != "managedFields");
                Value::Object(kept.map(|(name, value)| (name.clone(), value.clone())).collect())
            }
            value => value.clone(),
        };
        (name.clone(), copy)
    });
    Value::Object(copied.collect())
}

fn with_managed_fields(mut object: Value, managers: Managers) -> Value {
    if let Some(encoded) = managers.encode() {
        if !object["metadata"].is_object() {
            object["metadata"] = Value::Object(Map::new());
        }
        object["metadata"]["managedFields"] = encoded;
    }
    object
}
