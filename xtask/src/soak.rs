//! `cargo xtask soak`: what takes longer than a test may: explorations of an operator and elections by the thousand, in a
//! release build, and mutants.

mod mutants;

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::paths;

/// What `soak` can be told.
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// What to run
    #[arg(value_enum)]
    what: What,
    /// How many seeds, of `election`
    #[arg(long, value_name = "NUMBER", default_value_t = 10_000)]
    seeds: u64,
    /// The first seed, of `election`; another one each time if nothing is said
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// Only a share of `mutants`, as in 1/8
    #[arg(long, value_name = "K/N")]
    shard: Option<String>,
    /// Only those of `mutants` with this text in their name, as in core/scaling.rs; may be repeated
    #[arg(long, value_name = "TEXT")]
    only: Vec<String>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum What {
    /// Elections under faults of all sorts, a world for each seed
    Election,
    /// Every single fault, and pairs of faults, at deployment-lite's workloads
    Faults,
    /// Changes of deployment-lite's code, which its simulations have to notice; needs cargo-mutants
    Mutants,
}

/// Runs it, with its own output.
pub fn run(arguments: &Arguments) -> Result<()> {
    let tests: &[&str] = match arguments.what {
        What::Election => &["--package", "operator-sdk", "--test", "leader_election", "in_worlds_that_nobody_has_seen"],
        What::Mutants => return mutants::run(arguments.shard.as_deref(), &arguments.only),
        What::Faults => &["--package", "deployment-lite", "--features", "soak", "--test", "simulations"],
    };
    let mut command = Command::new("cargo");
    command.args(["test", "--release"]).args(tests).args(["--", "--nocapture"]);
    command.current_dir(paths::workspace_root()?).env("OPERATOR_LITE_SEEDS", arguments.seeds.to_string());
    if let Some(seed) = arguments.seed {
        command.env("OPERATOR_LITE_SEED", seed.to_string());
    }
    let ended = command.status().context("failed to start cargo")?;
    if !ended.success() {
        bail!("{:?} found something; it stands above, with what repeats it", arguments.what);
    }
    Ok(())
}
