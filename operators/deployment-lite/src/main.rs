//! The program: wiring only.

use std::process::ExitCode;

use deployment_lite::controllers;
use operator_sdk::Operator;

#[derive(clap::Args)]
struct Flags {
    /// The kinds to drive
    #[arg(long, value_enum, default_value = "lite")]
    api: Kinds,
}

#[derive(Clone, Copy, clap::ValueEnum)]
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
        Kinds::Lite => controllers::add_lite(&mut operator),
        Kinds::Builtin => controllers::add_built_in(&mut operator),
    }
    operator.run().await
}
