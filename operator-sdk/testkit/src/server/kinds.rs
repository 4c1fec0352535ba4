//! The kinds that are served, in each of their versions.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::Value;

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
#[derive(Clone, Debug, Default)]
pub(crate) struct Kinds {
    served: BTreeMap<(String, String, String), Arc<Served>>,
    /// The version that is stored of the kinds that have several.
    storage: BTreeMap<Collection, String>,
}

impl Served {
    /// An object as this version shows it: what it does not know is not shown, and nothing is added.
    pub(crate) fn present(&self, object: &Arc<Object>) -> Arc<Object> {
        if object["apiVersion"] == self.api_version.as_str() {
            return object.clone();
        }
        Object::new(self.convert(object.value().clone()))
    }

    fn convert(&self, mut object: Value) -> Value {
        if is_event(&self.collection) {
            rename_event(&mut object, self.resource.group.is_empty());
        }
        object["apiVersion"] = self.api_version.as_str().into();
        // What does not fit stays as it is: it is shown, not judged.
        let _ = self.resource.decode(&mut object);
        object
    }
}

impl Kinds {
    pub(crate) fn built_in() -> Self {
        let mut kinds = Self::default();
        for resource in crate::kinds::builtin() {
            kinds.serve(Resource::clone(resource));
        }
        kinds.store_as(&Collection::new("", "events"), "v1");
        kinds
    }

    pub(crate) fn serve(&mut self, resource: Resource) {
        let api_version = resource.api_version();
        let mut collection = Collection::new(&resource.group, &resource.plural);
        if &*collection.group == "events.k8s.io" {
            collection = Collection::new("", "events");
        }
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

    /// An object as it is stored, whatever the version that it was written in.
    pub(crate) fn store_form(&self, written: &Served, object: Value) -> Value {
        let has_others = written.resource.is_custom || is_event(&written.collection);
        let stored = match has_others.then(|| self.storage.get(&written.collection)).flatten() {
            Some(version) => self.get(&written.collection.group, version, &written.collection.plural),
            None => None,
        };
        match stored.filter(|stored| stored.api_version != written.api_version) {
            Some(stored) => {
                let mut object = stored.convert(object);
                stored.resource.rules.default(&mut object);
                object
            }
            None => object,
        }
    }

    /// Whether objects are stored in this version.
    pub(crate) fn is_stored(&self, served: &Served) -> bool {
        self.storage.get(&served.collection).is_none_or(|version| *version == served.resource.version)
    }

    /// Says which version of a custom kind is stored.
    pub(crate) fn store_as(&mut self, collection: &Collection, version: &str) {
        self.storage.insert(collection.clone(), version.to_owned());
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

/// Fields of an Event of the core group, and what `events.k8s.io` calls them.
const EVENT_FIELDS: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("reportingComponent", "reportingController"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
];

/// Both kinds of Event are one in the store.
fn is_event(collection: &Collection) -> bool {
    collection.group.is_empty() && &*collection.plural == "events"
}

fn rename_event(event: &mut Value, to_core: bool) {
    let Some(event) = event.as_object_mut() else { return };
    for (core, new) in EVENT_FIELDS {
        let (from, to) = if to_core { (new, core) } else { (core, new) };
        if let Some(value) = event.remove(from) {
            event.insert(to.to_owned(), value);
        }
    }
}
