//! Carries out steps.

use operator_sdk::{Result, owner::controller_reference, reconcile::Context};
use serde_json::json;

use super::{Step, build};
use crate::api::{LiteDeployment, LiteReplicaSet};

pub(super) async fn act(context: &Context<LiteDeployment>, step: &Step) -> Result<()> {
    let client = &context.client;
    match step {
        Step::CreateReplicaSet { name, hash, replicas } => {
            let owner = controller_reference(context.object.as_ref())?;
            client.create(&build::replica_set(&context.object, owner, name, hash, *replicas)).await?;
        }
        Step::ScaleReplicaSet { target, to, .. } => {
            client.patch::<LiteReplicaSet>(target, json!({"spec": {"replicas": to}})).await?;
        }
        Step::DeleteReplicaSet { target } => client.delete::<LiteReplicaSet>(target).await?,
    }
    Ok(())
}
