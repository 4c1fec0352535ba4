//! `cargo xtask conformance`: upstream's own tests of Deployments and ReplicaSets against a cluster where
//! deployment-lite has the place of Kubernetes' own controllers.
//!
//! It has a cluster of its own, made without those controllers: no other is ever left without them. With `--control`
//! the controllers under test are Kubernetes' own: what passes then is what can be asked of ours.

mod report;

use std::time::Duration;

use anyhow::{Context, Result, bail};

use self::report::{Known, Report};
use crate::cluster::{self, Cluster, UpOptions};
use crate::images::{self, Images};
use crate::manifests::{self, install};
use crate::tools::{self, Tool};
use crate::{paths, process, progress};

/// The tests asked for. Two of those it names need a cloud and skip themselves.
const FOCUS: &str = concat!(
    r"\[sig-apps\] (Deployment|ReplicaSet)",
    // What others do with the objects that the two controllers are responsible for.
    r"|\[sig-api-machinery\] Garbage collector should (delete|orphan) RS created by deployment",
    r"|\[sig-apps\] DisruptionController (evictions: .*replicaSet, percentage|should block an eviction)",
    r"|\[sig-cli\] Kubectl rollout",
);

/// How many tests the focus has that can run on any cluster. Fewer mean that the focus no longer fits the suite.
const EXPECTED: usize = 24;

/// What deployment-lite is known to fail, and why.
const KNOWN: [Known; 0] = [];

/// The name of the cluster without controllers of Deployments and ReplicaSets if none is given.
const BUILTIN_NAME: &str = "operator-lite-builtin";

const LIMIT: Duration = Duration::from_secs(20 * 60);
const DNS_LIMIT: Duration = Duration::from_secs(120);
const CLEAN_LIMIT: Duration = Duration::from_secs(180);

/// What `conformance` can be told.
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// Test Kubernetes' own controllers: the control run that shows what the suite asks.
    #[arg(long)]
    control: bool,
    /// The cluster to test; it is brought up if it is not. Default: operator-lite-builtin, or operator-lite for the
    /// control run.
    #[arg(long)]
    name: Option<String>,
}

/// Runs the verb; the cluster stays up.
pub fn run(arguments: &Arguments) -> Result<()> {
    let options = if arguments.control { UpOptions::default() } else { builtin_cluster() };
    let name = arguments.name.clone().unwrap_or_else(|| options.name.clone());
    let cluster = cluster::up(&UpOptions { name, ..options })?;
    let images = images::prepare(&cluster)?;
    if arguments.control {
        return control(&cluster);
    }
    take_over(&cluster, &images)?;
    let judged = ours(&cluster);
    progress::say(format!("the cluster stays up; take it down by `{}`", cluster.line("cluster", "down")));
    judged
}

/// A cluster in which nothing drives Deployments and ReplicaSets.
pub fn builtin_cluster() -> UpOptions {
    UpOptions { name: BUILTIN_NAME.to_owned(), controllers_off: true, ..UpOptions::default() }
}

/// Gives the Deployments of a cluster without controllers of them to deployment-lite. Those that the cluster itself
/// has show that it works.
pub fn take_over(cluster: &Cluster, images: &Images) -> Result<()> {
    install::operator(cluster, &manifests::DEPLOYMENT_LITE_BUILTIN, images)?;
    let step = progress::step("waiting for CoreDNS, now a Deployment of ours");
    let mut rollout = cluster.kubectl();
    let timeout = format!("--timeout={}s", DNS_LIMIT.as_secs());
    rollout.args(["--namespace", "kube-system", "rollout", "status", &timeout, "deployment/coredns"]);
    process::output("roll CoreDNS out by deployment-lite", &mut rollout, DNS_LIMIT + Duration::from_secs(10))?;
    step.done();
    Ok(())
}

/// Runs the suite against deployment-lite in a cluster that it has taken over; prints the tests by name.
pub fn ours(cluster: &Cluster) -> Result<()> {
    suite(cluster, "builtin", &KNOWN)
}

/// Runs the suite against Kubernetes' own controllers in a cluster whose images are loaded; prints the tests by name.
pub fn control(cluster: &Cluster) -> Result<()> {
    suite(cluster, "control", &[])
}

fn suite(cluster: &Cluster, purpose: &str, known: &[Known]) -> Result<()> {
    let tools = tools::ensure(&[Tool::EndToEndTest, Tool::Kubectl])?;
    let folder = paths::logs()?.join("conformance").join(purpose);
    paths::make(&folder)?;
    let (file, log) = (folder.join("report.json"), folder.join("e2e.test.log"));
    // What an earlier run left must not be taken for this one's.
    for file in [&file, &log].into_iter().filter(|file| file.exists()) {
        std::fs::remove_file(file).with_context(|| format!("failed to remove {}", file.display()))?;
    }
    clear(cluster)?;
    let mut suite = process::bound(tools.path("e2e.test")?);
    suite
        .arg(format!("--kubeconfig={}", cluster.kubeconfig().display()))
        .args(["--provider=skeleton", "--ginkgo.no-color", "--ginkgo.v"])
        .arg(format!("--kubectl-path={}", tools.path("kubectl")?.display()))
        .arg(format!("--ginkgo.focus={FOCUS}"))
        .arg(format!("--ginkgo.json-report={}", file.display()))
        .current_dir(&folder);
    let step = progress::step(format!("upstream's suite; log: {}", log.display()));
    // How it ended says less than its report does; without a report it is all there is.
    let ended = process::run("run upstream's suite", &mut suite, &log, LIMIT);
    let Ok(text) = std::fs::read_to_string(&file) else {
        ended?;
        bail!("upstream's suite wrote no report; log: {}", log.display());
    };
    let report = Report::read(&text, known).with_context(|| format!("failed to read {}", file.display()))?;
    step.done();
    print!("{report}");
    report.judge(EXPECTED).with_context(|| format!("log: {}", log.display()))
}

/// Removes what a run left that was broken off.
fn clear(cluster: &Cluster) -> Result<()> {
    let mut delete = cluster.kubectl();
    delete.args(["delete", "namespaces", "--selector=e2e-framework", "--ignore-not-found", "--timeout=170s"]);
    process::output("remove what an earlier run of upstream's suite left", &mut delete, CLEAN_LIMIT)?;
    Ok(())
}
