//! The tier `api`: the simulated API server against the real one, which runs alone on loopback.

use std::time::Duration;

use super::step::Steps;
use crate::control_plane::ControlPlane;
use crate::{differential, process};

/// How many sequences of requests are generated, each run others.
const SEQUENCES: u64 = 200;

const LIMIT: Duration = Duration::from_secs(30 * 60);

/// Runs the tier.
pub fn run(steps: &mut Steps) {
    if process::find_program("go").is_none() {
        return steps.skip("everything on a real API server", "it needs Go: see https://go.dev/dl");
    }
    let Some(plane) = steps.check("control plane alone", ControlPlane::start) else { return };
    let mut tests = differential::tests(&plane, SEQUENCES, None);
    tests.args(["--no-fail-fast", "--", "--nocapture"]);
    steps.tests("differential", &mut tests, LIMIT);
}
