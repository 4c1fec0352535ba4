//! What a request is about, from its path.

use http::Method;

use crate::{fault::injector::Sort, request::Request};

/// What a path names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// Empty for the core group.
    pub(crate) group: String,
    /// As in `v1`.
    pub(crate) version: String,
    /// As in `pods`; empty: nothing that is stored.
    pub(crate) plural: String,
    /// `None`: all, or none.
    pub(crate) namespace: Option<String>,
    /// Empty: all.
    pub(crate) name: String,
}

impl Place {
    pub(crate) fn of(path: &str) -> Self {
        let mut parts = path.trim_matches('/').split('/');
        let group = match parts.next() {
            Some("api") => "",
            Some("apis") => parts.next().unwrap_or_default(),
            _ => return Self::default(),
        };
        let version = parts.next().unwrap_or_default().to_owned();
        let mut rest: Vec<&str> = parts.collect();
        // The status of a namespace is not in it.
        let is_in_namespace = rest.first() == Some(&"namespaces") && rest.len() > 2 && !is_part_of_namespace(rest[2]);
        let namespace = is_in_namespace.then(|| rest[1].to_owned());
        if is_in_namespace {
            rest.drain(..2);
        }
        let part = |index: usize| rest.get(index).map(|part| (*part).to_owned()).unwrap_or_default();
        Self { group: group.to_owned(), version, plural: part(0), namespace, name: part(1) }
    }

    /// How many parts the path of an object has, with the empty one before its first slash.
    pub(super) fn depth(&self) -> usize {
        let group_and_version = if self.group.is_empty() { 3 } else { 4 };
        let namespace = if self.namespace.is_some() { 2 } else { 0 };
        group_and_version + namespace + 2
    }
}

/// What a request counts as in a plan.
pub(crate) fn sort(request: &Request) -> Sort {
    let place = Place::of(&request.path);
    match (&*place.group, &*place.plural) {
        ("coordination.k8s.io", "leases") => Sort::Election,
        ("authorization.k8s.io" | "authentication.k8s.io", _) | ("" | "events.k8s.io", "events") => Sort::Read,
        _ if request.method == Method::GET => Sort::Read,
        _ => Sort::Write,
    }
}

fn is_part_of_namespace(part: &str) -> bool {
    matches!(part, "status" | "finalize")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_group_version_kind_namespace_and_name() {
        let place = |path| {
            let Place { group, version, plural, namespace, name } = Place::of(path);
            format!("{group} {version} {plural} {} {name}", namespace.unwrap_or_default())
        };
        assert_eq!(place("/api/v1/namespaces/default/pods/web/status"), " v1 pods default web");
        assert_eq!(place("/apis/apps/v1/deployments"), "apps v1 deployments  ");
        assert_eq!(place("/api/v1/namespaces/default"), " v1 namespaces  default");
        assert_eq!(place("/api/v1/namespaces/default/status"), " v1 namespaces  default");
        assert_eq!(place("/apis/apps/v1"), "apps v1   ");
        assert_eq!(place("/readyz"), "    ");
    }

    #[test]
    fn only_requests_that_may_change_the_work_count_as_writes() {
        let sort = |method, path: &str| sort(&Request::new(method, path));
        assert_eq!(sort(Method::PATCH, "/api/v1/namespaces/default/pods/web"), Sort::Write);
        assert_eq!(sort(Method::GET, "/api/v1/namespaces/default/pods/web"), Sort::Read);
        assert_eq!(sort(Method::POST, "/apis/events.k8s.io/v1/namespaces/default/events"), Sort::Read);
        assert_eq!(sort(Method::POST, "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"), Sort::Read);
        assert_eq!(sort(Method::PUT, "/apis/coordination.k8s.io/v1/namespaces/a/leases/b"), Sort::Election);
        assert_eq!(sort(Method::POST, "/apis/example.com/v1/namespaces/default/events"), Sort::Write);
        assert_eq!(sort(Method::PUT, "/apis/dhcp.example.com/v1/namespaces/a/leases/b"), Sort::Write);
    }
}
