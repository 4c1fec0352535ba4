//! The tier `unit`: everything that needs nothing but this machine's processor.

use std::process::Command;
use std::time::Duration;

use super::step::Steps;
use crate::{mutations, paths};

/// How many changes of the code are tried out.
const MUTATIONS: usize = 6;

const LIMIT: Duration = Duration::from_secs(40 * 60);

/// Runs the tier.
pub fn run(steps: &mut Steps) {
    let root = match paths::workspace_root() {
        Ok(root) => root,
        Err(error) => return steps.fail("unit tests", &format!("{error:#}")),
    };
    // The tests that need a cluster are behind a feature of tests/e2e, so this leaves them out.
    let mut tests = Command::new("cargo");
    tests.args(["test", "--workspace", "--all-targets", "--no-fail-fast"]).current_dir(&root);
    steps.tests("unit tests", &mut tests, LIMIT);
    // All of them take half an hour; each run takes others.
    steps.check("mutations", || mutations::run(&mutations::Arguments::sample(MUTATIONS)));
    let mut examples = Command::new("cargo");
    examples.args(["test", "--workspace", "--doc", "--no-fail-fast"]).current_dir(&root);
    steps.tests("examples in the documentation", &mut examples, LIMIT);
}
