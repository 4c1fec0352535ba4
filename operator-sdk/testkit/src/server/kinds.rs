//! The kinds that are served, in each of their versions.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::Value;

use crate::{
    object::Object,
    resource::{Part, Resource, Rules},
    schema::Schema,
    store::Collection,
};

/// A kind in one version, and where its objects are stored.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) resource: Resource,
    pub(crate) collection: Collection,
    /// As in `apps/v1`.
    pub(crate) api_version: String,
}

/// All kinds.
#[derive(Debug, Default)]
pub(crate) struct Kinds {
    served: BTreeMap<(String, String, String), Arc<Served>>,
}

impl Served {
    /// An object as this version shows it.
    pub(crate) fn present(&self, object: &Arc<Object>) -> Arc<Object> {
        if object["apiVersion"] == self.api_version.as_str() {
            return object.clone();
        }
        let mut value = object.value().clone();
        value["apiVersion"] = self.api_version.as_str().into();
        self.resource.rules.default(&mut value);
        Object::new(value)
    }
}

impl Kinds {
    pub(crate) fn built_in() -> Self {
        let mut kinds = Self::default();
        for (group, version, kind, plural, is_namespaced, has_status) in [
            ("", "v1", "Namespace", "namespaces", false, true),
            ("", "v1", "ConfigMap", "configmaps", true, false),
            ("", "v1", "Secret", "secrets", true, false),
            ("", "v1", "Pod", "pods", true, true),
            ("", "v1", "Service", "services", true, true),
            ("", "v1", "Node", "nodes", false, true),
            ("", "v1", "Event", "events", true, false),
            ("", "v1", "ServiceAccount", "serviceaccounts", true, false),
            ("events.k8s.io", "v1", "Event", "events", true, false),
            ("coordination.k8s.io", "v1", "Lease", "leases", true, false),
            ("apps", "v1", "Deployment", "deployments", true, true),
            ("apps", "v1", "ReplicaSet", "replicasets", true, true),
            ("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", false, true),
        ] {
            kinds.serve(Resource {
                group: group.to_owned(),
                version: version.to_owned(),
                kind: kind.to_owned(),
                list_kind: format!("{kind}List"),
                plural: plural.to_owned(),
                singular: kind.to_lowercase(),
                short_names: Vec::new(),
                categories: Vec::new(),
                is_namespaced,
                is_custom: false,
                has_status,
                scale: None,
                schema: Arc::new(Schema::default()),
                selectable_fields: Vec::new(),
                rules: Arc::new(NoRules),
            });
        }
        kinds
    }

    pub(crate) fn serve(&mut self, resource: Resource) {
        let api_version = match resource.group.as_str() {
            "" => resource.version.clone(),
            group => format!("{group}/{}", resource.version),
        };
        let collection = Collection::new(&resource.group, &resource.plural);
        let place = (resource.group.clone(), resource.version.clone(), resource.plural.clone());
        self.served.insert(place, Arc::new(Served { resource, collection, api_version }));
    }

    pub(crate) fn get(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Served>> {
        self.served.get(&(group.to_owned(), version.to_owned(), plural.to_owned()))
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Served>> {
        self.served.values()
    }
}

/// A kind without rules.
#[derive(Debug)]
struct NoRules;

impl Rules for NoRules {
    fn default(&self, _: &mut Value) {}

    fn validate(&self, _: &Value, _: Option<&Value>, _: Part) -> Vec<crate::cause::Cause> {
        Vec::new()
    }
}
