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
        let pods = pods.controlled_by(&set.uid_of().ok_or(Error::MissingField("metadata.uid"))?)?;
        owned.push(Candidate { set: set.built_in(), has_running_pods: pods.iter().any(|pod| !has_ended(pod)) });
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
