//! `cargo xtask conformance`: upstream's own tests of Deployments and ReplicaSets against the cluster.
//!
//! With `--control` the controllers under test are Kubernetes' own: what passes then is what can be asked of ours.

mod report;

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use self::report::Report;
use crate::cluster::{self, Cluster, UpOptions};
use crate::tools::{self, Tool};
use crate::{images, paths, process};

/// The tests asked for. Two of those it names need a cloud and skip themselves.
const FOCUS: &str = r"\[sig-apps\] (Deployment|ReplicaSet)";

/// How many tests the focus has that can run on any cluster. Fewer mean that the focus no longer fits the suite.
const EXPECTED: usize = 18;

const LIMIT: Duration = Duration::from_secs(20 * 60);

/// What `conformance` can be told.
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// Test Kubernetes' own controllers: the control run that shows what the suite asks.
    #[arg(long)]
    control: bool,
    /// The cluster to test; it is brought up if it is not.
    #[arg(long, default_value = cluster::DEFAULT_NAME)]
    name: String,
}

/// Runs the verb.
pub fn run(arguments: &Arguments) -> Result<()> {
    if !arguments.control {
        bail!("deployment-lite has no built-in mode yet, so only `cargo xtask conformance --control` can run");
    }
    let cluster = cluster::up(&UpOptions { name: arguments.name.clone(), ..UpOptions::default() })?;
    images::prepare(&cluster)?;
    control(&cluster)
}

/// Runs the suite against a cluster whose images are loaded; prints the tests by name.
pub fn control(cluster: &Cluster) -> Result<()> {
    let tools = tools::ensure(&[Tool::EndToEndTest])?;
    let folder = paths::logs()?.join("conformance");
    paths::make(&folder)?;
    let file = folder.join("report.json");
    // A report of an earlier run must not be taken for this one's.
    if file.exists() {
        std::fs::remove_file(&file).with_context(|| format!("failed to remove {}", file.display()))?;
    }
    let log = folder.join("e2e.test.log");
    let mut suite = Command::new(tools.path("e2e.test")?);
    suite
        .arg(format!("--kubeconfig={}", cluster.kubeconfig().display()))
        .args(["--provider=skeleton", "--ginkgo.no-color", "--ginkgo.v"])
        .arg(format!("--ginkgo.focus={FOCUS}"))
        .arg(format!("--ginkgo.json-report={}", file.display()))
        .current_dir(&folder);
    // How it ended says less than its report does; without a report it is all there is.
    let ended = process::run("run upstream's suite", &mut suite, &log, LIMIT);
    let Ok(text) = std::fs::read_to_string(&file) else {
        ended?;
        bail!("upstream's suite wrote no report; log: {}", log.display());
    };
    let report = Report::read(&text).with_context(|| format!("failed to read {}", file.display()))?;
    print!("{report}");
    report.judge(EXPECTED).with_context(|| format!("log: {}", log.display()))?;
    ended
}
