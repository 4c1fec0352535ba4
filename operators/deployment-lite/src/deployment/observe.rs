//! Collects what is known, from caches.

use operator_sdk::{Error, Object, Result, Watch, reconcile::Context};

use super::Observed;
use crate::api::{Api, Form};

pub(super) fn observe<A: Api>(context: &Context<A::Deployment>, sets: &Watch<A::ReplicaSet>) -> Result<Observed> {
    let uid = context.object.uid_of().ok_or(Error::MissingField("metadata.uid"))?;
    let sets = sets.controlled_by(&uid)?;
    let sets = sets.iter().map(|set| set.built_in());
    Ok(Observed::new(context.object.built_in(), sets, context.clock.wall()))
}
