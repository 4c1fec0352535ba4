//! What admission asks of other objects when a pod is created: its service account, and its class of priority.
//!
//! The account `default` need not be there: no controller makes it here.

use serde_json::Value;

use super::{Call, Server};
use crate::{
    failure::Failure,
    store::{Collection, Key},
};

impl Server {
    /// Refuses a pod of an account or a class that is not there; gives it the priority of its class.
    pub(super) fn admit_pod(&self, call: Call<'_>, pod: &mut Value, name: &str) -> Result<(), Failure> {
        let resource = &call.target.served.resource;
        if resource.kind != "Pod" || !resource.group.is_empty() {
            return Ok(());
        }
        let namespace = &call.target.namespace;
        let account = pod["spec"]["serviceAccountName"].as_str().unwrap_or_default();
        if !matches!(account, "" | "default") {
            let accounts = Collection::new("", "serviceaccounts");
            if self.store.get(&accounts, &Key::new(namespace, account)).is_none() {
                let why = format!(
                    "error looking up service account {namespace}/{account}: serviceaccount {account:?} not found"
                );
                return Err(Failure::forbidden(resource, name, &why));
            }
        }
        let class = pod["spec"]["priorityClassName"].as_str().unwrap_or_default();
        if class.is_empty() || class.starts_with("system-") {
            return Ok(());
        }
        let classes = Collection::new("scheduling.k8s.io", "priorityclasses");
        let Some(class) = self.store.get(&classes, &Key::new("", class)) else {
            return Err(Failure::forbidden(resource, name, &format!("no PriorityClass with name {class} was found")));
        };
        pod["spec"]["priority"] = class["value"].clone();
        pod["spec"]["preemptionPolicy"] = class["preemptionPolicy"].clone();
        Ok(())
    }
}
