//! Collects what is known, from caches.

use k8s_openapi::api::{apps::v1::ReplicaSet, core::v1::Pod};
use operator_sdk::{Error, Object, Result, Watch, reconcile::Context, selector};

use super::{Observed, observed::Pods};
use crate::api::{Api, Form};

pub(super) fn observe<A: Api>(
    context: &Context<A::ReplicaSet>,
    sets: &Watch<A::ReplicaSet>,
    pods: &Watch<Pod>,
) -> Result<Observed> {
    let object = context.object.as_ref();
    let set = object.built_in();
    match collect::<A>(object, &set, sets, pods) {
        Err(error @ Error::Unreadable { .. }) => Ok(Observed::unreadable(set, error.to_string(), context.clock.wall())),
        pods => Ok(Observed::new(set, pods?, context.clock.wall())),
    }
}

fn collect<A: Api>(
    object: &A::ReplicaSet,
    set: &ReplicaSet,
    sets: &Watch<A::ReplicaSet>,
    pods: &Watch<Pod>,
) -> Result<Pods> {
    let uid = object.uid_of().ok_or(Error::MissingField("metadata.uid"))?;
    // Only an order of preference depends on those: what cannot be read of them is left out.
    let owner = object.controller().map(|owner| owner.uid.as_str().into());
    let siblings = owner.and_then(|owner| sets.controlled_by(&owner).ok()).unwrap_or_default();
    let related = siblings.iter().filter_map(|sibling| pods.controlled_by(&sibling.uid_of()?).ok()).flatten().collect();
    let matches = |pod: &Pod| selector::matches(&set.spec.selector, pod.metadata.labels.as_ref());
    Ok(Pods { owned: pods.controlled_by(&uid)?, orphans: pods.orphans(&set.metadata, matches), related })
}
