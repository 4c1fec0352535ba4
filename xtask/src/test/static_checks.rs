//! The tier `static`: what can be said of the code without running it.

use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use super::layering;
use super::step::Steps;
use crate::{paths, process};

const LIMIT: Duration = Duration::from_secs(30 * 60);
const QUICK: Duration = Duration::from_secs(120);

/// The version of cargo-deny, and its features: none, for advisories (they need the internet) are not asked here.
const DENY_VERSION: &str = "0.20.2";

/// Runs the tier.
pub fn run(steps: &mut Steps) {
    steps.command("format", &mut cargo(&["fmt", "--all", "--check"]), QUICK);
    let lints = ["clippy", "--workspace", "--all-targets", "--all-features", "--", "--deny", "warnings"];
    steps.command("lints", &mut cargo(&lints), LIMIT);
    let mut documentation = cargo(&["doc", "--workspace", "--no-deps", "--document-private-items"]);
    steps.command("documentation", documentation.env("RUSTDOCFLAGS", "--deny warnings"), LIMIT);
    match deny() {
        Ok(mut deny) => steps.command("licences, bans and sources of dependencies", &mut deny, QUICK),
        Err(error) => steps.fail("licences, bans and sources of dependencies", &format!("{error:#}")),
    }
    steps.check("layering", layering::check);
    steps.command(
        "generated files",
        &mut cargo(&["run", "--quiet", "--package", "xtask", "--", "manifests", "--check"]),
        LIMIT,
    );
}

fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.args(arguments);
    if let Ok(root) = paths::workspace_root() {
        command.current_dir(root);
    }
    command
}

/// cargo-deny, built into the cache if it is not there.
fn deny() -> Result<Command> {
    let folder = paths::cache()?.join("tools").join(format!("cargo-deny-{DENY_VERSION}"));
    let program = folder.join("bin/cargo-deny");
    if !program.is_file() {
        let mut install =
            cargo(&["install", "--locked", "--no-default-features", "--version", DENY_VERSION, "cargo-deny", "--root"]);
        // Its own target folder goes with it: `cargo install` puts the program in place only when it is complete.
        install.arg(&folder).env_remove("CARGO_TARGET_DIR");
        process::run("build cargo-deny", &mut install, &paths::logs()?.join("cargo-deny.log"), LIMIT)?;
    }
    let mut command = Command::new(program);
    command.args(["check", "bans", "licenses", "sources"]).current_dir(paths::workspace_root()?);
    Ok(command)
}
