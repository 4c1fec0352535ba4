//! What may be created in which namespace, and how a namespace ends. What empties it is an actor's matter.

use std::sync::Arc;

use serde_json::Value;

use super::{
    Call, Reply, Server,
    create::seconds,
    decode,
    options::{DeleteOptions, WriteOptions},
};
use crate::{
    failure::Failure,
    metadata,
    object::Object,
    resource::Resource,
    store::{Change, Collection, Key},
};

/// Those that cannot be deleted.
const IMMORTAL: [&str; 3] = ["default", "kube-public", "kube-system"];

impl Server {
    /// Refuses a creation in a namespace that is not there or is going away.
    pub(super) fn admit_to_namespace(&self, call: Call<'_>, name: &str) -> Result<(), Failure> {
        let namespace = call.target.namespace.as_str();
        if namespace.is_empty() {
            return Ok(());
        }
        let namespaces = Collection::new("", "namespaces");
        let Some(found) = self.store.get(&namespaces, &Key::new("", namespace)) else {
            let mut failure = Failure::new(404, "NotFound", format!("namespaces {namespace:?} not found"));
            failure.details.name = namespace.to_owned();
            failure.details.kind = "namespaces".to_owned();
            return Err(failure);
        };
        if found["status"]["phase"] == "Terminating" {
            let why = format!("unable to create new content in namespace {namespace} because it is being terminated");
            let cause = format!("namespace {namespace} is being terminated");
            let failure = Failure::forbidden(&call.target.served.resource, name, &why);
            return Err(failure.because("NamespaceTerminating", cause, "metadata.namespace"));
        }
        Ok(())
    }

    /// The first deletion of a namespace marks it; it goes when its finalizers are gone.
    pub(super) fn delete_namespace(
        &mut self,
        call: Call<'_>,
        options: &DeleteOptions,
        live: &Arc<Object>,
    ) -> Result<Arc<Object>, Failure> {
        if IMMORTAL.contains(&live.name()) {
            let resource = &call.target.served.resource;
            return Err(Failure::forbidden(resource, live.name(), "this namespace may not be deleted"));
        }
        if !live["metadata"]["deletionTimestamp"].is_null() {
            return Ok(live.clone());
        }
        let mut marked = live.value().clone();
        marked["metadata"]["deletionTimestamp"] = seconds(call.now).into();
        marked["status"]["phase"] = "Terminating".into();
        if options.is_dry_run {
            return Ok(Object::new(marked));
        }
        Ok(self.commit(call, Key::new("", live.name()), Change::Updated, marked).after.clone())
    }

    /// `PUT …/finalize`: takes `spec.finalizers`.
    pub(super) fn finalize(&mut self, call: Call<'_>) -> Result<Reply, Failure> {
        let options = WriteOptions::parse(call.request, "UpdateOptions")?;
        let decoded = decode::object(call.request, &call.target.served, options.field_validation)?;
        let live = self.live(call.target)?;
        let version = decoded.object["metadata"]["resourceVersion"].as_str().unwrap_or_default();
        if !version.is_empty() && version != live.resource_version() {
            return Err(Failure::stale(&call.target.served.resource, &call.target.name));
        }
        let mut new = live.value().clone();
        match decoded.object["spec"]["finalizers"].as_array().filter(|finalizers| !finalizers.is_empty()) {
            Some(finalizers) => new["spec"]["finalizers"] = Value::Array(finalizers.clone()),
            None => new["spec"] = serde_json::json!({}),
        }
        if options.is_dry_run || new == *live.value() {
            return Ok(Reply::object(200, Object::new(new)));
        }
        let is_over = !live["metadata"]["deletionTimestamp"].is_null()
            && !has_finalizers(&new)
            && metadata::finalizers(&new).next().is_none();
        let change = if is_over { Change::Deleted } else { Change::Updated };
        let commit = self.commit(call, call.target.key(), change, new.clone());
        let shown = if is_over { Object::new(new) } else { commit.after.clone() };
        Ok(Reply::object(200, shown))
    }
}

pub(super) fn is_namespace(resource: &Resource) -> bool {
    resource.group.is_empty() && resource.plural == "namespaces"
}

/// Whether a namespace still waits for those named in its spec.
pub(super) fn has_finalizers(namespace: &Value) -> bool {
    namespace["spec"]["finalizers"].as_array().is_some_and(|finalizers| !finalizers.is_empty())
}
