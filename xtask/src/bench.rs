//! `cargo xtask bench`: how fast things are, as ratios or beside their goals, in a build that is optimised as
//! far as it goes (`[profile.bench]`). Nothing here fails for being slow: times depend on the machine.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::paths;

/// What `bench` can be told.
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// What to measure
    #[arg(value_enum)]
    what: What,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum What {
    /// Simulated time: an idle day, a rollout with a fault, explorations
    Testkit,
}

/// Measures, and prints the figures.
pub fn run(arguments: &Arguments) -> Result<()> {
    let (package, bench) = match arguments.what {
        What::Testkit => ("deployment-lite", "simulation"),
    };
    let mut command = Command::new("cargo");
    command.args(["bench", "--package", package, "--bench", bench]).current_dir(paths::workspace_root()?);
    let ended = command.status().context("failed to start cargo")?;
    if !ended.success() {
        bail!("the benchmark {bench} of {package} failed; the reason stands above");
    }
    Ok(())
}
