//! Carries out steps.

use k8s_openapi::api::core::v1::Pod;
use operator_sdk::{Result, owner::controller_reference, reconcile::Context};

use super::{Step, build};
use crate::api::{Api, Form};

pub(super) async fn act<A: Api>(context: &Context<A::ReplicaSet>, step: &Step) -> Result<()> {
    match step {
        Step::CreatePod => {
            let owner = controller_reference(context.object.as_ref())?;
            context.client.create(&build::pod(&context.object.built_in(), owner)).await?;
        }
        Step::DeletePod { target } => context.client.delete::<Pod>(target).await?,
    }
    Ok(())
}
