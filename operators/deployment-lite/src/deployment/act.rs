//! Carries out steps.

use operator_sdk::{Error, Result, client::Created, owner::controller_reference, reconcile::Context};
use serde_json::json;

use super::{
    Step, build,
    core::version::{self, Unusable},
};
use crate::api::{Api, Form};

pub(super) async fn act<A: Api>(context: &Context<A::Deployment>, step: &Step) -> Result<()> {
    let client = &context.client;
    match step {
        Step::CreateReplicaSet { name, hash, replicas } => {
            let owner = controller_reference(context.object.as_ref())?;
            let deployment = context.object.built_in();
            let spec = &deployment.spec;
            let set = build::replica_set(&deployment.metadata, spec, owner, name, hash, *replicas);
            match client.create(&A::ReplicaSet::from_built_in(set)).await {
                Ok(Created::New(_)) => {}
                Ok(Created::Existing(set)) => version::check_existing(&set.built_in().into(), &spec.template)
                    .map_err(|unusable| Error::other(unusable.class(), unusable))?,
                Err(error) if error.is_already_exists() => {
                    let taken = Unusable::Taken(name.clone());
                    return Err(Error::other(taken.class(), taken));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Step::ScaleReplicaSet { target, to, .. } => {
            client.patch::<A::ReplicaSet>(target, json!({"spec": {"replicas": to}})).await?;
        }
        Step::DeleteReplicaSet { target } => client.delete::<A::ReplicaSet>(target).await?,
    }
    Ok(())
}
