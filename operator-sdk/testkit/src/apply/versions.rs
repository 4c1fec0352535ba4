//! What differs between two states, as each version of a kind sees it: an owner knows his fields by his own.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    compare::{Comparison, compare},
    field_set::FieldSet,
    manager::Managers,
    typed::Type,
};
use crate::resource::Resource;

/// What differs in the version of the request, and in the others in which somebody owns something.
pub(super) struct Differences {
    pub(super) here: Comparison,
    elsewhere: BTreeMap<String, Comparison>,
}

impl Differences {
    pub(super) fn find(old: &Value, new: &Value, resource: &Resource, managers: &Managers, ignored: &FieldSet) -> Self {
        let found = |schema| compare(old, new, Type::of(schema), ignored);
        let others = resource.other_schemas.iter();
        let owning = others.filter(|(version, _)| managers.0.values().any(|owned| owned.api_version == **version));
        Self {
            here: found(&resource.schema),
            elsewhere: owning.map(|(version, schema)| (version.clone(), found(schema))).collect(),
        }
    }

    /// As an owner in this version sees it.
    pub(super) fn seen_in(&self, api_version: &str) -> &Comparison {
        self.elsewhere.get(api_version).unwrap_or(&self.here)
    }

    /// Takes what differs from all who own it.
    pub(super) fn take_from(&self, managers: &mut Managers) {
        let here = self.here.touched();
        for owned in managers.0.values_mut() {
            let elsewhere = self.elsewhere.get(&owned.api_version).map(Comparison::touched);
            let touched = elsewhere.as_deref().unwrap_or(&here);
            if owned.fields.meets(touched) {
                owned.fields = owned.fields.difference(touched).into();
            }
        }
        managers.0.retain(|_, owned| !owned.fields.is_empty());
    }
}
