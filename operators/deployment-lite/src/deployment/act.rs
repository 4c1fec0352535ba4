//! Carries out steps.

use operator_sdk::{Error, Result, client::Created, event::Type, owner::controller_reference, reconcile::Context};
use serde_json::json;

use super::{
    Step, build,
    core::version::{self, Unusable},
};
use crate::api::{Api, Form};

pub(super) async fn act<A: Api>(context: &Context<A::Deployment>, step: &Step) -> Result<()> {
    let (client, object) = (&context.client, context.object.as_ref());
    match step {
        Step::CreateReplicaSet { name, hash, replicas } => {
            let owner = controller_reference(object)?;
            let deployment = context.object.built_in();
            let spec = &deployment.spec;
            let set = build::replica_set(&deployment.metadata, spec, owner, name, hash, *replicas);
            match client.create(&A::ReplicaSet::from_built_in(set)).await {
                Ok(Created::New(_)) => tell_of_size::<A>(context, name, 0, *replicas),
                Ok(Created::Existing(set)) => version::check_existing(&set.built_in().into(), &spec.template)
                    .map_err(|unusable| Error::other(unusable.class(), unusable))?,
                Err(error) if error.is_already_exists() => {
                    let taken = Unusable::Taken(name.clone());
                    return Err(Error::other(taken.class(), taken));
                }
                Err(error) => {
                    let note = format!("Failed to create new replica set \"{name}\": {error}");
                    context.events.record(object, Type::Warning, "ReplicaSetCreateError", "Create", note);
                    return Err(error.into());
                }
            }
        }
        Step::ScaleReplicaSet { target, from, to } => {
            client.patch::<A::ReplicaSet>(target, json!({"spec": {"replicas": to}})).await?;
            tell_of_size::<A>(context, &target.key.name, *from, *to);
        }
        Step::SetMinReadySeconds { target, to } => {
            client.patch::<A::ReplicaSet>(target, json!({"spec": {"minReadySeconds": to}})).await?;
        }
        Step::DeleteReplicaSet { target } => client.delete::<A::ReplicaSet>(target).await?,
    }
    Ok(())
}

/// An event of the Deployment about a change of size (D17, D49).
fn tell_of_size<A: Api>(context: &Context<A::Deployment>, name: &str, from: i32, to: i32) {
    if from != to {
        let direction = if to > from { "up" } else { "down" };
        let note = format!("Scaled {direction} replica set {name} from {from} to {to}");
        context.events.record(context.object.as_ref(), Type::Normal, "ScalingReplicaSet", "Scale", note);
    }
}
