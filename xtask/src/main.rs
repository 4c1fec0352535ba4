//! `cargo xtask …`: everything a user or developer of this repository does, in one command each.
#![allow(unreachable_pub, reason = "a program has no public interface; `pub` says: for the other modules")]

mod bench;
mod cluster;
mod conformance;
mod control_plane;
mod demo;
mod differential;
mod digest;
mod image;
mod images;
mod manifests;
mod mutations;
mod packages;
mod paths;
mod process;
mod progress;
mod soak;
mod test;
mod tools;

use std::io;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand, error::ErrorKind};

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    about = "Everything around operator-lite, in one command each",
    version
)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Measure how fast things are.
    Bench(bench::Arguments),
    /// A real four-node Kubernetes in containers, on this machine.
    Cluster(cluster::Arguments),
    /// kubectl of the cluster's version, set to the cluster.
    Kubectl(cluster::KubectlArguments),
    /// From nothing to an operator at work, seen live in the terminal.
    Demo(demo::Arguments),
    /// Run every tier of tests that exists, and print a table of them.
    Test(test::Arguments),
    /// Run upstream's own tests of Deployments and ReplicaSets.
    Conformance(conformance::Arguments),
    /// etcd and kube-apiserver alone, as plain processes on loopback.
    ControlPlane(control_plane::Arguments),
    /// Compare the simulated API server with the real one.
    Differential(differential::Arguments),
    /// Build the container images and load them into the cluster.
    Images(images::Arguments),
    /// Write CRDs and manifests from the operators' code.
    Manifests(manifests::Arguments),
    /// Break the code behind each listed behaviour, and see that its test fails.
    Mutations(mutations::Arguments),
    /// Run what takes longer than a test may.
    Soak(soak::Arguments),
}

fn main() -> ExitCode {
    let arguments: Vec<std::ffi::OsString> = std::env::args_os().skip(1).collect();
    let result = match arguments.split_first() {
        // Docker and we ourselves call these; their arguments are not for clap.
        Some((first, rest)) if first == cluster::INTERNAL => cluster::run_internal(rest),
        _ => match Arguments::try_parse() {
            Ok(arguments) => run(arguments),
            Err(error) => return refuse(&error),
        },
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read our output, such as `head`, has read enough.
        Err(error)
            if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe) =>
        {
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The usual text for `--help`, and one line for what cannot be understood.
fn refuse(error: &clap::Error) -> ExitCode {
    if error.exit_code() == 0 || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let _ = error.print();
        return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
    }
    let text = error.to_string();
    let lines: Vec<&str> = text.lines().take_while(|line| !line.is_empty()).map(str::trim).collect();
    eprintln!("{}; see 'cargo xtask --help'", lines.join(" "));
    ExitCode::from(2)
}

fn run(arguments: Arguments) -> Result<()> {
    match arguments.verb {
        Verb::Bench(arguments) => bench::run(&arguments),
        Verb::Cluster(arguments) => cluster::run(&arguments),
        Verb::Kubectl(arguments) => cluster::kubectl(&arguments),
        Verb::Demo(arguments) => demo::run(&arguments),
        Verb::Test(arguments) => test::run(&arguments),
        Verb::Conformance(arguments) => conformance::run(&arguments),
        Verb::ControlPlane(arguments) => control_plane::run(&arguments),
        Verb::Differential(arguments) => differential::run(&arguments),
        Verb::Images(arguments) => images::run(&arguments),
        Verb::Manifests(arguments) => manifests::run(&arguments),
        Verb::Mutations(arguments) => mutations::run(&arguments),
        Verb::Soak(arguments) => soak::run(&arguments),
    }
}
