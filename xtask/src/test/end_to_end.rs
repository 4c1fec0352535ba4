//! The tier `e2e`: the operators on a real cluster, harm done to it, and upstream's suite against it.
//!
//! It uses the cluster that is up, or brings one up and takes it down again. Taking it down is a test of its own: the
//! tests of the cluster's life come last, when no cluster of ours is left that could hide what they leave behind.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::Arguments;
use super::step::Steps;
use crate::cluster::{self, Cluster, Docker, UpOptions};
use crate::images::{self, Images};
use crate::tools::{self, Tool, ToolBox};
use crate::{conformance, manifests, paths};

const BUILD_LIMIT: Duration = Duration::from_secs(30 * 60);
const TEST_LIMIT: Duration = Duration::from_secs(20 * 60);

/// Files of tests on the cluster, the harmless ones first.
const ON_CLUSTER: [&str; 12] = [
    "cluster_network",
    "cluster_access",
    "cluster_storage",
    "deployment_lite_bad_input",
    "deployment_lite_rollout",
    "deployment_lite_hands",
    "deployment_lite_leader",
    "deployment_lite_pause",
    "deployment_lite_api_server",
    "deployment_lite_idle",
    "cluster_node_failure",
    "cluster_without_controllers",
];

/// Files of tests that make clusters of their own; the first uses the Docker daemon of the one that is up.
const OF_OWN_CLUSTERS: [&str; 2] = ["cluster_situations", "cluster_lifecycle"];

/// The name under which upstream's suite is chosen by `--only`.
const CONFORMANCE: &str = "conformance";

/// Runs the tier.
pub fn run(steps: &mut Steps, arguments: &Arguments) {
    let is_wanted = |name: &str| arguments.only.is_empty() || arguments.only.iter().any(|only| only == name);
    let unknown = arguments.only.iter().filter(|only| {
        !ON_CLUSTER.contains(&only.as_str()) && !OF_OWN_CLUSTERS.contains(&only.as_str()) && *only != CONFORMANCE
    });
    for name in unknown {
        steps.fail(name, &format!("there is no such file in tests/e2e/tests; there are {}", ON_CLUSTER.join(", ")));
    }
    if !Docker::of_user().answers() && !rustix::process::geteuid().is_root() {
        return steps.skip("everything on a cluster", "it needs Docker, or root on Debian: sudo -E cargo xtask test");
    }
    let was_up = Cluster::open(cluster::DEFAULT_NAME).is_ok();
    let Some(cluster) = steps.check("cluster up", || cluster::up(&UpOptions::default())) else { return };
    let prepared = steps.check("images and operators", || prepare(&cluster));
    let environment = match prepared.map(|images| Environment::of(&cluster, &images)) {
        Some(Ok(environment)) => environment,
        Some(Err(error)) => return steps.fail("the tests' environment", &format!("{error:#}")),
        None => return,
    };
    let mut build = cargo_test(&["--no-run"]);
    steps.command("building the tests", &mut build, BUILD_LIMIT);
    for name in ON_CLUSTER.into_iter().filter(|name| is_wanted(name)) {
        steps.tests(name, &mut environment.test(name, arguments), TEST_LIMIT);
    }
    if is_wanted(CONFORMANCE) {
        steps.check("upstream's suite with upstream's controllers", || conformance::control(&cluster));
    }
    let [situations, lifecycle] = OF_OWN_CLUSTERS;
    if is_wanted(situations) {
        steps.tests(situations, &mut environment.test(situations, arguments), TEST_LIMIT);
    }
    if !was_up && !arguments.keep {
        steps.check("cluster down", || cluster::down(cluster::DEFAULT_NAME, false));
    }
    if is_wanted(lifecycle) {
        steps.tests(lifecycle, &mut environment.test(lifecycle, arguments), TEST_LIMIT);
    }
}

fn prepare(cluster: &Cluster) -> Result<Images> {
    let images = images::prepare(cluster)?;
    for name in images::OPERATORS {
        manifests::install::operator(cluster, images.operator(name)?)?;
    }
    Ok(images)
}

/// What the tests are told about the cluster.
struct Environment {
    variables: Vec<(String, std::ffi::OsString)>,
}

impl Environment {
    fn of(cluster: &Cluster, images: &Images) -> Result<Self> {
        let tools: ToolBox = tools::ensure(&[Tool::Kubectl])?;
        let own = std::env::current_exe().context("failed to find this program's own file")?;
        // A copy: the tests compile parts of the workspace, which may replace the program while they run.
        let copy = paths::state()?.join("xtask-under-test");
        std::fs::copy(&own, &copy).with_context(|| format!("failed to copy this program to {}", copy.display()))?;
        let mut variables = vec![
            ("OPERATOR_LITE_KUBECONFIG".to_owned(), cluster.kubeconfig().into()),
            ("OPERATOR_LITE_KUBECTL".to_owned(), tools.path("kubectl")?.into()),
            ("OPERATOR_LITE_XTASK".to_owned(), copy.into()),
            ("OPERATOR_LITE_CLUSTER".to_owned(), cluster::DEFAULT_NAME.into()),
        ];
        let docker = cluster.docker()?;
        if let Some((_, Some(host))) = docker.get_envs().find(|(name, _)| *name == "DOCKER_HOST") {
            variables.push(("OPERATOR_LITE_DOCKER_HOST".to_owned(), host.to_owned()));
        }
        let inside = cluster.enter_network("true")?;
        if let Some(namespace) = inside.get_args().find_map(|argument| argument.to_str()?.strip_prefix("--net=")) {
            variables.push(("OPERATOR_LITE_NETWORK_NAMESPACE".to_owned(), namespace.into()));
        }
        for name in images::OPERATORS {
            let variable = format!("OPERATOR_LITE_{}", name.replace('-', "_").to_uppercase());
            variables.push((variable, images.operator(name)?.program.clone().into()));
        }
        Ok(Self { variables })
    }

    /// One file of tests, its tests one after the other: most of them need the cluster for themselves.
    fn test(&self, name: &str, arguments: &Arguments) -> Command {
        let mut command = cargo_test(&["--test", name, "--no-fail-fast"]);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.args(["--", "--test-threads=1", "--nocapture"]).args(&arguments.filter);
        command
    }
}

fn cargo_test(arguments: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.args(["test", "--package", "e2e", "--features", "cluster"]).args(arguments);
    command.current_dir(paths::workspace_root().as_deref().unwrap_or(Path::new(".")));
    command
}
