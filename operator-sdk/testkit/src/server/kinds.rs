//! The kinds that are served, in each of their versions.

use std::{collections::BTreeMap, sync::Arc};

use crate::{object::Object, resource::Resource, store::Collection};

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
        for resource in crate::kinds::builtin() {
            kinds.serve(Resource::clone(resource));
        }
        kinds
    }

    pub(crate) fn serve(&mut self, resource: Resource) {
        let api_version = resource.api_version();
        let collection = Collection::new(&resource.group, &resource.plural);
        let place = (resource.group.clone(), resource.version.clone(), resource.plural.clone());
        self.served.insert(place, Arc::new(Served { resource, collection, api_version }));
    }

    pub(crate) fn get(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Served>> {
        self.served.get(&(group.to_owned(), version.to_owned(), plural.to_owned()))
    }

    /// A collection in the version that is stored, or in any.
    pub(crate) fn stored(&self, collection: &Collection, version: &str) -> Option<Arc<Served>> {
        let mut versions = self.served.values().filter(|served| served.collection == *collection);
        let stored = self.get(&collection.group, version, &collection.plural).cloned();
        stored.or_else(|| versions.next().cloned())
    }

    /// The kind of CustomResourceDefinitions themselves.
    pub(crate) fn definition(&self) -> Arc<Served> {
        let definitions = super::definition::definitions();
        match self.stored(&definitions, "v1") {
            Some(served) => served,
            None => unreachable!("the table of built-in kinds has it"),
        }
    }

    /// Serves no version of a custom kind any more.
    pub(crate) fn forget(&mut self, collection: &Collection) {
        self.served.retain(|_, served| !(served.resource.is_custom && served.collection == *collection));
    }

    pub(crate) fn is_custom(&self, collection: &Collection) -> bool {
        self.served.values().any(|served| served.resource.is_custom && served.collection == *collection)
    }

    pub(crate) fn is_built_in_group(&self, group: &str) -> bool {
        self.served.values().any(|served| !served.resource.is_custom && served.resource.group == group)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Served>> {
        self.served.values()
    }
}
