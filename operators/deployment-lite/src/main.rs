//! The program: wiring only.

use std::process::ExitCode;

use clap::ValueEnum;
use deployment_lite::{
    api::{BuiltIn, Lite, LiteDeployment, LiteReplicaSet},
    controllers,
};
use operator_sdk::Operator;

#[derive(clap::Args)]
struct Flags {
    /// The kinds to drive
    #[arg(long, value_enum, default_value = "lite")]
    api: Kinds,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kinds {
    /// LiteDeployments and LiteReplicaSets, safe beside the built-in kinds
    Lite,
    /// Deployments and ReplicaSets, in a cluster whose own controllers of them are off
    Builtin,
}

#[tokio::main]
async fn main() -> ExitCode {
    let mut operator = Operator::builder("deployment-lite", env!("CARGO_PKG_VERSION"));
    let Flags { api } = match operator.flags() {
        Ok(flags) => flags,
        Err(code) => return code,
    };
    match api {
        Kinds::Lite => {
            operator.installs::<LiteDeployment>();
            operator.installs::<LiteReplicaSet>();
            controllers::add::<Lite>(&mut operator);
        }
        Kinds::Builtin => {
            operator.runs_on_control_plane();
            controllers::add::<BuiltIn>(&mut operator);
        }
    }
    operator.run().await
}
