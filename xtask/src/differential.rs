//! `cargo xtask differential`: the simulated API server judged by the real one.
//!
//! The tests are those of operator-testkit; this starts a control plane for them and passes on what they are told.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use crate::control_plane::ControlPlane;
use crate::{paths, process, progress};

/// How many sequences are generated if nothing is said.
const SEQUENCES: u64 = 200;

const LIMIT: Duration = Duration::from_secs(30 * 60);

/// What `differential` can be told.
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// Write down what the real server answers to the cases, for runs without one.
    #[arg(long)]
    record: bool,
    /// Only files of cases whose name contains this.
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,
    /// How many sequences of requests to generate.
    #[arg(long, value_name = "NUMBER", default_value_t = SEQUENCES)]
    sequences: u64,
    /// What they are generated from; another one each time if nothing is said.
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
}

/// Runs the cases and the sequences, or records the cases.
pub fn run(arguments: &Arguments) -> Result<()> {
    let plane = ControlPlane::start()?;
    let log = paths::logs()?.join("differential.log");
    if log.exists() {
        std::fs::remove_file(&log)?;
    }
    let (what, filter) = match arguments.record {
        true => ("record what the real server answers", "answers_as_recorded"),
        false => ("compare the simulated server with the real one", ""),
    };
    let step = progress::step(format!("{what}; log: {}", log.display()));
    let mut command = tests(&plane, arguments.sequences, arguments.seed);
    command.env("DIFFERENTIAL_ONLY", &arguments.only);
    if arguments.record {
        command.env("DIFFERENTIAL_RECORD", "yes");
    }
    command.args(["--", "--nocapture", filter]);
    process::run(what, &mut command, &log, LIMIT)?;
    step.done();
    Ok(())
}

/// The tests that compare the two servers, the real one being this.
pub fn tests(plane: &ControlPlane, sequences: u64, seed: Option<u64>) -> Command {
    let mut command = Command::new("cargo");
    command.args(["test", "--package", "operator-testkit", "--features", "real-server", "--test", "differential"]);
    command.env("KUBECONFIG", plane.kubeconfig()).env("DIFFERENTIAL_SEQUENCES", sequences.to_string());
    let seed = seed.unwrap_or_else(|| RandomState::new().build_hasher().finish());
    progress::say(format!(
        "{sequences} sequences; the same again: cargo xtask differential --sequences {sequences} --seed {seed}"
    ));
    command.env("DIFFERENTIAL_SEED", seed.to_string());
    if let Ok(root) = paths::workspace_root() {
        command.current_dir(root);
    }
    command
}
