//! What an operator may do: declared beside the code that does it, printed as RBAC, enforced by the client.

use std::{collections::BTreeMap, fmt};

use k8s_openapi::api::rbac::v1::PolicyRule;

use crate::object::Object;

/// The verbs of the Kubernetes API that operators use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum Verb {
    Get,
    List,
    Watch,
    Create,
    Update,
    Patch,
    Delete,
}

impl Verb {
    /// The verb as RBAC spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// One verb on one resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Permission {
    /// API group; empty for the core group.
    pub group: String,
    /// Plural name, with `/subresource` where there is one.
    pub resource: String,
    /// What is done to it.
    pub verb: Verb,
}

impl Permission {
    /// A verb on the objects of a kind.
    pub fn of<K: Object>(verb: Verb) -> Self {
        Self { group: K::group(&()).into_owned(), resource: K::plural(&()).into_owned(), verb }
    }

    /// A verb on a subresource of a kind, such as `status`.
    pub fn on_subresource<K: Object>(verb: Verb, subresource: &str) -> Self {
        Self { group: K::group(&()).into_owned(), resource: format!("{}/{subresource}", K::plural(&())), verb }
    }

    /// The resource as `kubectl auth can-i` spells it: `pods`, `litedeployments.apps.operator-lite.dev/status`.
    pub fn qualified_resource(&self) -> String {
        if self.group.is_empty() {
            return self.resource.clone();
        }
        match self.resource.split_once('/') {
            Some((resource, subresource)) => format!("{resource}.{}/{subresource}", self.group),
            None => format!("{}.{}", self.resource, self.group),
        }
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.verb, self.qualified_resource())
    }
}

/// The shortest list of rules that grants exactly `permissions`: one rule a resource, sorted.
pub fn rules<'a>(permissions: impl IntoIterator<Item = &'a Permission>) -> Vec<PolicyRule> {
    let mut verbs: BTreeMap<(&str, &str), Vec<Verb>> = BTreeMap::new();
    for permission in permissions {
        let held = verbs.entry((&permission.group, &permission.resource)).or_default();
        if !held.contains(&permission.verb) {
            held.push(permission.verb);
        }
    }
    let rule = |((group, resource), mut verbs): ((&str, &str), Vec<Verb>)| {
        verbs.sort();
        PolicyRule {
            api_groups: Some(vec![group.to_owned()]),
            resources: Some(vec![resource.to_owned()]),
            verbs: verbs.into_iter().map(|verb| verb.as_str().to_owned()).collect(),
            ..PolicyRule::default()
        }
    };
    verbs.into_iter().map(rule).collect()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};

    use super::*;

    #[test]
    fn rules_grant_each_verb_once_and_nothing_else() {
        let permissions = [
            Permission::of::<Pod>(Verb::Delete),
            Permission::of::<Pod>(Verb::List),
            Permission::of::<Pod>(Verb::List),
            Permission::on_subresource::<Deployment>(Verb::Update, "status"),
        ];
        let rules = rules(&permissions);
        assert_eq!(rules.len(), 2);
        assert_eq!(rules[0].verbs, ["list", "delete"]);
        assert_eq!(rules[1].resources.as_deref(), Some(&["deployments/status".to_owned()][..]));
    }

    #[test]
    fn a_permission_reads_as_kubectl_spells_it() {
        let permission = Permission::on_subresource::<Deployment>(Verb::Update, "status");
        assert_eq!(permission.to_string(), "update deployments.apps/status");
    }
}
