//! Carries out steps.

use operator_sdk::{Class, Error, Result, client::Created, owner::controller_reference, reconcile::Context};
use serde_json::json;

use super::{NameTaken, Step, build, core::version};
use crate::api::{LiteDeployment, LiteReplicaSet};

pub(super) async fn act(context: &Context<LiteDeployment>, step: &Step) -> Result<()> {
    let client = &context.client;
    match step {
        Step::CreateReplicaSet { name, hash, replicas } => {
            let owner = controller_reference(context.object.as_ref())?;
            let is_usable =
                match client.create(&build::replica_set(&context.object, owner, name, hash, *replicas)).await {
                    Ok(Created::New(_)) => true,
                    // Made earlier, or of a template that somebody has edited since, or of one with the same hash (D14).
                    Ok(Created::Existing(set)) => version::is_of_template(&set, &context.object.spec.template),
                    Err(error) if error.is_already_exists() => false,
                    Err(error) => return Err(error.into()),
                };
            if !is_usable {
                return Err(Error::other(Class::Conflict, NameTaken(name.clone())));
            }
        }
        Step::ScaleReplicaSet { target, to, .. } => {
            client.patch::<LiteReplicaSet>(target, json!({"spec": {"replicas": to}})).await?;
        }
        Step::DeleteReplicaSet { target } => client.delete::<LiteReplicaSet>(target).await?,
    }
    Ok(())
}
