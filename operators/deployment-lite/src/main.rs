//! The program: wiring only.

use std::process::ExitCode;

use deployment_lite::{
    api::{Lite, LiteDeployment, LiteReplicaSet},
    deployment, replica_set,
};
use k8s_openapi::api::core::v1::Pod;
use operator_sdk::Operator;

#[tokio::main]
async fn main() -> ExitCode {
    let mut operator = Operator::builder("deployment-lite", env!("CARGO_PKG_VERSION"));
    operator.installs::<LiteDeployment>();
    operator.installs::<LiteReplicaSet>();
    let deployments = operator.watch::<LiteDeployment>();
    let replica_sets = operator.watch::<LiteReplicaSet>();
    let pods = operator.watch::<Pod>();
    operator.controller(deployment::controller::<Lite>(&deployments, &replica_sets, &pods));
    operator.controller(replica_set::controller::<Lite>(&replica_sets, &pods));
    operator.run().await
}
