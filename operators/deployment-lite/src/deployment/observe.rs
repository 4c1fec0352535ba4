//! Collects what is known, from caches.

use operator_sdk::{Error, Object, Result, Watch, reconcile::Context};

use super::Observed;
use crate::api::{LiteDeployment, LiteReplicaSet};

pub(super) fn observe(context: &Context<LiteDeployment>, sets: &Watch<LiteReplicaSet>) -> Result<Observed> {
    let uid = context.object.uid_of().ok_or(Error::MissingField("metadata.uid"))?;
    Ok(Observed::new(context.object.clone(), sets.controlled_by(&uid)?, context.clock.wall()))
}
