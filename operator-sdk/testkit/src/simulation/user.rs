//! What people do to objects, as faults have it: at once, by requests of somebody who may do anything.

use http::Method;
use serde_json::{Value, json};

use super::{place::Place, world::World};
use crate::{
    request::{Reply, Request},
    store::Key,
};

/// Where a fault leaves a mark of its own on an object; comparisons look past it, and past all that begins so.
pub(crate) const MARK: &str = "operator-testkit/marked";

/// The same for an object alone: annotations may be handed on to others.
pub(crate) fn own_mark(uid: &str) -> String {
    format!("{MARK}-{uid}")
}

/// Changes an object by a merge patch; false if it is not there.
pub(crate) fn edit(world: &World, path: &str, merge: &str) -> bool {
    let request = Request::new(Method::PATCH, path).with_content("application/merge-patch+json", merge.to_owned());
    world.ask(&request).is_success()
}

/// Writes an object without changing what it says; false if it is not there.
pub(crate) fn touch(world: &World, path: &str) -> bool {
    let held = world.ask(&Request::new(Method::GET, path)).to_value();
    let Some(uid) = held["metadata"]["uid"].as_str() else { return false };
    let revision = world.network().with(|server, _| server.store().revision());
    edit(world, path, &json!({"metadata": {"annotations": {own_mark(uid): revision.to_string()}}}).to_string())
}

/// Deletes an object; false if it is not there.
pub(crate) fn delete(world: &World, path: &str) -> bool {
    world.ask(&Request::new(Method::DELETE, path)).is_success()
}

/// Deletes an object, and creates it anew under the same name as soon as it is gone; false if it is not there.
pub(crate) fn recreate(world: &World, path: &str) -> bool {
    let held = world.ask(&Request::new(Method::GET, path));
    if !held.is_success() || !delete(world, path) {
        return false;
    }
    let mut object = held.to_value();
    if let Some(metadata) = object["metadata"].as_object_mut() {
        for field in ["uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "finalizers"] {
            metadata.remove(field);
        }
    }
    let Some((collection, _)) = path.rsplit_once('/') else { return false };
    let creation = Request::new(Method::POST, collection).with_body(&object);
    if world.ask(&creation).code == 409 {
        // Somebody has still to clean up.
        let (world, mut changed) = (world.clone(), world.changed());
        tokio::spawn(async move { while changed.changed().await.is_ok() && world.ask(&creation).code == 409 {} });
    }
    true
}

/// What somebody makes of a Lease that he takes.
pub(crate) fn steal(lease: &Value) -> Value {
    let transitions = lease["spec"]["leaseTransitions"].as_i64().unwrap_or_default() + 1;
    json!({"spec": {"holderIdentity": "somebody-else", "leaseTransitions": transitions}})
}

/// What somebody makes of a Lease that he empties.
pub(crate) fn empty(_: &Value) -> Value {
    json!({"spec": {"holderIdentity": ""}})
}

/// Changes all Leases that processes elect their leaders by.
pub(crate) fn change_leases(world: &World, change: fn(&Value) -> Value) {
    for (path, lease) in leases(world) {
        edit(world, &path, &change(&lease).to_string());
    }
}

/// Deletes them.
pub(crate) fn delete_leases(world: &World) {
    for (path, _) in leases(world) {
        delete(world, &path);
    }
}

fn leases(world: &World) -> Vec<(String, Value)> {
    let recorder = world.recorder();
    let leases = recorder.state().list("coordination.k8s.io", "leases");
    let elections = leases.filter(|(key, _)| key.namespace() != "kube-node-lease");
    let path = |key: &Key| format!("/apis/coordination.k8s.io/v1/namespaces/{}/leases/{}", key.namespace(), key.name());
    elections.map(|(key, lease)| (path(key), lease.value().clone())).collect()
}

/// The path of the object that a request writes; of a creation, only the reply can tell. `None`: it writes none, or all of a
/// kind.
pub(crate) fn written_path(request: &Request, reply: Option<&Reply>) -> Option<String> {
    let path = request.path.trim_end_matches('/');
    let place = Place::of(path);
    if !place.name.is_empty() {
        return Some(path.split('/').take(place.depth()).collect::<Vec<_>>().join("/"));
    }
    let created = reply.filter(|reply| reply.is_success() && request.method == Method::POST)?.to_value();
    Some(format!("{path}/{}", created["metadata"]["name"].as_str()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_the_object_whatever_part_of_it() {
        let written = |method: Method, path: &str, name: &str| {
            let reply = Reply::value(200, json!({"kind": "Any", "metadata": {"name": name}}));
            written_path(&Request::new(method, path), Some(&reply))
        };
        let pods = "/api/v1/namespaces/default/pods";
        let anna = Some(format!("{pods}/anna"));
        for (method, part) in [(Method::PUT, ""), (Method::PATCH, "/status"), (Method::POST, "/eviction")] {
            assert_eq!(written(method, &format!("{pods}/anna{part}"), "other"), anna);
        }
        assert_eq!(written(Method::POST, pods, "anna"), anna);
        assert_eq!(written(Method::DELETE, pods, "anna"), None, "a whole collection");
        for path in ["/apis/example.com/v1/namespaces/a/boxes/status", "/apis/example.com/v1/vaults/scale"] {
            assert_eq!(written(Method::PUT, path, "any"), Some(path.to_owned()));
        }
        let namespace = Some("/api/v1/namespaces/team".to_owned());
        assert_eq!(written(Method::PUT, "/api/v1/namespaces/team/finalize", "any"), namespace);
    }
}
