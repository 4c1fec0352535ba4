//! What may be created in which namespace, and how a namespace ends.

use super::{Call, Server};
use crate::{
    failure::Failure,
    store::{Collection, Key},
};

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
}
