//! Who may do what: RBAC from the Role and binding objects in the store.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{Call, Reply, Server, decode};
use crate::{
    failure::Failure,
    request::{Request, User},
    store::{Collection, Key, Store},
};

const GROUP: &str = "rbac.authorization.k8s.io";

/// What RBAC decides on.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "as in ResourceAttributes of authorization.k8s.io")]
pub struct Access {
    pub verb: String,
    pub group: String,
    /// With its subresource, as in `pods/status`.
    pub resource: String,
    /// Empty: all, or none.
    pub namespace: String,
    /// Empty: all.
    pub name: String,
}

/// Whether rights are enforced, what they are, and what of them was used.
#[derive(Debug, Default)]
pub(super) struct Permissions {
    pub(super) is_enforced: bool,
    /// By user: verb, group and resource of what was granted.
    pub(super) used: BTreeMap<String, BTreeSet<(String, String, String)>>,
    grants: Grants,
}

/// The bindings at one state of the store.
#[derive(Debug, Default)]
struct Grants {
    revision: u64,
    bindings: Vec<Binding>,
}

#[derive(Debug)]
struct Binding {
    /// Empty: everywhere.
    namespace: String,
    subjects: Vec<Subject>,
    rules: Vec<Rule>,
}

#[derive(Debug, PartialEq)]
enum Subject {
    User(String),
    Group(String),
}

#[derive(Debug)]
struct Rule {
    verbs: Vec<String>,
    groups: Vec<String>,
    resources: Vec<String>,
    names: Vec<String>,
}

impl Server {
    /// From now on requests need the rights that Roles and bindings grant. The group `system:masters` may do anything.
    pub fn enforce_permissions(&mut self, is_enforced: bool) {
        self.permissions.is_enforced = is_enforced;
    }

    /// What each user was granted and did: verb, group and resource.
    pub fn used_permissions(&self) -> &BTreeMap<String, BTreeSet<(String, String, String)>> {
        &self.permissions.used
    }

    pub(super) fn authorize(&mut self, call: Call<'_>) -> Result<(), Failure> {
        let target = call.target;
        let resource = &target.served.resource;
        if !self.permissions.is_enforced {
            return Ok(());
        }
        let plural = match target.subresource.as_str() {
            "" => resource.plural.clone(),
            subresource => format!("{}/{subresource}", resource.plural),
        };
        let access = Access {
            verb: target.verb.as_str().to_owned(),
            group: resource.group.clone(),
            resource: plural,
            namespace: target.namespace.clone(),
            name: name(call),
        };
        if self.permissions.allows(&self.store, &call.request.user, &access) {
            let used = (access.verb, access.group, access.resource);
            self.permissions.used.entry(call.request.user.name.clone()).or_default().insert(used);
            return Ok(());
        }
        let place = match access.namespace.as_str() {
            "" => "at the cluster scope".to_owned(),
            namespace => format!("in the namespace {namespace:?}"),
        };
        let why = format!(
            "User {:?} cannot {} resource {:?} in API group {:?} {place}",
            call.request.user.name, access.verb, access.resource, access.group
        );
        Err(Failure::forbidden(resource, &target.name, &why))
    }

    /// `SelfSubjectAccessReview` and `SubjectAccessReview`.
    pub(super) fn review_access(&mut self, request: &Request, is_self: bool) -> Result<Reply, Failure> {
        let mut review = decode::parse(request)?;
        let spec = &review["spec"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let asked = &spec["resourceAttributes"];
        let user = match is_self {
            true => request.user.clone(),
            false => User {
                name: text(&spec["user"]),
                groups: spec["groups"].as_array().into_iter().flatten().map(text).collect(),
                extra: Vec::new(),
            },
        };
        let resource = match text(&asked["subresource"]).as_str() {
            "" => text(&asked["resource"]),
            subresource => format!("{}/{subresource}", text(&asked["resource"])),
        };
        let access = Access {
            verb: text(&asked["verb"]),
            group: text(&asked["group"]),
            resource,
            namespace: text(&asked["namespace"]),
            name: text(&asked["name"]),
        };
        let is_allowed = !self.permissions.is_enforced
            || !spec["nonResourceAttributes"].is_null()
            || self.permissions.allows(&self.store, &user, &access);
        review["status"] = json!({ "allowed": is_allowed });
        Ok(Reply::value(201, review))
    }
}

/// The name that a request is about. Whoever lists or watches by `metadata.name` asks for that one alone.
fn name(call: Call<'_>) -> String {
    let selected = call.request.query("fieldSelector").and_then(|fields| fields.strip_prefix("metadata.name="));
    match (call.target.name.as_str(), selected) {
        ("", Some(name)) if !name.contains(',') => name.trim_start_matches('=').to_owned(),
        (name, _) => name.to_owned(),
    }
}

impl Permissions {
    fn allows(&mut self, store: &Store, user: &User, access: &Access) -> bool {
        if user.groups.iter().any(|group| group == "system:masters") {
            return true;
        }
        self.grants.refresh(store);
        self.grants.bindings.iter().any(|binding| {
            (binding.namespace.is_empty() || binding.namespace == access.namespace)
                && binding.subjects.iter().any(|subject| subject.is(user))
                && binding.rules.iter().any(|rule| rule.allows(access))
        })
    }
}

impl Grants {
    fn refresh(&mut self, store: &Store) {
        let kinds = ["clusterroles", "clusterrolebindings", "roles", "rolebindings"];
        let last = kinds.map(|kind| store.last_commit(&Collection::new(GROUP, kind))).into_iter().max().unwrap_or(0);
        if last == self.revision {
            return;
        }
        self.revision = last;
        let of = |kind: &str| Collection::new(GROUP, kind);
        let (everywhere, somewhere) = (of("clusterrolebindings"), of("rolebindings"));
        let bindings = store.list(&everywhere, None).chain(store.list(&somewhere, None));
        self.bindings = bindings.map(|(key, binding)| Binding::read(store, key, binding)).collect();
    }
}

impl Binding {
    fn read(store: &Store, key: &Key, binding: &Value) -> Self {
        let subjects = binding["subjects"].as_array().into_iter().flatten();
        let name = binding["roleRef"]["name"].as_str().unwrap_or_default();
        let role = match binding["roleRef"]["kind"].as_str() {
            Some("Role") => store.get(&Collection::new(GROUP, "roles"), &Key::new(key.namespace(), name)),
            _ => store.get(&Collection::new(GROUP, "clusterroles"), &Key::new("", name)),
        };
        let rules = role.into_iter().flat_map(|role| role["rules"].as_array().into_iter().flatten());
        Self {
            namespace: key.namespace().to_owned(),
            subjects: subjects.map(|subject| Subject::read(subject, key.namespace())).collect(),
            rules: rules.map(Rule::read).collect(),
        }
    }
}

impl Subject {
    fn read(subject: &Value, namespace: &str) -> Self {
        let name = subject["name"].as_str().unwrap_or_default();
        match subject["kind"].as_str() {
            Some("Group") => Self::Group(name.to_owned()),
            Some("ServiceAccount") => {
                let namespace = subject["namespace"].as_str().unwrap_or(namespace);
                Self::User(format!("system:serviceaccount:{namespace}:{name}"))
            }
            _ => Self::User(name.to_owned()),
        }
    }

    fn is(&self, user: &User) -> bool {
        match self {
            Self::User(name) => *name == user.name,
            Self::Group(name) => user.groups.contains(name),
        }
    }
}

impl Rule {
    fn read(rule: &Value) -> Self {
        let texts = |field: &str| {
            let values = rule[field].as_array().into_iter().flatten();
            values.filter_map(|value| value.as_str().map(str::to_owned)).collect()
        };
        Self {
            verbs: texts("verbs"),
            groups: texts("apiGroups"),
            resources: texts("resources"),
            names: texts("resourceNames"),
        }
    }

    fn allows(&self, access: &Access) -> bool {
        let has = |list: &[String], wanted: &str| list.iter().any(|value| value == "*" || value == wanted);
        let of_any = access.resource.split_once('/').map(|(_, subresource)| format!("*/{subresource}"));
        has(&self.verbs, &access.verb)
            && has(&self.groups, &access.group)
            && (has(&self.resources, &access.resource) || of_any.is_some_and(|any| self.resources.contains(&any)))
            && (self.names.is_empty() || self.names.contains(&access.name))
    }
}

/// A user's own name, as `SelfSubjectReview` tells it.
pub(super) fn review_self(request: &Request) -> Reply {
    let user = &request.user;
    let info = json!({ "username": user.name, "groups": user.groups });
    let review = json!({ "kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1", "metadata": {},
        "status": { "userInfo": info } });
    Reply::value(201, review)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_names_verbs_groups_resources_and_objects() {
        let rule =
            Rule::read(&json!({ "verbs": ["get"], "apiGroups": ["apps"], "resources": ["deployments", "*/scale"],
            "resourceNames": ["a"] }));
        let access = |verb: &str, resource: &str, name: &str| Access {
            verb: verb.to_owned(),
            group: "apps".to_owned(),
            resource: resource.to_owned(),
            namespace: String::new(),
            name: name.to_owned(),
        };
        assert!(rule.allows(&access("get", "deployments", "a")));
        assert!(rule.allows(&access("get", "deployments/scale", "a")));
        assert!(!rule.allows(&access("get", "deployments/status", "a")));
        assert!(!rule.allows(&access("get", "deployments", "b")));
        assert!(!rule.allows(&access("list", "deployments", "a")));
    }

    #[test]
    fn who_may_watch_one_object_watches_it_by_its_name() {
        let mut server = Server::new(1);
        server.enforce_permissions(true);
        let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "r"},
            "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["watch"], "resourceNames": ["a"]}]});
        let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": {"name": "r"}, "subjects": [{"kind": "User", "apiGroup": GROUP, "name": "u"}],
            "roleRef": {"apiGroup": GROUP, "kind": "Role", "name": "r"}});
        let now = jiff::Timestamp::UNIX_EPOCH;
        for (plural, object) in [("roles", role), ("rolebindings", binding)] {
            let path = format!("/apis/{GROUP}/v1/namespaces/default/{plural}");
            server.handle(now, &Request::new(http::Method::POST, path).with_body(&object));
        }
        let mut allows = |fields: &str| {
            let request = Request::new(http::Method::GET, "/api/v1/namespaces/default/configmaps")
                .with_query("watch", "true")
                .with_query("fieldSelector", fields);
            let request = Request { user: User { name: "u".to_owned(), ..User::default() }, ..request };
            matches!(server.handle(now, &request), crate::request::Answer::Watch(_))
        };
        assert!(allows("metadata.name=a"));
        assert!(!allows("metadata.name=b"));
        assert!(!allows(""));
    }
}
