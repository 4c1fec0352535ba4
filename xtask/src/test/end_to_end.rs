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
const ON_CLUSTER: [&str; 13] = [
    "cluster_network",
    "cluster_access",
    "cluster_storage",
    "deployment_lite_bad_input",
    "deployment_lite_kubectl",
    "deployment_lite_rollout",
    "deployment_lite_hands",
    "deployment_lite_leader",
    "deployment_lite_pause",
    "deployment_lite_api_server",
    "deployment_lite_idle",
    "cluster_node_failure",
    "cluster_without_controllers",
];

/// The file of tests on a cluster whose Deployments and ReplicaSets are left to deployment-lite.
const WITHOUT_CONTROLLERS: &str = "deployment_lite_builtin";

/// Files of tests that make clusters of their own; the first uses the Docker daemon of the one that is up.
const OF_OWN_CLUSTERS: [&str; 2] = ["cluster_situations", "cluster_lifecycle"];

/// The name under which upstream's suite is chosen by `--only`.
const CONFORMANCE: &str = "conformance";

/// Runs the tier.
pub fn run(steps: &mut Steps, arguments: &Arguments) {
    let is_wanted = |name: &str| is_wanted(arguments, name);
    let files = [&ON_CLUSTER[..], &[WITHOUT_CONTROLLERS], &OF_OWN_CLUSTERS, &[CONFORMANCE]].concat();
    for name in arguments.only.iter().filter(|only| !files.contains(&only.as_str())) {
        steps.fail(name, &format!("there is no such file in tests/e2e/tests; there are {}", files.join(", ")));
    }
    if !Docker::of_user().answers() && !rustix::process::geteuid().is_root() {
        return steps.skip("everything on a cluster", "it needs Docker, or root on Debian: sudo -E cargo xtask test");
    }
    let was_up = Cluster::open(cluster::DEFAULT_NAME).is_ok();
    let Some(cluster) = steps.check("cluster up", || cluster::up(&UpOptions::default())) else { return };
    let prepared = steps.check("images and operators", || {
        let images = images::prepare(&cluster)?;
        manifests::install::operator(&cluster, &manifests::DEPLOYMENT_LITE, &images)?;
        Ok((Environment::of(&cluster, &images)?, images))
    });
    let Some((environment, images)) = prepared else { return };
    let mut build = cargo_test(&["--no-run"]);
    steps.command("building the tests", &mut build, BUILD_LIMIT);
    for name in ON_CLUSTER.into_iter().filter(|name| is_wanted(name)) {
        steps.tests(name, &mut environment.test(name, arguments), TEST_LIMIT);
    }
    if is_wanted(CONFORMANCE) {
        steps.check("upstream's suite with upstream's controllers", || conformance::control(&cluster));
    }
    if is_wanted(WITHOUT_CONTROLLERS) || is_wanted(CONFORMANCE) {
        without_controllers(steps, arguments, &images);
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

fn is_wanted(arguments: &Arguments, name: &str) -> bool {
    arguments.only.is_empty() || arguments.only.iter().any(|only| only == name)
}

/// What deployment-lite does in the place of the built-in controllers, in a cluster of its own.
fn without_controllers(steps: &mut Steps, arguments: &Arguments, images: &Images) {
    let options = conformance::builtin_cluster();
    let was_up = Cluster::open(&options.name).is_ok();
    let taken_over = steps.check("cluster in the hands of deployment-lite", || {
        let cluster = cluster::up(&options)?;
        images::load(&cluster, images)?;
        conformance::take_over(&cluster, images)?;
        Ok((Environment::of(&cluster, images)?, cluster))
    });
    if let Some((environment, cluster)) = taken_over {
        if is_wanted(arguments, WITHOUT_CONTROLLERS) {
            steps.tests(WITHOUT_CONTROLLERS, &mut environment.test(WITHOUT_CONTROLLERS, arguments), TEST_LIMIT);
        }
        if is_wanted(arguments, CONFORMANCE) {
            steps.check("upstream's suite with deployment-lite", || conformance::ours(&cluster));
        }
    }
    if !was_up && !arguments.keep {
        steps.check("that cluster down", || cluster::down(&options.name, false));
    }
}

/// What the tests are told about the cluster.
struct Environment {
    variables: Vec<(String, std::ffi::OsString)>,
}

impl Environment {
    fn of(cluster: &Cluster, images: &Images) -> Result<Self> {
        let tools: ToolBox = tools::ensure(&[Tool::Kubectl])?;
        // A copy: the tests compile parts of the workspace, which may replace the program while they run. What runs an
        // earlier copy keeps it.
        let copy = paths::state()?.join("xtask-under-test");
        let new = copy.with_extension("new");
        std::fs::copy(paths::OWN_PROGRAM, &new)
            .and_then(|_| std::fs::rename(&new, &copy))
            .with_context(|| format!("failed to copy this program to {}", copy.display()))?;
        let mut variables = vec![
            ("OPERATOR_LITE_KUBECONFIG".to_owned(), cluster.kubeconfig().into()),
            ("OPERATOR_LITE_KUBECTL".to_owned(), tools.path("kubectl")?.into()),
            ("OPERATOR_LITE_XTASK".to_owned(), copy.into()),
            ("OPERATOR_LITE_CLUSTER".to_owned(), cluster.name().into()),
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
