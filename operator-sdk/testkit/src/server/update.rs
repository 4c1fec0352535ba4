//! Update of an object or of its status.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{
    Call, Reply, Server,
    create::{TOO_LARGE, has_generation, is_too_large, place, remove, revision_of},
    decode::{self, Decoded},
    namespace::{has_finalizers, is_namespace},
    options::WriteOptions,
    validate::validate,
};
use crate::{
    apply::{self, Writer},
    cause::{Cause, CauseKind},
    failure::Failure,
    metadata,
    object::Object,
    resource::{Part, Resource},
    store::Change,
};

/// A new state of an object, decoded and with the owners of its fields.
pub(super) struct Written {
    pub(super) object: Value,
    /// Labels or annotations that are stored empty and that no reader is shown, as an apply has left them.
    pub(super) hidden: Map<String, Value>,
}

impl Written {
    pub(super) fn plain(object: Value) -> Self {
        Self { object, hidden: Map::new() }
    }
}

impl Server {
    pub(super) fn update(&mut self, call: Call<'_>) -> Result<Reply, Failure> {
        let options = WriteOptions::parse(call.request, "UpdateOptions")?;
        let resource = &call.target.served.resource;
        let Decoded { mut object, warnings } =
            decode::object(call.request, &call.target.served, options.field_validation)?;
        place(call, &mut object)?;
        check_name(call, &object)?;
        let live = match self.live(call.target) {
            Err(_) if is_created_by_update(resource) && part(call) == Part::Main => {
                self.authorize_creation(call)?;
                revision_of(&object)?;
                let object = options.note_creation(call, object);
                return self.insert(call, &options, object);
            }
            live => live?,
        };
        check_uid(call, &object, &live)?;
        let manager = options.manager(call.request);
        let writer = Writer { manager: &manager, subresource: &call.target.subresource };
        let new = apply::update(Some(&live), object, resource, writer, call.now);
        self.replace(call, &options, &live, Written::plain(new)).map(|reply| decode::warn(reply, &warnings))
    }

    /// Puts a new state in the place of the live one: also for patches.
    pub(super) fn replace(
        &mut self,
        call: Call<'_>,
        options: &WriteOptions,
        live: &Arc<Object>,
        written: Written,
    ) -> Result<Reply, Failure> {
        let Written { object: mut new, hidden } = written;
        let hides_empty = !hidden.is_empty();
        let served = &call.target.served;
        let (resource, part) = (&served.resource, part(call));
        let mut warnings = metadata::remove_double_owners(&mut new);
        warnings.extend(metadata::finalizer_warnings(resource, &new, Some(live)));
        self.authorize_grants(call, Some(live), &new)?;
        check_version(call, live, &mut new)?;
        keep_system_metadata(&mut new, live);
        keep_other_part(resource, &mut new, live, part);
        resource.rules.prepare(&mut new, Some(live), part);
        count_generation(resource, &mut new, live, part);
        let causes = validate(resource, &new, Some(live), part);
        if !causes.is_empty() {
            return Err(Failure::invalid(resource, &call.target.name, &causes));
        }
        warnings.extend(resource.rules.warn(&new, Some(live), part));
        let mut new = apply::keep_times(live, new);
        if is_last_finalizer_gone(&new, live) && !(is_namespace(resource) && has_finalizers(&new)) {
            // Watches are told the state before this last write.
            if !options.is_dry_run {
                self.commit(call, call.target.key(), Change::Deleted, live.value().clone());
            }
            // It is not stored any more, so that it is told as it would have been.
            metadata::of(&mut new).extend(hidden);
            return Ok(Reply::object(200, Object::new(new)));
        }
        if !hides_empty && self.is_no_change(&new, live) {
            return Ok(Reply::object(200, served.present(live)));
        }
        if is_too_large(&new) {
            return Err(Failure::new(500, "", TOO_LARGE));
        }
        if options.is_dry_run {
            return Ok(Reply::object(200, Object::new(new)));
        }
        let commit = self.commit(call, call.target.key(), Change::Updated, new);
        if hides_empty {
            self.hidden_empties.insert(commit.revision);
        }
        Ok(decode::warn(Reply::object(200, served.present(&commit.after)), &warnings))
    }
}

/// Refuses an object of another name than the path's.
pub(super) fn check_name(call: Call<'_>, object: &Value) -> Result<(), Failure> {
    let (name, asked) = (object["metadata"]["name"].as_str().unwrap_or_default(), &call.target.name);
    if name == asked {
        return Ok(());
    }
    Err(Failure::bad_request(if name.is_empty() {
        format!("the name of the object ({asked} based on URL) was undeterminable: name must be provided")
    } else {
        format!("the name of the object ({name}) does not match the name on the URL ({asked})")
    }))
}

/// Which part of the object a request writes.
pub(super) fn part(call: Call<'_>) -> Part {
    if call.target.subresource == "status" { Part::Status } else { Part::Main }
}

fn check_uid(call: Call<'_>, object: &Value, live: &Object) -> Result<(), Failure> {
    let uid = object["metadata"]["uid"].as_str().unwrap_or_default();
    if uid.is_empty() || uid == live.uid() { Ok(()) } else { Err(wrong_uid(call, uid, live)) }
}

/// 409: the object is another of the same name.
pub(super) fn wrong_uid(call: Call<'_>, uid: &str, live: &Object) -> Failure {
    let resource = &call.target.served.resource;
    let group = if resource.is_custom { format!("{}/", resource.group) } else { String::new() };
    let why = format!(
        "StorageError: invalid object, Code: 4, Key: /registry/{group}{}/{}, ResourceVersion: 0, AdditionalErrorMsg: \
         Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
        resource.plural,
        call.target.key(),
        live.uid()
    );
    Failure::conflict(resource, &call.target.name, &why)
}

/// Refuses what was made from another state of the object.
fn check_version(call: Call<'_>, live: &Object, new: &mut Value) -> Result<(), Failure> {
    let resource = &call.target.served.resource;
    let number = revision_of(new)?;
    if number == 0 && !is_updated_unconditionally(resource) {
        let cause =
            Cause::new(CauseKind::Invalid, "metadata.resourceVersion", 0.into(), "must be specified for an update");
        return Err(Failure::invalid_kind(&resource.group, &resource.plural, &call.target.name, &[cause]));
    }
    if number != 0 && number != live.revision() {
        return Err(Failure::stale(resource, &call.target.name));
    }
    metadata::of(new).insert("resourceVersion".to_owned(), live.resource_version().into());
    Ok(())
}

fn keep_system_metadata(new: &mut Value, live: &Object) {
    let old = &live["metadata"];
    let metadata = metadata::of(new);
    let mut keep = |field: &str, is_forced: bool| {
        let is_given = metadata.get(field).is_some_and(|value| !value.is_null() && value.as_str() != Some(""));
        if is_given && !is_forced {
            return;
        }
        match &old[field] {
            Value::Null => metadata.remove(field),
            value => metadata.insert(field.to_owned(), value.clone()),
        };
    };
    keep("generation", true);
    keep("creationTimestamp", true);
    keep("selfLink", true);
    keep("uid", false);
    keep("deletionTimestamp", !old["deletionTimestamp"].is_null());
    keep("deletionGracePeriodSeconds", false);
}

/// A write of one part leaves the other as it is.
fn keep_other_part(resource: &Resource, new: &mut Value, live: &Object, part: Part) {
    match part {
        Part::Main if resource.has_status => match &live["status"] {
            Value::Null => remove(new, "status"),
            status => new["status"] = status.clone(),
        },
        Part::Main => {}
        Part::Status => {
            let status = new["status"].take();
            let managed = match new["metadata"]["managedFields"].take() {
                Value::Null => live["metadata"]["managedFields"].clone(),
                managed => managed,
            };
            *new = apply::without_managed_fields(live);
            match status {
                Value::Null => remove(new, "status"),
                status => new["status"] = status,
            }
            if !managed.is_null() {
                new["metadata"]["managedFields"] = managed;
            }
        }
    }
}

fn count_generation(resource: &Resource, new: &mut Value, live: &Object, part: Part) {
    let is_counted = has_generation(resource) && resource.plural != "priorityclasses";
    if part == Part::Status || !is_counted {
        return;
    }
    let is_counted = |field: &str| match resource.is_custom {
        true => !(field == "metadata" || field == "apiVersion" || field == "status" && resource.has_status),
        false => !matches!(field, "metadata" | "apiVersion" | "kind" | "status"),
    };
    fn fields(object: &Value) -> impl Iterator<Item = (&String, &Value)> {
        object.as_object().into_iter().flatten()
    }
    let counted = |(field, _): &(&String, &Value)| is_counted(field);
    let is_changed = !fields(new).filter(counted).eq(fields(live).filter(counted));
    let is_counted_anyway = match (resource.group.as_str(), resource.plural.as_str()) {
        ("apps", "deployments") => new["metadata"]["annotations"] != live["metadata"]["annotations"],
        ("discovery.k8s.io", "endpointslices") => new["metadata"]["labels"] != live["metadata"]["labels"],
        _ => false,
    };
    if is_counted_anyway || is_changed {
        let generation = live["metadata"]["generation"].as_i64().unwrap_or_default();
        new["metadata"]["generation"] = (generation + 1).into();
    }
}

/// Whether the object was only waiting for this.
fn is_last_finalizer_gone(new: &Value, live: &Object) -> bool {
    let is_deleting = !live["metadata"]["deletionTimestamp"].is_null();
    let grace = live["metadata"]["deletionGracePeriodSeconds"].as_i64().unwrap_or_default();
    is_deleting && grace == 0 && metadata::finalizers(new).next().is_none()
}

/// Whether a PUT without resourceVersion is taken.
fn is_updated_unconditionally(resource: &Resource) -> bool {
    let is_strict = matches!(
        (resource.group.as_str(), resource.plural.as_str()),
        ("policy", "poddisruptionbudgets")
            | ("storage.k8s.io", "csidrivers" | "csistoragecapacities" | "volumeattachments" | "csinodes")
            | ("coordination.k8s.io" | "admissionregistration.k8s.io" | "apiextensions.k8s.io", _)
            | ("apiregistration.k8s.io", _)
    );
    !resource.is_custom && !is_strict
}

/// Whether a PUT of an object that is not there creates it.
fn is_created_by_update(resource: &Resource) -> bool {
    matches!(
        (resource.group.as_str(), resource.plural.as_str()),
        ("", "events" | "endpoints" | "services" | "limitranges")
            | ("events.k8s.io", "events")
            | ("coordination.k8s.io", "leases")
            | ("rbac.authorization.k8s.io" | "node.k8s.io", _)
    )
}
