//! Carries out steps.

use k8s_openapi::api::core::v1::Pod;
use operator_sdk::{
    Object, Result,
    client::Created,
    event::Type,
    owner::{self, controller_reference},
    reconcile::Context,
};

use super::{Step, build};
use crate::api::{Api, Form};

pub(super) async fn act<A: Api>(context: &Context<A::ReplicaSet>, step: &Step) -> Result<()> {
    let (client, object) = (&context.client, context.object.as_ref());
    match step {
        Step::ConfirmOwner => owner::confirm(client, object).await?,
        Step::AdoptPod(claim) => owner::adopt::<_, Pod>(client, object, claim).await?,
        Step::ReleasePod(claim) => owner::release::<_, Pod>(client, object, claim).await?,
        Step::Warn { reason, note } => tell::<A>(context, Type::Warning, reason, "Check", note.clone()),
        Step::CreatePod => {
            let owner = controller_reference(object)?;
            match client.create(&build::pod(&object.built_in(), owner)).await {
                Ok(Created::New(pod) | Created::Existing(pod)) => {
                    tell::<A>(
                        context,
                        Type::Normal,
                        "SuccessfulCreate",
                        "Create",
                        format!("Created pod: {}", pod.key().name),
                    );
                }
                // Nobody is told: all else is being deleted, too (R6).
                Err(error) if error.is_namespace_terminating() => return Err(error.into()),
                Err(error) => {
                    tell::<A>(context, Type::Warning, "FailedCreate", "Create", format!("Error creating: {error}"));
                    return Err(error.into());
                }
            }
        }
        Step::DeletePod { target } => match client.delete::<Pod>(target).await {
            Ok(()) => {
                tell::<A>(
                    context,
                    Type::Normal,
                    "SuccessfulDelete",
                    "Delete",
                    format!("Deleted pod: {}", target.key.name),
                );
            }
            Err(error) => {
                tell::<A>(context, Type::Warning, "FailedDelete", "Delete", format!("Error deleting: {error}"));
                return Err(error.into());
            }
        },
    }
    Ok(())
}

/// An event of the ReplicaSet (R17).
fn tell<A: Api>(
    context: &Context<A::ReplicaSet>,
    r#type: Type,
    reason: &'static str,
    action: &'static str,
    note: String,
) {
    context.events.record(context.object.as_ref(), r#type, reason, action, note);
}
