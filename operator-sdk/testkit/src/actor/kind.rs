//! Kinds as requests name them, and finding out which there are.

use std::collections::BTreeMap;

use serde_json::Value;

use super::hand::{Failed, Hand};
use crate::object::Object;

/// A kind in one version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kind {
    /// Empty for the core group.
    pub group: String,
    /// As in `pods`.
    pub plural: String,
    /// As in `v1`.
    pub version: String,
    /// As in `Pod`; empty: never asked for.
    pub kind: String,
    /// Whether its objects lie in namespaces.
    pub is_namespaced: bool,
}

impl Kind {
    /// A kind of `v1`.
    pub fn core(plural: &str, is_namespaced: bool) -> Self {
        Self::new("", "v1", plural, is_namespaced)
    }

    /// A kind of a group.
    pub fn new(group: &str, version: &str, plural: &str, is_namespaced: bool) -> Self {
        let [group, version, plural] = [group, version, plural].map(str::to_owned);
        Self { group, plural, version, kind: String::new(), is_namespaced }
    }

    /// The path of its objects in a namespace; an empty one: in all.
    pub fn collection(&self, namespace: &str) -> String {
        let root = if self.group.is_empty() { "/api" } else { "/apis/" };
        let Self { group, version, plural, .. } = self;
        match namespace.is_empty() || !self.is_namespaced {
            true => format!("{root}{group}/{version}/{plural}"),
            false => format!("{root}{group}/{version}/namespaces/{namespace}/{plural}"),
        }
    }

    /// The path of one object.
    pub fn path(&self, namespace: &str, name: &str) -> String {
        format!("{}/{name}", self.collection(namespace))
    }

    /// The path of this object.
    pub fn path_of(&self, object: &Object) -> String {
        self.path(object.namespace(), object.name())
    }

    /// Every kind that can be listed, watched and deleted, in the version that the server prefers.
    ///
    /// # Errors
    /// If the server does not say.
    pub async fn discover(hand: &Hand) -> Result<Vec<Self>, Failed> {
        let mut kinds = BTreeMap::new();
        let mut versions = vec![(String::new(), "v1".to_owned())];
        let groups = hand.read("/apis").await?;
        for group in items(&groups["groups"]) {
            let of_group = items(&group["versions"]).map(|version| (text(&group["name"]), text(&version["version"])));
            versions.extend(of_group);
        }
        for (group, version) in versions {
            let root = if group.is_empty() { "/api".to_owned() } else { format!("/apis/{group}") };
            let list = match hand.read(&format!("{root}/{version}")).await {
                // It went while it was asked for.
                Err(Failed::Refused(reply)) if reply.code == 404 => continue,
                list => list?,
            };
            for resource in items(&list["resources"]).filter(|resource| is_collection(resource)) {
                let kind = Self {
                    group: group.clone(),
                    plural: text(&resource["name"]),
                    version: version.clone(),
                    kind: text(&resource["kind"]),
                    is_namespaced: resource["namespaced"] == true,
                };
                kinds.entry((kind.group.clone(), kind.plural.clone())).or_insert(kind);
            }
        }
        Ok(kinds.into_values().collect())
    }
}

/// Whether it is a kind of its own, no part of one.
fn is_collection(resource: &Value) -> bool {
    let is_part = resource["name"].as_str().is_none_or(|name| name.contains('/'));
    let can = |verb: &str| items(&resource["verbs"]).any(|given| given == verb);
    !is_part && ["delete", "list", "watch"].into_iter().all(can)
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
