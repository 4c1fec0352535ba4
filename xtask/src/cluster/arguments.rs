//! `cargo xtask cluster …` as the user types it.

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};

use super::node::Action;
use super::private_docker::PrivateDocker;
use super::{Cluster, DEFAULT_NAME, Record, UpOptions, cleanup, forward, health, kind, line, node, up};
use crate::tools::{self, Tool};
use crate::{paths, progress};

/// Which cluster, and what to do with it.
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    #[command(flatten)]
    choice: Choice,
    #[command(subcommand)]
    verb: Verb,
}

/// Which cluster.
#[derive(Args, Clone, Debug)]
pub struct Choice {
    /// The cluster's name; several can exist side by side.
    #[arg(long, default_value = DEFAULT_NAME, global = true)]
    name: String,
    /// Use an existing cluster by the name of its context in your kubeconfig.
    #[arg(long, global = true, conflicts_with = "name")]
    context: Option<String>,
}

#[derive(Subcommand, Clone, Debug)]
enum Verb {
    /// Bring the cluster up, or back to health.
    Up {
        /// Nodes besides the control plane.
        #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=9))]
        workers: u32,
        /// Leave Deployments and ReplicaSets to an operator.
        #[arg(long)]
        controllers_off: bool,
    },
    /// Take the cluster down; nothing stays but files in the cache.
    Down {
        /// Remove programs and images from the cache, too.
        #[arg(long)]
        purge: bool,
    },
    /// Say what is there.
    Status,
    /// Print the path of a kubeconfig for this cluster.
    Kubeconfig,
    /// Put the images of an archive on every node.
    LoadImage {
        /// An archive made by `docker save` or by `cargo xtask images`.
        archive: PathBuf,
    },
    /// Collect the logs of nodes and pods into a folder and print its path.
    Logs,
    /// Stop, start, pause, unpause, partition or heal a node.
    Node {
        /// What to do.
        action: Action,
        /// The node's name, with or without the cluster's name before it.
        node: String,
    },
}

impl Choice {
    /// Opens the cluster that the user named.
    pub fn open(&self) -> Result<Cluster> {
        match &self.context {
            Some(context) => Cluster::existing(context),
            None => Cluster::open(&self.name),
        }
    }
}

/// Does what the arguments say.
pub fn run(arguments: &Arguments) -> Result<()> {
    let choice = &arguments.choice;
    match &arguments.verb {
        Verb::Up { .. } if choice.context.is_some() => {
            let cluster = choice.open()?;
            progress::say(format!("the cluster of the context {} answers; it is used as it is", cluster.name()));
        }
        Verb::Up { workers, controllers_off } => {
            let name = choice.name.clone();
            up(&UpOptions { name, workers: *workers, controllers_off: *controllers_off })?;
        }
        Verb::Down { .. } if choice.context.is_some() => {
            bail!("xtask did not make the cluster of this context and does not take it down")
        }
        Verb::Down { purge } => cleanup::down(&choice.name, *purge)?,
        Verb::Status => status(choice)?,
        Verb::Kubeconfig => println!("{}", choice.open()?.kubeconfig().display()),
        Verb::LoadImage { archive } => {
            let cluster = choice.open()?;
            let step = progress::step(format!("loading {}", archive.display()));
            cluster.load_image(archive)?;
            step.done();
        }
        Verb::Logs => logs(&choice.open()?)?,
        Verb::Node { action, node } => node::act(&choice.open()?, *action, node)?,
    }
    Ok(())
}

fn logs(cluster: &Cluster) -> Result<()> {
    let record = cluster.record("collecting logs")?;
    let folder = paths::cluster(&record.name)?.join("logs");
    let tools = tools::find_or_ensure(Tool::Kind)?;
    kind::export_logs(record, &cluster.docker, &tools, &folder)?;
    println!("{}", folder.display());
    Ok(())
}

fn status(choice: &Choice) -> Result<()> {
    let mut out = std::io::stdout().lock();
    if let (None, Some(record)) = (&choice.context, Record::read(&choice.name))
        && !record.is_complete
    {
        writeln!(
            out,
            "cluster     {}, not complete: `{}` goes on, `down` removes it",
            record.name,
            line(&record.name, "cluster", "up")
        )?;
        return Ok(());
    }
    let cluster = choice.open()?;
    writeln!(out, "cluster     {}", cluster.name())?;
    writeln!(out, "kubeconfig  {}", cluster.kubeconfig().display())?;
    if let Some(record) = &cluster.record {
        writeln!(out, "node image  {}", record.image)?;
        writeln!(out, "API server  https://127.0.0.1:{}", record.api_port)?;
        if record.is_private {
            let namespace = PrivateDocker::new()?.network_namespace();
            let namespace = namespace.map_or_else(|error| error.to_string(), |path| path.display().to_string());
            writeln!(out, "network     private: nsenter --net={namespace}")?;
            let runs = forward::is_running(&record.name)?;
            let up = line(&record.name, "cluster", "up");
            writeln!(out, "forwarder   {}", if runs { "runs".to_owned() } else { format!("does not run: {up}") })?;
        }
    }
    let ready = health::nodes(&cluster);
    for node in cluster.record.iter().flat_map(|record| &record.nodes) {
        let state = cluster.docker.state(&node.name).unwrap_or_else(|error| error.to_string());
        let word = match ready.as_ref().map(|list| list.iter().find(|(name, _)| *name == node.name)) {
            Ok(Some((_, true))) => "Ready",
            Ok(Some((_, false))) => "NotReady",
            _ => "unknown",
        };
        writeln!(out, "node        {:<32} {state:<10} {word:<9} {}  pods {}", node.name, node.address, node.pod_range)?;
    }
    if let (None, Ok(list)) = (&cluster.record, &ready) {
        for (name, is_ready) in list {
            writeln!(out, "node        {name:<32} {}", if *is_ready { "Ready" } else { "NotReady" })?;
        }
    }
    ready.map(drop).map_err(|error| anyhow::anyhow!(error)).context("the API server does not answer")
}

/// `cargo xtask kubectl …`: kubectl of the cluster's version, set to the cluster.
#[derive(Args, Clone, Debug)]
#[command(disable_help_flag = true)]
pub struct KubectlArguments {
    /// Arguments for kubectl; `--name NAME` as the first two choose another cluster of ours.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// Becomes kubectl.
pub fn kubectl(arguments: &KubectlArguments) -> Result<()> {
    use std::os::unix::process::CommandExt;
    let (choice, rest) = choice_of(&arguments.arguments);
    Err(choice.open()?.kubectl().args(rest).exec()).context("failed to become kubectl")
}

/// What the first arguments choose, and those that are left for kubectl.
fn choice_of(arguments: &[OsString]) -> (Choice, &[OsString]) {
    let default = Choice { name: DEFAULT_NAME.to_owned(), context: None };
    let Some((first, rest)) = arguments.split_first() else { return (default, arguments) };
    let first = first.to_string_lossy();
    let (option, value, rest) = match (first.split_once('='), rest) {
        (Some((option, value)), rest) => (option, value.to_owned(), rest),
        (None, [value, rest @ ..]) => (first.as_ref(), value.to_string_lossy().into_owned(), rest),
        (None, []) => return (default, arguments),
    };
    match option {
        "--name" => (Choice { name: value, ..default }, rest),
        "--context" => (Choice { context: Some(value), ..default }, rest),
        _ => (default, arguments),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(arguments: &[&str]) -> (String, Option<String>, Vec<String>) {
        let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
        let (choice, rest) = choice_of(&arguments);
        let rest = rest.iter().map(|argument| argument.to_string_lossy().into_owned());
        (choice.name, choice.context, rest.collect())
    }

    #[test]
    fn only_the_first_argument_chooses_the_cluster() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let default = DEFAULT_NAME.to_owned();
        assert_eq!(chosen(&["get", "pods"]), (default.clone(), None, words(&["get", "pods"])));
        assert_eq!(chosen(&["--name", "a", "get"]), ("a".to_owned(), None, words(&["get"])));
        assert_eq!(chosen(&["--name=a", "get"]), ("a".to_owned(), None, words(&["get"])));
        assert_eq!(chosen(&["--context=b", "get"]), (default.clone(), Some("b".to_owned()), words(&["get"])));
        assert_eq!(chosen(&["get", "--name", "a"]), (default, None, words(&["get", "--name", "a"])));
    }
}
