//! Nobody gives rights that he has not: what a Role or a binding grants, its writer has to have, or the verb `escalate` or
//! `bind`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{Access, GROUP, Permissions, Rule, is_master};
use crate::{
    failure::Failure,
    request::User,
    server::{Call, Server},
    store::{Collection, Key, Store},
};

/// One verb on one thing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Right {
    thing: Thing,
    verb: String,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Thing {
    Resource { group: String, resource: String, name: Option<String> },
    Url(String),
}

impl Server {
    /// Whether the writer of a Role or of a binding may grant what it grants; anybody may write all other kinds.
    pub(in crate::server) fn authorize_grants(
        &mut self,
        call: Call<'_>,
        old: Option<&Value>,
        new: &Value,
    ) -> Result<(), Failure> {
        let resource = &call.target.served.resource;
        let user = &call.request.user;
        let is_free = resource.group != GROUP || !self.permissions.is_enforced || is_master(user);
        if is_free || old.is_some_and(|old| differs_only_for_the_collector(old, new)) {
            return Ok(());
        }
        let is_role = matches!(resource.plural.as_str(), "roles" | "clusterroles");
        let asked = if is_role { escalation(call) } else { binding(call, new) };
        if self.check(user, asked).is_ok() {
            return Ok(());
        }
        let name = new["metadata"]["name"].as_str().unwrap_or_default();
        let forbidden = |why: &str| Err(Failure::forbidden(resource, name, why));
        let rules = if is_role { rules_of(new) } else { referred_rules(&self.store, call, new)? };
        let namespace = &call.target.namespace;
        let missing = self.permissions.missing(&self.store, user, namespace, &rules);
        if !missing.is_empty() {
            return forbidden(&words(user, &missing));
        }
        let all = [
            json!({ "verbs": ["*"], "apiGroups": ["*"], "resources": ["*"] }),
            json!({ "verbs": ["*"], "nonResourceURLs": ["*"] }),
        ];
        let all: Vec<Rule> = all.iter().map(Rule::read).collect();
        if !new["aggregationRule"].is_null() && !self.permissions.missing(&self.store, user, namespace, &all).is_empty()
        {
            return forbidden("must have cluster-admin privileges to use the aggregationRule");
        }
        Ok(())
    }
}

impl Permissions {
    /// What of these rules a user has not got himself.
    fn missing(&mut self, store: &Store, user: &User, namespace: &str, rules: &[Rule]) -> BTreeSet<Right> {
        self.grants.refresh(store);
        let bindings = self.grants.bindings.iter();
        let own: Vec<&Rule> = bindings
            .filter(|binding| binding.namespace.is_empty() || binding.namespace == namespace)
            .filter(|binding| binding.subjects.iter().any(|subject| subject.is(user)))
            .flat_map(|binding| &binding.rules)
            .collect();
        rules.iter().flat_map(Rule::rights).filter(|right| !own.iter().any(|rule| rule.covers(right))).collect()
    }
}

impl Rule {
    fn rights(&self) -> Vec<Right> {
        let names: Vec<Option<String>> = match self.names.as_slice() {
            [] => vec![None],
            names => names.iter().cloned().map(Some).collect(),
        };
        let resources = self.groups.iter().flat_map(|group| {
            let names = &names;
            self.resources.iter().flat_map(move |resource| {
                names.iter().map(move |name| Thing::Resource {
                    group: group.clone(),
                    resource: resource.clone(),
                    name: name.clone(),
                })
            })
        });
        let things = resources.chain(self.urls.iter().cloned().map(Thing::Url));
        things
            .flat_map(|thing| self.verbs.iter().map(move |verb| Right { thing: thing.clone(), verb: verb.clone() }))
            .collect()
    }

    fn covers(&self, right: &Right) -> bool {
        match &right.thing {
            Thing::Resource { group, resource, name } => {
                let name = name.clone().unwrap_or_default();
                let (verb, group, resource) = (right.verb.clone(), group.clone(), resource.clone());
                self.allows(&Access { verb, group, resource, namespace: String::new(), name })
            }
            Thing::Url(url) => {
                let has = |list: &[String], wanted: &str| list.iter().any(|value| value == "*" || value == wanted);
                let is_covered =
                    |own: &String| own == url || own.strip_suffix('*').is_some_and(|start| url.starts_with(start));
                has(&self.verbs, &right.verb) && self.urls.iter().any(is_covered)
            }
        }
    }
}

/// The right to write any Role.
fn escalation(call: Call<'_>) -> Access {
    Access {
        verb: "escalate".to_owned(),
        group: GROUP.to_owned(),
        resource: call.target.served.resource.plural.clone(),
        namespace: call.target.namespace.clone(),
        name: call.target.name.clone(),
    }
}

/// The right to bind a Role, whatever is in it.
fn binding(call: Call<'_>, binding: &Value) -> Access {
    let referred = &binding["roleRef"];
    Access {
        verb: "bind".to_owned(),
        group: referred["apiGroup"].as_str().unwrap_or_default().to_owned(),
        resource: plural_of(referred).to_owned(),
        namespace: call.target.namespace.clone(),
        name: referred["name"].as_str().unwrap_or_default().to_owned(),
    }
}

fn plural_of(referred: &Value) -> &'static str {
    if referred["kind"] == "Role" { "roles" } else { "clusterroles" }
}

fn rules_of(role: &Value) -> Vec<Rule> {
    role["rules"].as_array().into_iter().flatten().map(Rule::read).collect()
}

fn referred_rules(store: &Store, call: Call<'_>, binding: &Value) -> Result<Vec<Rule>, Failure> {
    let plural = plural_of(&binding["roleRef"]);
    let namespace = if plural == "roles" { call.target.namespace.as_str() } else { "" };
    let name = binding["roleRef"]["name"].as_str().unwrap_or_default();
    let found = store.get(&Collection::new(GROUP, plural), &Key::new(namespace, name));
    let missing = || Failure::not_found(&call.target.served.resource, name);
    found.map(|role| rules_of(role)).ok_or_else(missing)
}

/// Whether nothing changes but what the garbage collector writes.
fn differs_only_for_the_collector(old: &Value, new: &Value) -> bool {
    let rest = |object: &Value| {
        let mut object = object.clone();
        for field in ["ownerReferences", "finalizers", "managedFields"] {
            object["metadata"].as_object_mut().map(|metadata| metadata.remove(field));
        }
        object
    };
    rest(old) == rest(new)
}

fn words(user: &User, missing: &BTreeSet<Right>) -> String {
    let mut verbs = BTreeMap::<&Thing, Vec<&str>>::new();
    for right in missing {
        verbs.entry(&right.thing).or_default().push(&right.verb);
    }
    let told: BTreeSet<String> = verbs.iter().map(|(thing, verbs)| shown(thing, verbs)).collect();
    let told: Vec<String> = told.into_iter().collect();
    format!(
        "user {:?} (groups={}) is attempting to grant RBAC permissions not currently held:\n{}",
        user.name,
        quoted(&user.groups),
        told.join("\n")
    )
}

fn shown(thing: &Thing, verbs: &[&str]) -> String {
    let verbs = quoted(verbs);
    match thing {
        Thing::Resource { group, resource, name } => {
            let name = name.as_ref().map_or_else(String::new, |name| format!(", ResourceNames:[{name:?}]"));
            format!("{{APIGroups:[{group:?}], Resources:[{resource:?}]{name}, Verbs:{verbs}}}")
        }
        Thing::Url(url) => format!("{{NonResourceURLs:[{url:?}], Verbs:{verbs}}}"),
    }
}

/// A list of texts as Go quotes it.
fn quoted(texts: &[impl AsRef<str>]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| format!("{:?}", text.as_ref())).collect();
    format!("[{}]", texts.join(" "))
}
