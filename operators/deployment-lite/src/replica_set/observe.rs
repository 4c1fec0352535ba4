//! Collects what is known, from caches.

use k8s_openapi::api::core::v1::Pod;
use operator_sdk::{Error, Object, Result, Watch, reconcile::Context};

use super::Observed;
use crate::api::{Api, Form};

pub(super) fn observe<A: Api>(context: &Context<A::ReplicaSet>, pods: &Watch<Pod>) -> Result<Observed> {
    let uid = context.object.uid_of().ok_or(Error::MissingField("metadata.uid"))?;
    Ok(Observed::new(context.object.built_in(), pods.controlled_by(&uid)?, context.clock.wall()))
}
