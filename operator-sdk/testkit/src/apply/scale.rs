//! Owners of what was written through `scale`, where the real server sees a Scale and owners of that: it knows only those
//! of the replicas, in another version, and makes owners of the object of them afterwards.
//!
//! So nobody comes to own replicas that nobody owned, an updater that owned them owns them in an entry of its own from then
//! on, which is forgotten with the next write, and no time is kept.

use jiff::Timestamp;
use serde_json::Value;

use super::{
    Writer,
    field_set::FieldSet,
    key,
    manager::{ManagerKey, Managers, Operation, Owned},
    path::{Element, Path},
    with_managed_fields, without_managed_fields,
};
use crate::resource::Resource;

const SCALE_VERSION: &str = "autoscaling/v1";

/// `new` with `managedFields` after its replicas, at the JSON path `replicas`, were written through `scale`.
pub fn update_scale(live: &Value, new: &Value, replicas: &str, resource: &Resource, manager: &str) -> Value {
    let path: Path = replicas.split('.').skip(1).map(Element::field).collect();
    let mut field = FieldSet::default();
    field.insert(&path);
    let count = |object: &Value| {
        path.iter().try_fold(object, |at, step| at.get(name(step))).and_then(Value::as_i64).unwrap_or(0)
    };
    let mut managers = Managers::of(Some(live));
    let owners = managers.0.iter().filter(|(_, owned)| owned.fields.has(&path));
    let mut of_scale: Vec<ManagerKey> = owners.map(|(key, _)| as_of_scale(key)).collect();
    if count(live) != count(new) && !of_scale.is_empty() {
        let writer = key(resource, Writer { manager, subresource: "scale" }, Operation::Update);
        of_scale = if count(new) == 0 { Vec::new() } else { vec![as_of_scale(&writer)] };
    }
    for (key, owned) in &mut managers.0 {
        if !of_scale.contains(key) {
            owned.fields = owned.fields.difference(&field).into();
        }
    }
    managers.0.retain(|_, owned| !owned.fields.is_empty());
    for key in of_scale {
        let owned =
            Owned { fields: field.clone().into(), api_version: resource.api_version(), time: None::<Timestamp> };
        managers.0.entry(key).or_insert(owned);
    }
    with_managed_fields(without_managed_fields(new), managers)
}

fn as_of_scale(key: &ManagerKey) -> ManagerKey {
    let version = if key.operation == Operation::Update { SCALE_VERSION.to_owned() } else { String::new() };
    ManagerKey { version, ..key.clone() }
}

fn name(step: &Element) -> &str {
    match step {
        Element::Field(name) => name,
        _ => "",
    }
}
