//! Collects what is known, from caches.

use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kube::Resource;
use operator_sdk::{Error, Key, Object, Result, Watch, cache::Change, reconcile::Context, selector};

use super::{
    Observed,
    observed::{Candidate, Candidates, is_recreated},
};
use crate::{
    api::{Api, Form},
    replica_set::has_ended,
};

pub(super) fn observe<A: Api>(
    context: &Context<A::Deployment>,
    sets: &Watch<A::ReplicaSet>,
    pods: &Watch<Pod>,
) -> Result<Observed> {
    let deployment = context.object.built_in();
    match collect::<A>(&deployment, sets, pods) {
        Err(error @ Error::Unreadable { .. }) => {
            Ok(Observed::unreadable(deployment, error.to_string(), context.clock.wall()))
        }
        candidates => Ok(Observed::new(deployment, candidates?, context.clock.wall())),
    }
}

fn collect<A: Api>(deployment: &Deployment, sets: &Watch<A::ReplicaSet>, pods: &Watch<Pod>) -> Result<Candidates> {
    let uid = deployment.uid_of().ok_or(Error::MissingField("metadata.uid"))?;
    let mut owned = Vec::new();
    for set in sets.controlled_by(&uid)? {
        let uid = set.uid_of().ok_or(Error::MissingField("metadata.uid"))?;
        // Nobody else asks, and a pod that cannot be read must not stop those.
        let has_running_pods =
            is_recreated(&deployment.spec) && pods.controlled_by(&uid)?.iter().any(|pod| !has_ended(pod));
        owned.push(Candidate { set: set.built_in(), has_running_pods });
    }
    let matches = |set: &A::ReplicaSet| selector::matches(&deployment.spec.selector, set.meta().labels.as_ref());
    let orphans = sets.orphans(&deployment.metadata, matches);
    Ok(Candidates { owned, orphans: orphans.iter().map(|set| set.meta().clone()).collect() })
}

/// The Deployment that may wait for the end of this pod: it is recreated, and the pod ran and does so no more (D1).
pub(crate) fn waits_for<A: Api>(
    deployments: &Watch<A::Deployment>,
    sets: &Watch<A::ReplicaSet>,
    change: &Change<Pod>,
) -> Option<Key> {
    let ran = change.old.as_deref().filter(|pod| !has_ended(pod))?;
    if change.new.as_deref().is_some_and(|pod| !has_ended(pod)) {
        return None;
    }
    let set = sets.controller_of(&ran.metadata)?;
    let deployment = deployments.controller_of(set.meta())?;
    is_recreated(&deployment.built_in().spec).then(|| deployment.key())
}

#[cfg(test)]
mod tests {
    use operator_sdk::Watch;
    use serde_json::{Value, json};

    use super::*;
    use crate::api::BuiltIn;

    fn object<K: Object>(kind: &str, name: &str, owner: Option<(&str, &str)>, more: Value) -> K {
        let owners = owner.map(|(kind, name)| {
            json!([{"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": name, "controller": true}])
        });
        let mut object = json!({"kind": kind, "metadata": {
            "name": name, "namespace": "default", "uid": name, "resourceVersion": "1", "labels": {"app": "web"},
            "ownerReferences": owners,
        }});
        object.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(object).unwrap()
    }

    fn deployment(strategy: &str) -> Deployment {
        let spec = json!({"selector": {"matchLabels": {"app": "web"}}, "template": {}, "strategy": {"type": strategy}});
        object("Deployment", "web", None, json!({"spec": spec}))
    }

    fn set(name: &str, owner: Option<(&str, &str)>) -> k8s_openapi::api::apps::v1::ReplicaSet {
        object("ReplicaSet", name, owner, json!({"spec": {"selector": {}}}))
    }

    fn pod(owner: &str, phase: &str) -> Pod {
        object("Pod", "pod", Some(("ReplicaSet", owner)), json!({"status": {"phase": phase}}))
    }

    #[test]
    fn only_a_recreated_deployment_is_looked_at_when_a_pod_ends_or_goes() {
        let woken = |strategy, old: Option<Pod>, new: Option<Pod>| {
            let deployments = Watch::holding([deployment(strategy)]);
            let sets = Watch::holding([set("old", Some(("Deployment", "web")))]);
            let (old, new) = (old.map(Into::into), new.map(Into::into));
            let change = Change { key: Key::namespaced("default", "pod"), old, new, unreadable: Vec::new() };
            waits_for::<BuiltIn>(&deployments, &sets, &change).map(|key| key.name)
        };
        let running = || Some(pod("old", "Running"));
        assert_eq!(woken("Recreate", running(), None).as_deref(), Some("web"));
        assert_eq!(woken("Recreate", running(), Some(pod("old", "Failed"))).as_deref(), Some("web"));
        assert_eq!(woken("Recreate", running(), running()), None);
        assert_eq!(woken("Recreate", None, running()), None);
        assert_eq!(woken("Recreate", Some(pod("old", "Succeeded")), None), None, "it did not run any more");
        assert_eq!(woken("RollingUpdate", running(), None), None);
        assert_eq!(woken("Recreate", Some(pod("other", "Running")), None), None);
    }

    #[test]
    fn what_is_controlled_and_what_is_nobodys_is_collected() {
        let sets = Watch::holding([
            set("ours", Some(("Deployment", "web"))),
            set("theirs", Some(("Deployment", "other"))),
            set("free", None),
            object(
                "ReplicaSet",
                "elsewhere",
                None,
                json!({"spec": {"selector": {}}, "metadata": {
                    "name": "elsewhere", "namespace": "other", "uid": "e", "resourceVersion": "1", "labels": {"app": "web"},
                }}),
            ),
        ]);
        let running = |phase| {
            let pods = Watch::holding([pod("ours", phase)]);
            let collected = collect::<BuiltIn>(&deployment("Recreate"), &sets, &pods).unwrap();
            let names: Vec<_> = collected.orphans.iter().map(|orphan| orphan.name.clone().unwrap()).collect();
            assert_eq!(names, ["free"]);
            let [Candidate { set, has_running_pods }] = &collected.owned[..] else { panic!("{:?}", collected.owned) };
            assert_eq!(set.metadata.name.as_deref(), Some("ours"));
            *has_running_pods
        };
        assert!(running("Running") && running("Unknown"));
        assert!(!running("Failed") && !running("Succeeded"));
    }
}
