//! What a request's path and method mean.

use std::sync::Arc;

use http::Method;

use super::{
    access::Access,
    kinds::{Kinds, Served},
    options::is_true,
};
use crate::{failure::Failure, request::Request, store::Key};

/// What is asked for.
pub(crate) enum Route {
    /// An object, a collection, or a part of an object.
    Object(Target),
    /// Anything else.
    Other,
    /// A kind that is not served.
    Unknown { access: Access, is_built_in: bool },
}

/// What a request is about.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) verb: Verb,
    pub(crate) served: Arc<Served>,
    /// Empty: all, or none.
    pub(crate) namespace: String,
    /// Empty: the collection.
    pub(crate) name: String,
    /// As in `status`; empty: the object itself.
    pub(crate) subresource: String,
}

/// What is done, as RBAC calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of RBAC")]
pub(crate) enum Verb {
    Get,
    List,
    Watch,
    Create,
    Update,
    Patch,
    Delete,
    DeleteCollection,
}

impl Target {
    pub(crate) fn key(&self) -> Key {
        Key::new(&self.namespace, &self.name)
    }

    /// The namespace to list; `None`: all.
    pub(crate) fn scope(&self) -> Option<&str> {
        Some(self.namespace.as_str()).filter(|namespace| !namespace.is_empty())
    }
}

impl Verb {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
        }
    }
}

/// Finds out what is asked.
pub(crate) fn parse(kinds: &Kinds, request: &Request) -> Result<Route, Failure> {
    let parts: Vec<&str> = request.path.split('/').filter(|part| !part.is_empty()).collect();
    let (group, version, rest) = match parts.as_slice() {
        ["api", version, rest @ ..] if !rest.is_empty() => ("", *version, rest),
        ["apis", group, version, rest @ ..] if !rest.is_empty() => (*group, *version, rest),
        _ => return Ok(Route::Other),
    };
    let (namespace, plural, rest) = match rest {
        ["namespaces"] => ("", "namespaces", &rest[1..]),
        ["namespaces", _] | ["namespaces", _, "status" | "finalize"] => ("", "namespaces", &rest[1..]),
        ["namespaces", namespace, plural, rest @ ..] => (*namespace, *plural, rest),
        [plural, rest @ ..] => ("", *plural, rest),
        [] => return Ok(Route::Other),
    };
    let (name, subresource) = match rest {
        [] => ("", String::new()),
        [name] => (*name, String::new()),
        [name, subresource @ ..] => (*name, subresource.join("/")),
    };
    let Some(served) = kinds.get(group, version, plural) else {
        if matches!(group, "authorization.k8s.io" | "authentication.k8s.io") {
            return Ok(Route::Other);
        }
        let verb = verb(request, name, true)?.as_str().to_owned();
        let (group, resource) = (group.to_owned(), plural.to_owned());
        let is_built_in = kinds.is_built_in_group(&group);
        let access = Access { verb, group, resource, namespace: namespace.to_owned(), name: name.to_owned() };
        return Ok(Route::Unknown { access, is_built_in });
    };
    if !served.resource.is_namespaced && !namespace.is_empty() {
        return Err(Failure::no_such_path());
    }
    let is_custom = served.resource.is_custom;
    let verb = verb(request, name, is_custom)?;
    let needs_namespace = served.resource.is_namespaced && namespace.is_empty();
    if needs_namespace && !(name.is_empty() && matches!(verb, Verb::List | Verb::Watch)) {
        return Err(if name.is_empty() { Failure::method_not_allowed() } else { Failure::no_such_path() });
    }
    Ok(Route::Object(Target {
        verb,
        served: served.clone(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        subresource,
    }))
}

fn verb(request: &Request, name: &str, is_custom: bool) -> Result<Verb, Failure> {
    let is_watch = request.query("watch").is_some_and(|value| is_true(Some(value)));
    Ok(match (&request.method, name.is_empty()) {
        (&Method::GET, true) if is_watch => Verb::Watch,
        (&Method::GET, true) => Verb::List,
        (&Method::GET, false) => Verb::Get,
        (&Method::POST, _) => Verb::Create,
        (&Method::PUT, false) => Verb::Update,
        (&Method::PATCH, false) => Verb::Patch,
        (&Method::DELETE, false) => Verb::Delete,
        (&Method::DELETE, true) => Verb::DeleteCollection,
        (&Method::PUT | &Method::PATCH, true) if is_custom => {
            return Err(Failure::bad_request("name must be provided"));
        }
        _ => return Err(Failure::method_not_allowed()),
    })
}
