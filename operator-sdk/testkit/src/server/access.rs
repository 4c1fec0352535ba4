//! Who may do what: RBAC from the Role and binding objects in the store.

mod escalation;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, LazyLock},
};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Call, Reply, Server, decode, list, namespace::is_namespace, route::Verb};
use crate::{
    apply::{self, Writer},
    cause::{Cause, CauseKind},
    failure::{Failure, qualified},
    request::{Request, User},
    resource::Resource,
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
    /// As in `RoleBinding "a/default"`.
    title: String,
    /// As in `Role "a"`.
    role: String,
    /// What is said of a role that is not there.
    missing: Option<String>,
}

/// What allows an access.
struct Grant<'a> {
    binding: &'a Binding,
    subject: &'a Subject,
}

#[derive(Debug, PartialEq)]
enum Subject {
    User(String),
    Group(String),
    ServiceAccount { namespace: String, name: String },
}

#[derive(Debug)]
struct Rule {
    verbs: Vec<String>,
    groups: Vec<String>,
    resources: Vec<String>,
    names: Vec<String>,
    urls: Vec<String>,
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
        if !self.permissions.is_enforced {
            return Ok(());
        }
        let target = call.target;
        let resource = &target.served.resource;
        let named = match target.verb {
            // Who asks for one by a selector asks for that one.
            Verb::List | Verb::Watch => list::selector(call)?.name().unwrap_or_default().to_owned(),
            _ => target.name.clone(),
        };
        let namespace = if is_namespace(resource) { &target.name } else { &target.namespace };
        self.check(
            &call.request.user,
            Access {
                verb: target.verb.as_str().to_owned(),
                group: resource.group.clone(),
                resource: with_subresource(&resource.plural, &target.subresource),
                namespace: namespace.clone(),
                name: named,
            },
        )
    }

    /// Whether who updates or applies may also create.
    pub(super) fn authorize_creation(&mut self, call: Call<'_>) -> Result<(), Failure> {
        if !self.permissions.is_enforced {
            return Ok(());
        }
        let resource = &call.target.served.resource;
        self.check(
            &call.request.user,
            Access {
                verb: Verb::Create.as_str().to_owned(),
                group: resource.group.clone(),
                resource: resource.plural.clone(),
                namespace: call.target.namespace.clone(),
                name: call.target.name.clone(),
            },
        )
    }

    /// A path that is of no object: what discovery reads is everybody's, the rest the administrators'.
    pub(super) fn authorize_path(&self, request: &Request) -> Result<(), Failure> {
        let first = request.path.split('/').find(|part| !part.is_empty()).unwrap_or_default();
        let is_open = matches!(first, "api" | "apis" | "version" | "readyz" | "livez" | "healthz" | "openapi");
        if is_open || !self.permissions.is_enforced || is_master(&request.user) {
            return Ok(());
        }
        let verb = request.method.as_str().to_lowercase();
        let why = format!("forbidden: User {:?} cannot {verb} path {:?}", request.user.name, request.path);
        Err(Failure::new(403, "Forbidden", why).with_empty_details())
    }

    /// What was granted is noted.
    pub(super) fn check(&mut self, user: &User, access: Access) -> Result<(), Failure> {
        if !self.permissions.is_enforced {
            return Ok(());
        }
        match self.permissions.judge(&self.store, user, &access).map(drop) {
            Ok(()) => {
                let used = (access.verb, access.group, access.resource);
                self.permissions.used.entry(user.name.clone()).or_default().insert(used);
                Ok(())
            }
            Err(missing) => Err(denied(user, &access, &missing)),
        }
    }

    /// `SelfSubjectAccessReview` and `SubjectAccessReview`.
    pub(super) fn review_access(&mut self, now: Timestamp, request: &Request, is_self: bool) -> Result<Reply, Failure> {
        let mut review = decode::parse(request)?;
        let spec = &review["spec"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let asked = &spec["resourceAttributes"];
        if asked.is_null() == spec["nonResourceAttributes"].is_null() {
            let detail = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
            let cause = Cause::new(CauseKind::Invalid, "spec", Value::Null, detail);
            return Err(Failure::invalid_kind("authorization.k8s.io", "", "", &[cause]));
        }
        let user = match is_self {
            true => request.user.clone(),
            false => User {
                name: text(&spec["user"]),
                groups: spec["groups"].as_array().into_iter().flatten().map(text).collect(),
                extra: Vec::new(),
            },
        };
        let access = Access {
            verb: text(&asked["verb"]),
            group: text(&asked["group"]),
            resource: with_subresource(&text(&asked["resource"]), &text(&asked["subresource"])),
            namespace: text(&asked["namespace"]),
            name: text(&asked["name"]),
        };
        let is_free = !self.permissions.is_enforced || asked.is_null();
        let judged = if is_free { Ok(None) } else { self.permissions.judge(&self.store, &user, &access) };
        let mut status = json!({ "allowed": judged.is_ok() });
        if let Ok(Some(grant)) = judged {
            status["reason"] = grant.to_string().into();
        }
        if let Some(served) = self.kinds.stored(&Collection::new("", "configmaps"), "v1") {
            // The real server notes even here who wrote what.
            let mut resource = Resource::clone(&served.resource);
            resource.group = "authorization.k8s.io".to_owned();
            resource.schema = Arc::default();
            let manager = apply::manager_name(&request.user_agent);
            review = apply::update(None, review, &resource, Writer { manager: &manager, subresource: "" }, now);
        }
        if let Some(spec) =
            review.pointer_mut("/metadata/managedFields/0/fieldsV1/f:spec").and_then(Value::as_object_mut)
        {
            spec.remove(".");
        }
        review["status"] = status;
        Ok(Reply::value(201, review))
    }
}

impl Permissions {
    /// What allows it (`None`: who asks may do anything); or which roles were looked for in vain.
    fn judge(&mut self, store: &Store, user: &User, access: &Access) -> Result<Option<Grant<'_>>, Vec<String>> {
        if is_master(user) {
            return Ok(None);
        }
        self.grants.refresh(store);
        let mut missing = Vec::new();
        for binding in &self.grants.bindings {
            let is_there = binding.namespace.is_empty() || binding.namespace == access.namespace;
            let Some(subject) = binding.subjects.iter().find(|subject| subject.is(user)).filter(|_| is_there) else {
                continue;
            };
            if binding.rules.iter().any(|rule| rule.allows(access)) {
                return Ok(Some(Grant { binding, subject }));
            }
            missing.extend(binding.missing.clone());
        }
        Err(missing)
    }
}

impl fmt::Display for Grant<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Binding { title, role, .. } = self.binding;
        write!(formatter, "RBAC: allowed by {title} of {role} to {}", self.subject.title())
    }
}

impl Grants {
    fn refresh(&mut self, store: &Store) {
        static KINDS: LazyLock<[Collection; 4]> = LazyLock::new(|| {
            ["clusterroles", "clusterrolebindings", "roles", "rolebindings"].map(|kind| Collection::new(GROUP, kind))
        });
        let last = KINDS.iter().map(|kind| store.last_commit(kind)).max().unwrap_or(0);
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
        let kind = binding["roleRef"]["kind"].as_str().unwrap_or_default();
        let title = match key.namespace() {
            "" => format!("ClusterRoleBinding {:?}", key.name()),
            namespace => format!("RoleBinding {:?}", format!("{}/{namespace}", key.name())),
        };
        let lost = format!("{}.rbac.authorization.k8s.io {name:?} not found", kind.to_lowercase());
        Self {
            namespace: key.namespace().to_owned(),
            subjects: subjects.map(|subject| Subject::read(subject, key.namespace())).collect(),
            rules: rules.map(Rule::read).collect(),
            title,
            role: format!("{kind} {name:?}"),
            missing: role.is_none().then_some(lost),
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
                Self::ServiceAccount { namespace: namespace.to_owned(), name: name.to_owned() }
            }
            _ => Self::User(name.to_owned()),
        }
    }

    fn is(&self, user: &User) -> bool {
        match self {
            Self::User(name) => *name == user.name,
            Self::Group(name) => user.groups.contains(name),
            Self::ServiceAccount { namespace, name } => {
                let rest =
                    user.name.strip_prefix("system:serviceaccount:").and_then(|rest| rest.strip_prefix(namespace));
                rest.and_then(|rest| rest.strip_prefix(':')) == Some(name)
            }
        }
    }

    fn title(&self) -> String {
        match self {
            Self::User(name) => format!("User {name:?}"),
            Self::Group(name) => format!("Group {name:?}"),
            Self::ServiceAccount { namespace, name } => format!("ServiceAccount {:?}", format!("{name}/{namespace}")),
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
            urls: texts("nonResourceURLs"),
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

fn is_master(user: &User) -> bool {
    user.groups.iter().any(|group| group == "system:masters")
}

fn with_subresource(plural: &str, subresource: &str) -> String {
    if subresource.is_empty() { plural.to_owned() } else { format!("{plural}/{subresource}") }
}

fn denied(user: &User, access: &Access, missing: &[String]) -> Failure {
    let place = match access.namespace.as_str() {
        "" => "at the cluster scope".to_owned(),
        namespace => format!("in the namespace {namespace:?}"),
    };
    let lost = if missing.is_empty() { String::new() } else { format!(": rbac: RBAC: {}", missing.join(", ")) };
    let why = format!(
        "User {:?} cannot {} resource {:?} in API group {:?} {place}{lost}",
        user.name, access.verb, access.resource, access.group
    );
    let plural = access.resource.split('/').next().unwrap_or_default();
    let qualified = qualified(plural, &access.group);
    let object = if access.name.is_empty() { String::new() } else { format!(" {:?}", access.name) };
    let mut failure = Failure::new(403, "Forbidden", format!("{qualified}{object} is forbidden: {why}"));
    failure.details.group.clone_from(&access.group);
    plural.clone_into(&mut failure.details.kind);
    failure.details.name.clone_from(&access.name);
    failure
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
}
