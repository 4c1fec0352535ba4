//! What is left in a namespace, as its conditions tell it.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use serde_json::Value;

use crate::{
    actor::{
        condition::Condition,
        hand::{Failed, Hand},
        kind::Kind,
    },
    metadata,
    object::Object,
};

/// What is left, by kind and by finalizer.
#[derive(Debug, Default)]
pub(super) struct Left {
    kinds: BTreeMap<Kind, usize>,
    finalizers: BTreeMap<String, usize>,
}

impl Left {
    pub(super) fn add(&mut self, kind: &Kind, objects: &[Arc<Object>]) {
        if objects.is_empty() {
            return;
        }
        self.kinds.insert(kind.clone(), objects.len());
        for finalizer in objects.iter().flat_map(|object| metadata::finalizers(object)) {
            *self.finalizers.entry(finalizer.to_owned()).or_default() += 1;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    pub(super) fn kinds(&self) -> impl Iterator<Item = &Kind> {
        self.kinds.keys()
    }

    /// Whether as much is left as there was.
    pub(super) async fn is_still_so(&self, hand: &Hand, namespace: &str) -> Result<bool, Failed> {
        for (kind, count) in &self.kinds {
            if hand.list(kind, namespace, "").await?.items.len() < *count {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The conditions of the namespace, as patches.
    pub(super) fn conditions(&self, namespace: &Value, now: Timestamp) -> Vec<Value> {
        let kinds = self
            .kinds
            .iter()
            .map(|(kind, count)| format!("{}.{} has {count} resource instances", kind.plural, kind.group));
        let finalizers =
            self.finalizers.iter().map(|(finalizer, count)| format!("{finalizer} in {count} resource instances"));
        let remaining = format!("Some resources are remaining: {}", listed(kinds));
        let held = format!("Some content in the namespace has finalizers remaining: {}", listed(finalizers));
        let holds = |kind, reason, message| Condition { kind, is_true: true, reason, message };
        let discovery = "All resources successfully discovered";
        let parsing = "All legacy kube types successfully parsed";
        let deleted = "All content successfully deleted, may be waiting on finalization";
        let conditions = [
            Condition::fails("NamespaceDeletionDiscoveryFailure", "ResourcesDiscovered", discovery),
            Condition::fails("NamespaceDeletionGroupVersionParsingFailure", "ParsedGroupVersions", parsing),
            Condition::fails("NamespaceDeletionContentFailure", "ContentDeleted", deleted),
            match self.kinds.is_empty() {
                true => {
                    Condition::fails("NamespaceContentRemaining", "ContentRemoved", "All content successfully removed")
                }
                false => holds("NamespaceContentRemaining", "SomeResourcesRemain", &remaining),
            },
            match self.finalizers.is_empty() {
                true => Condition::fails(
                    "NamespaceFinalizersRemaining",
                    "ContentHasNoFinalizers",
                    "All content-preserving finalizers finished",
                ),
                false => holds("NamespaceFinalizersRemaining", "SomeFinalizersRemain", &held),
            },
        ];
        conditions.iter().map(|condition| condition.patch(namespace, now)).collect()
    }
}

fn listed(lines: impl Iterator<Item = String>) -> String {
    let mut lines: Vec<String> = lines.collect();
    lines.sort();
    lines.join(", ")
}
