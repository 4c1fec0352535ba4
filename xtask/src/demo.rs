//! `cargo xtask demo`: from nothing to an operator at work, seen live in the terminal.
//!
//! A LiteDeployment of six web servers comes up over three nodes, one of them is killed and replaced, and a new version
//! is rolled out, while a client in the cluster sends requests to them all the time. What it made stays to be looked
//! at; only the client goes, also when the demo is broken off.

mod screen;
mod stories;
mod traffic;
mod view;
mod watch;

use std::time::Duration;

use anyhow::{Context, Result};

use self::screen::Screen;
use self::stories::Stories;
use self::traffic::Traffic;
use self::watch::Watch;
use crate::cluster::{self, Cluster, UpOptions};
use crate::{images, manifests, paths, process, progress};

/// The namespace of everything that the demo makes.
const NAMESPACE: &str = "operator-lite-demo";
const EXAMPLE: &str = "examples/deployment-lite/web.yaml";
const APPLY_LIMIT: Duration = Duration::from_secs(60);
const CLEAN_LIMIT: Duration = Duration::from_secs(120);

/// What `demo` can be told.
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// The cluster to use; it is brought up if it is not.
    #[arg(long, default_value = cluster::DEFAULT_NAME)]
    name: String,
}

/// Runs the demo to its end.
pub fn run(arguments: &Arguments) -> Result<()> {
    let cluster = cluster::up(&UpOptions { name: arguments.name.clone(), ..UpOptions::default() })?;
    let images = images::prepare(&cluster)?;
    manifests::install::operator(&cluster, &manifests::DEPLOYMENT_LITE, &images)?;
    clear(&cluster)?;
    let watch = Watch::start(&cluster)?;
    apply(&cluster)?;
    let mut screen = Screen::new(watch.view());
    let stories = Stories { cluster: &cluster, watch: &watch };

    stories.come_up(&mut screen)?;
    let traffic = Traffic::start(&cluster, watch.view())?;
    stories.wait_for_traffic(&mut screen)?;
    let replaced = stories.lose_a_pod(&mut screen)?;
    let rolled_out = stories.roll_out(&mut screen)?;
    let sums = traffic.finish()?;
    screen.end();

    let kubectl = |rest: String| cluster.line("kubectl", &rest);
    println!(
        "\nA lost pod was replaced in {}, a new version of six replicas rolled out in {}.\n\
         Requests meanwhile, each on a new connection: {} sent, {} failed.",
        progress::elapsed(replaced),
        progress::elapsed(rolled_out),
        sums.sent,
        sums.failed,
    );
    for error in &sums.first_errors {
        println!("  {error}");
    }
    println!(
        "\nLook around:\n  \
         {}\n  {}\n  {}\n\
         Take it all down:\n  {}",
        kubectl(format!("-n {NAMESPACE} get ldeploy,lrs,pods -o wide")),
        kubectl(format!("-n {NAMESPACE} edit ldeploy web")),
        kubectl(format!(
            "-n {} logs --selector app.kubernetes.io/name=deployment-lite --prefix --tail 20",
            manifests::install::NAMESPACE
        )),
        cluster.line("cluster", "down"),
    );
    Ok(())
}

/// Removes what an earlier demo left, so that this one begins at the beginning.
fn clear(cluster: &Cluster) -> Result<()> {
    let mut delete = cluster.kubectl();
    delete.args(["delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=110s"]);
    process::output("remove what an earlier demo left", &mut delete, CLEAN_LIMIT)?;
    Ok(())
}

fn apply(cluster: &Cluster) -> Result<()> {
    let mut create = cluster.kubectl();
    create.args(["create", "namespace", NAMESPACE]);
    process::output("make a namespace for the demo", &mut create, APPLY_LIMIT)?;
    let file = paths::workspace_root()?.join(EXAMPLE);
    let mut apply = cluster.kubectl();
    apply.args(["--namespace", NAMESPACE, "apply", "--filename"]).arg(&file);
    process::output(&format!("apply {EXAMPLE}"), &mut apply, APPLY_LIMIT)
        .with_context(|| format!("see {}", file.display()))?;
    Ok(())
}
