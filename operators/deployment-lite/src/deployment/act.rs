//! Carries out steps.

use operator_sdk::{
    Error, Result,
    client::Created,
    event::Type,
    owner::{self, controller_reference},
    reconcile::Context,
};
use serde_json::{Value, json};

use super::{
    Step,
    build::{self, New},
    core::{
        annotation::{REVISION, ROLLBACK_TO},
        version::{self, Unusable},
    },
};
use crate::api::{Api, Form};

pub(super) async fn act<A: Api>(context: &Context<A::Deployment>, step: &Step) -> Result<()> {
    let (client, object) = (&context.client, context.object.as_ref());
    match step {
        Step::ConfirmOwner => owner::confirm(client, object).await?,
        Step::AdoptReplicaSet(claim) => owner::adopt::<_, A::ReplicaSet>(client, object, claim).await?,
        Step::ReleaseReplicaSet(claim) => owner::release::<_, A::ReplicaSet>(client, object, claim).await?,
        Step::CreateReplicaSet { name, hash, replicas, annotations } => {
            create::<A>(context, &New { name, hash, replicas: *replicas, annotations }).await?;
        }
        Step::ScaleReplicaSet { target, from, to, annotations } => {
            let patch = json!({"spec": {"replicas": to}, "metadata": {"annotations": annotations}});
            client.patch::<A::ReplicaSet>(target, patch).await?;
            tell_of_size::<A>(context, &target.key.name, *from, *to);
        }
        Step::UpdateReplicaSet { target, annotations, min_ready_seconds } => {
            let spec = json!({"minReadySeconds": min_ready_seconds});
            let patch = json!({"spec": spec, "metadata": {"annotations": annotations}});
            client.patch::<A::ReplicaSet>(target, patch).await?;
        }
        Step::DeleteReplicaSet { target } => client.delete::<A::ReplicaSet>(target).await?,
        Step::SetRevision { target, revision } => {
            let patch = json!({"metadata": {"annotations": {REVISION: revision}}});
            client.patch::<A::Deployment>(target, patch).await?;
        }
        Step::RollBack { target, from, to, annotations, revision } => {
            let mut patch = build::template_patch(from, to);
            patch["metadata"]["annotations"] = json!(annotations);
            patch["metadata"]["annotations"][ROLLBACK_TO] = Value::Null;
            client.patch::<A::Deployment>(target, patch).await?;
            let note = format!("Rolled back deployment {:?} to revision {revision}", target.key.name);
            tell::<A>(context, Type::Normal, "DeploymentRollback", "RollBack", note);
        }
        Step::RefuseRollback { target, reason, note } => {
            let patch = json!({"metadata": {"annotations": {ROLLBACK_TO: null}}});
            client.patch::<A::Deployment>(target, patch).await?;
            tell::<A>(context, Type::Warning, reason, "RollBack", note.clone());
        }
        Step::Warn { reason, note } => tell::<A>(context, Type::Warning, reason, "Check", note.clone()),
    }
    Ok(())
}

async fn create<A: Api>(context: &Context<A::Deployment>, new: &New<'_>) -> Result<()> {
    let owner = controller_reference(context.object.as_ref())?;
    let deployment = context.object.built_in();
    let set = build::replica_set(&deployment.metadata, &deployment.spec, owner, new);
    let name = new.name;
    match context.client.create(&A::ReplicaSet::from_built_in(set)).await {
        Ok(Created::New(_)) => tell_of_size::<A>(context, name, 0, new.replicas),
        Ok(Created::Existing(set)) => version::check_existing(&set.built_in().into(), &deployment.spec.template)
            .map_err(|unusable| Error::other(unusable.class(), unusable))?,
        Err(error) if error.is_already_exists() => {
            let taken = Unusable::Taken(name.to_owned());
            return Err(Error::other(taken.class(), taken));
        }
        // Nobody is told: all else is being deleted, too.
        Err(error) if error.is_namespace_terminating() => return Err(error.into()),
        Err(error) => {
            let note = format!("Failed to create new replica set {name:?}: {error}");
            tell::<A>(context, Type::Warning, "ReplicaSetCreateError", "Create", note);
            return Err(error.into());
        }
    }
    Ok(())
}

/// An event of the Deployment about a change of size (D17, D49).
fn tell_of_size<A: Api>(context: &Context<A::Deployment>, name: &str, from: i32, to: i32) {
    if from != to {
        let direction = if to > from { "up" } else { "down" };
        let note = format!("Scaled {direction} replica set {name} from {from} to {to}");
        tell::<A>(context, Type::Normal, "ScalingReplicaSet", "Scale", note);
    }
}

fn tell<A: Api>(
    context: &Context<A::Deployment>,
    r#type: Type,
    reason: &'static str,
    action: &'static str,
    note: String,
) {
    context.events.record(context.object.as_ref(), r#type, reason, action, note);
}
