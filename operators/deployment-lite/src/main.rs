//! The program: wiring only.

use std::process::ExitCode;

use deployment_lite::{
    api::{Lite, LiteDeployment, LiteReplicaSet},
    deployment::DeploymentPlanner,
    replica_set::ReplicaSetPlanner,
};
use k8s_openapi::api::core::v1::Pod;
use operator_sdk::{Controller, Operator};

#[tokio::main]
async fn main() -> ExitCode {
    let mut operator = Operator::builder("deployment-lite", env!("CARGO_PKG_VERSION"));
    operator.installs::<LiteDeployment>();
    operator.installs::<LiteReplicaSet>();
    let deployments = operator.watch::<LiteDeployment>();
    let replica_sets = operator.watch::<LiteReplicaSet>();
    let pods = operator.watch::<Pod>();
    let planner = DeploymentPlanner::<Lite>::new(replica_sets.clone());
    operator.controller(Controller::planner(planner, &deployments).owns(&replica_sets));
    let planner = ReplicaSetPlanner::<Lite>::new(pods.clone());
    operator.controller(Controller::planner(planner, &replica_sets).owns(&pods));
    operator.run().await
}
