//! Creation.

use jiff::Timestamp;
use serde_json::Value;

use super::{Call, Reply, Server, decode, definition::is_terminating, options::WriteOptions, validate::validate};
use crate::{
    failure::Failure,
    metadata,
    names::generated_base,
    object::Object,
    resource::Part,
    store::{Change, Key},
};

const NAME_ATTEMPTS: usize = 8;
const OBJECT_LIMIT: usize = 1_572_864;
pub(super) const TOO_LARGE: &str = "etcdserver: request is too large";

impl Server {
    pub(super) fn create(&mut self, call: Call<'_>) -> Result<Reply, Failure> {
        if !call.target.name.is_empty() && !call.target.served.resource.is_custom {
            return Err(Failure::method_not_allowed());
        }
        let options = WriteOptions::parse(call.request, "CreateOptions")?;
        let served = &call.target.served;
        let decoded = decode::object(call.request, served, options.field_validation)?;
        if revision_of(&decoded.object)? != 0 {
            let message = "resourceVersion should not be set on objects to be created";
            return Err(Failure::new(500, "", message));
        }
        let object = options.note_creation(call, decoded.object);
        self.insert(call, &options, object).map(|reply| decode::warn(reply, &decoded.warnings))
    }

    /// Creates an object that is decoded and whose fields have owners: also for an apply or update of one that is not there.
    pub(super) fn insert(
        &mut self,
        call: Call<'_>,
        options: &WriteOptions,
        mut object: Value,
    ) -> Result<Reply, Failure> {
        let resource = &call.target.served.resource;
        place(call, &mut object)?;
        let mut warnings = metadata::remove_double_owners(&mut object);
        warnings.extend(metadata::finalizer_warnings(resource, &object, None));
        let given = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        self.admit_to_namespace(call, &given)?;
        self.admit_pod(call, &mut object, &given)?;
        self.authorize_grants(call, None, &object)?;
        if resource.is_custom && is_terminating(self, &call.target.served.collection) {
            let why = "create not allowed while custom resource definition is terminating";
            return Err(Failure::forbidden(resource, &given, why));
        }
        self.begin_life(call.now, &mut object);
        let prefix = object["metadata"]["generateName"].as_str().unwrap_or_default().to_owned();
        let is_generated = given.is_empty() && !prefix.is_empty();
        let mut attempts = if is_generated { NAME_ATTEMPTS } else { 1 };
        if resource.has_status && resource.is_custom {
            remove(&mut object, "status");
        }
        if has_generation(resource) {
            object["metadata"]["generation"] = 1.into();
        }
        resource.rules.prepare(&mut object, None, Part::Main);
        warnings.extend(resource.rules.warn(&object, None, Part::Main));
        loop {
            if is_generated {
                object["metadata"]["name"] = format!("{}{}", generated_base(&prefix), self.random.suffix()).into();
            }
            let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            let causes = validate(resource, &object, None, Part::Main);
            if !causes.is_empty() {
                return Err(Failure::invalid(resource, &name, &causes));
            }
            attempts -= 1;
            let key = Key::new(&call.target.namespace, &name);
            match self.store.get(&call.target.served.collection, &key) {
                None if is_too_large(&object) => return Err(Failure::new(500, "", TOO_LARGE)),
                None if options.is_dry_run => {
                    return Ok(decode::warn(Reply::object(201, Object::new(object)), &warnings));
                }
                None => {
                    let commit = self.commit(call, key, Change::Created, object);
                    let shown = call.target.served.present(&commit.after);
                    return Ok(decode::warn(Reply::object(201, shown), &warnings));
                }
                Some(_) if attempts > 0 => {}
                Some(existing) => return Err(taken(call, &name, existing, !prefix.is_empty())),
            }
        }
    }

    /// Sets what the server alone sets on a new object.
    fn begin_life(&mut self, now: Timestamp, object: &mut Value) {
        let metadata = metadata::of(object);
        for field in ["deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"] {
            metadata.remove(field);
        }
        metadata.insert("uid".to_owned(), self.random.uid().into());
        metadata.insert("creationTimestamp".to_owned(), seconds(now).into());
    }
}

/// Whether etcd would not take it.
pub(super) fn is_too_large(object: &Value) -> bool {
    // Most objects are far below: their texts alone are counted first.
    measure(object) > OBJECT_LIMIT / 2 && object.to_string().len() > OBJECT_LIMIT
}

fn measure(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(|item| measure(item) + 4).sum(),
        Value::Object(fields) => fields.iter().map(|(name, value)| name.len() + measure(value) + 4).sum(),
        _ => 4,
    }
}

/// Puts an object into the namespace of the request.
pub(super) fn place(call: Call<'_>, object: &mut Value) -> Result<(), Failure> {
    let metadata = metadata::of(object);
    let given = metadata.get("namespace").and_then(Value::as_str).unwrap_or_default();
    let namespace = call.target.namespace.as_str();
    if !given.is_empty() && given != namespace && call.target.served.resource.is_namespaced {
        return Err(Failure::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    if namespace.is_empty() {
        metadata.remove("namespace");
    } else {
        metadata.insert("namespace".to_owned(), namespace.into());
    }
    Ok(())
}

/// The resourceVersion that an object is sent with; none is zero.
pub(super) fn revision_of(object: &Value) -> Result<u64, Failure> {
    match object["metadata"]["resourceVersion"].as_str().unwrap_or_default() {
        "" => Ok(0),
        text => text
            .parse()
            .map_err(|_| Failure::new(500, "", format!("strconv.ParseUint: parsing {text:?}: invalid syntax"))),
    }
}

/// A time as objects carry it.
pub(super) fn seconds(time: Timestamp) -> String {
    Timestamp::from_second(time.as_second()).unwrap_or(time).to_string()
}

/// Whether the server counts the generations of a kind.
pub(super) fn has_generation(resource: &crate::resource::Resource) -> bool {
    resource.is_custom
        || matches!(
            (resource.group.as_str(), resource.plural.as_str()),
            ("", "pods" | "podtemplates" | "replicationcontrollers")
                | ("apps", "deployments" | "replicasets" | "statefulsets" | "daemonsets")
                | ("autoscaling", "horizontalpodautoscalers")
                | ("batch", "jobs" | "cronjobs")
                | ("discovery.k8s.io", "endpointslices")
                | ("policy", "poddisruptionbudgets")
                | ("scheduling.k8s.io", "priorityclasses")
                | ("apiextensions.k8s.io", "customresourcedefinitions")
                | ("networking.k8s.io" | "admissionregistration.k8s.io", _)
        )
}

pub(super) fn remove(object: &mut Value, field: &str) {
    if let Some(object) = object.as_object_mut() {
        object.remove(field);
    }
}

fn taken(call: Call<'_>, name: &str, existing: &Object, is_generated: bool) -> Failure {
    let mut failure = Failure::already_exists(&call.target.served.resource, name);
    if is_generated {
        failure.message.push_str(", the server was not able to generate a unique name for the object");
        failure.details.retry_after_seconds = 1;
    }
    if !existing["metadata"]["deletionTimestamp"].is_null() {
        failure.message = format!("object is being deleted: {}", failure.message);
    }
    failure
}
