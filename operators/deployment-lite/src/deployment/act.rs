//! Carries out steps.

use operator_sdk::{Error, Result, client::Created, owner::controller_reference, reconcile::Context};
use serde_json::json;

use super::{
    Step, build,
    core::version::{self, Unusable},
};
use crate::api::{LiteDeployment, LiteReplicaSet};

pub(super) async fn act(context: &Context<LiteDeployment>, step: &Step) -> Result<()> {
    let client = &context.client;
    match step {
        Step::CreateReplicaSet { name, hash, replicas } => {
            let owner = controller_reference(context.object.as_ref())?;
            match client.create(&build::replica_set(&context.object, owner, name, hash, *replicas)).await {
                Ok(Created::New(_)) => {}
                Ok(Created::Existing(set)) => version::check_existing(&set, &context.object.spec.template)
                    .map_err(|unusable| Error::other(unusable.class(), unusable))?,
                Err(error) if error.is_already_exists() => {
                    let taken = Unusable::Taken(name.clone());
                    return Err(Error::other(taken.class(), taken));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Step::ScaleReplicaSet { target, to, .. } => {
            client.patch::<LiteReplicaSet>(target, json!({"spec": {"replicas": to}})).await?;
        }
        Step::DeleteReplicaSet { target } => client.delete::<LiteReplicaSet>(target).await?,
    }
    Ok(())
}
