//! What a client asks to find out what is served.

use std::collections::BTreeMap;

use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Reply, Server, access, kinds::Served};
use crate::{failure::Failure, request::Request, resource::Resource};

const VERBS: [&str; 8] = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
const CUSTOM_VERBS: [&str; 8] = ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"];

impl Server {
    /// Answers what is about no stored object.
    pub(super) fn answer_other(&mut self, now: Timestamp, request: &Request) -> Result<Reply, Failure> {
        self.authorize_path(request)?;
        let parts: Vec<&str> = request.path.split('/').filter(|part| !part.is_empty()).collect();
        if request.method == Method::POST {
            return match parts.as_slice() {
                ["apis", "authorization.k8s.io", "v1", "selfsubjectaccessreviews"] => {
                    self.review_access(now, request, true)
                }
                ["apis", "authorization.k8s.io", "v1", "subjectaccessreviews"] => {
                    self.review_access(now, request, false)
                }
                ["apis", "authentication.k8s.io", "v1", "selfsubjectreviews"] => Ok(access::review_self(request)),
                ["apis" | "api" | "version", ..] => Err(Failure::method_not_allowed()),
                _ => Ok(not_found()),
            };
        }
        if request.method != Method::GET {
            return Err(Failure::method_not_allowed());
        }
        Ok(match parts.as_slice() {
            ["version"] => Reply::value(200, version()),
            ["readyz" | "livez" | "healthz"] => Reply::text(200, "ok"),
            ["api"] => Reply::value(200, json!({ "kind": "APIVersions", "versions": ["v1"] })),
            ["apis"] => Reply::value(200, self.groups()),
            ["apis", group] => match self.group(group) {
                Some(group) => Reply::value(200, group),
                None => not_found(),
            },
            ["api", version] => self.resources("", version),
            ["apis", group, version] => self.resources(group, version),
            _ => not_found(),
        })
    }

    fn groups(&self) -> Value {
        let groups: Vec<Value> = self
            .versions()
            .into_iter()
            .filter(|(group, _)| !group.is_empty())
            .map(|(group, versions)| group_value(&group, &versions))
            .collect();
        json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups })
    }

    fn group(&self, name: &str) -> Option<Value> {
        let versions = self.versions().remove(name).filter(|_| !name.is_empty())?;
        let mut group = group_value(name, &versions);
        group["kind"] = "APIGroup".into();
        group["apiVersion"] = "v1".into();
        Some(group)
    }

    fn resources(&self, group: &str, version: &str) -> Reply {
        let served: Vec<&Served> = self
            .kinds
            .all()
            .map(AsRef::as_ref)
            .filter(|served| served.resource.group == group && served.resource.version == version)
            .collect();
        let Some(first) = served.first() else {
            return if self.kinds.is_built_in_group(group) { Failure::no_such_path().into() } else { not_found() };
        };
        let resources: Vec<Value> = served.iter().flat_map(|served| resource_values(served)).collect();
        let list = json!({ "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": first.api_version,
            "resources": resources });
        Reply::value(200, list)
    }

    /// The versions of each group, the best first.
    fn versions(&self) -> BTreeMap<String, Vec<String>> {
        let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for served in self.kinds.all() {
            let versions = groups.entry(served.resource.group.clone()).or_default();
            if !versions.contains(&served.resource.version) {
                versions.push(served.resource.version.clone());
            }
        }
        for versions in groups.values_mut() {
            versions.sort_by_key(|version| std::cmp::Reverse(rank(version)));
        }
        groups
    }
}

/// What the server says to a path that it does not know at all.
pub(super) fn not_found() -> Reply {
    Reply::text(404, "404 page not found\n")
}

/// GA before beta before alpha before other names, and higher numbers first.
fn rank(version: &str) -> (u8, u64, u64) {
    let numbers = |text: &str| text.parse::<u64>().unwrap_or(0);
    let Some(body) = version.strip_prefix('v').filter(|body| body.starts_with(|first: char| first.is_ascii_digit()))
    else {
        return (0, 0, 0);
    };
    for (stability, word) in [(2, "beta"), (1, "alpha")] {
        if let Some((major, minor)) = body.split_once(word) {
            return (stability, numbers(major), numbers(minor));
        }
    }
    (3, numbers(body), 0)
}

fn group_value(group: &str, versions: &[String]) -> Value {
    let versions: Vec<Value> = versions
        .iter()
        .map(|version| json!({ "groupVersion": format!("{group}/{version}"), "version": version }))
        .collect();
    json!({ "name": group, "versions": versions, "preferredVersion": versions[0] })
}

fn resource_values(served: &Served) -> Vec<Value> {
    let resource = &served.resource;
    let mut main = json!({ "name": resource.plural, "singularName": resource.singular,
        "namespaced": resource.is_namespaced, "kind": resource.kind,
        "storageVersionHash": storage_version_hash(resource),
        "verbs": if resource.is_custom { CUSTOM_VERBS } else { VERBS } });
    for (field, values) in [("shortNames", &resource.short_names), ("categories", &resource.categories)] {
        if !values.is_empty() {
            main[field] = json!(values);
        }
    }
    let part = |name: &str, kind: &str, verbs: &[&str]| {
        json!({ "name": format!("{}/{name}", resource.plural), "singularName": "",
            "namespaced": resource.is_namespaced, "kind": kind, "verbs": verbs })
    };
    let of_group = |mut value: Value, group: &str, version: &str| {
        value["group"] = group.into();
        value["version"] = version.into();
        value
    };
    let mut values = vec![main];
    if resource.has_status && resource.is_custom {
        values.push(part("status", &resource.kind, &["get", "patch", "update"]));
    }
    if resource.scale.is_some() {
        values.push(of_group(part("scale", "Scale", &["get", "patch", "update"]), "autoscaling", "v1"));
    }
    if resource.has_status && !resource.is_custom {
        values.push(part("status", &resource.kind, &["get", "patch", "update"]));
    }
    if resource.group.is_empty() && resource.plural == "pods" {
        values.push(part("binding", "Binding", &["create"]));
        values.push(of_group(part("eviction", "Eviction", &["create"]), "policy", "v1"));
    }
    values
}

/// What tells a client that a kind is stored otherwise: eight bytes of the digest of its names.
fn storage_version_hash(resource: &Resource) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digest = Sha256::digest(format!("{}/{}/{}", resource.group, resource.version, resource.kind));
    let number = digest.iter().take(8).fold(0_u128, |number, byte| (number << 8) | u128::from(*byte)) << 2;
    let letters = (0..11).rev().map(|place| char::from(LETTERS[(number >> (6 * place)) as usize & 63]));
    letters.chain(['=']).collect()
}

fn version() -> Value {
    json!({ "major": "1", "minor": "37", "gitVersion": "v1.37.0", "gitCommit": "", "gitTreeState": "clean",
        "buildDate": "2026-01-01T00:00:00Z", "goVersion": "", "compiler": "", "platform": "linux/amd64" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stable_versions_come_first_and_newer_ones_before() {
        let mut versions = ["v1alpha1", "v1beta2", "v1", "v2", "v1beta1", "odd"];
        versions.sort_by_key(|version| std::cmp::Reverse(rank(version)));
        assert_eq!(versions, ["v2", "v1", "v1beta2", "v1beta1", "v1alpha1", "odd"]);
    }

    #[test]
    fn the_hash_of_a_kind_is_that_of_the_real_server() {
        let of = |kind: &str| crate::kinds::builtin().iter().find(|known| known.kind == kind).unwrap();
        assert_eq!(storage_version_hash(of("Deployment")), "8aSe+NMegvE=");
        assert_eq!(storage_version_hash(of("StatefulSet")), "H+vl74LkKdo=");
    }
}
