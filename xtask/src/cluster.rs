//! A real Kubernetes cluster in containers: brought up, used, broken on purpose, and taken down without a trace.

mod arguments;
mod audit;
mod capability;
mod cgroup;
mod cleanup;
mod docker;
mod existing;
mod forward;
mod health;
mod kind;
mod load;
pub mod lock;
mod loop_device;
mod network;
mod node;
mod node_image;
mod private_docker;
mod record;
mod situation;
mod supervisor;
mod sysctl;
mod up;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow, bail};

pub use self::arguments::{Arguments, KubectlArguments, kubectl, run};
pub use self::cleanup::down;
pub use self::docker::Docker;
pub use self::record::{Node, Record};
pub use self::up::{UpOptions, up};

use self::private_docker::PrivateDocker;
use crate::paths;
use crate::tools::{self, Tool};

/// The name of the cluster if none is given.
pub const DEFAULT_NAME: &str = "operator-lite";
/// The first argument of verbs that this program calls itself by.
pub const INTERNAL: &str = "internal";

/// A cluster that can be used.
#[derive(Clone, Debug)]
pub struct Cluster {
    name: String,
    kubeconfig: PathBuf,
    kubectl: PathBuf,
    /// None for a cluster that something else made.
    record: Option<Record>,
    docker: Docker,
}

/// A line for the user to type: a verb of xtask and what follows it, for the cluster of this name.
#[must_use]
pub fn line(name: &str, verb: &str, rest: &str) -> String {
    match (name, verb) {
        (DEFAULT_NAME, _) => format!("cargo xtask {verb} {rest}"),
        // What follows goes to kubectl.
        (_, "kubectl") => format!("cargo xtask {verb} --name {name} {rest}"),
        _ => format!("cargo xtask {verb} {rest} --name {name}"),
    }
}

impl Cluster {
    /// A cluster that `up` has brought up.
    pub fn open(name: &str) -> Result<Self> {
        let record = Record::read(name).filter(|record| record.is_complete);
        let record = record.ok_or_else(|| {
            anyhow!("there is no cluster {name}: bring one up with `{}`", line(name, "cluster", "up"))
        })?;
        let docker = match record.is_private {
            true => PrivateDocker::new()?.client(),
            false => Docker::of_user(),
        };
        Self::from_record(record, docker)
    }

    /// A cluster that something else made, by the name of its context in the user's kubeconfig.
    pub fn existing(context: &str) -> Result<Self> {
        existing::open(context)
    }

    fn from_record(record: Record, docker: Docker) -> Result<Self> {
        Ok(Self {
            name: record.name.clone(),
            kubeconfig: paths::cluster(&record.name)?.join("kubeconfig"),
            kubectl: kubectl_program()?,
            record: Some(record),
            docker,
        })
    }

    /// A line for the user to type: a verb of xtask and what follows it, for this very cluster.
    #[must_use]
    pub fn line(&self, verb: &str, rest: &str) -> String {
        match &self.record {
            Some(record) => line(&record.name, verb, rest),
            None => format!("cargo xtask {verb} --context {} {rest}", self.name),
        }
    }

    /// The cluster's name, or that of its context.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A kubeconfig that holds this cluster alone; it works inside and outside the private network.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// kubectl of the cluster's own version, set to this cluster.
    #[must_use]
    pub fn kubectl(&self) -> Command {
        let mut command = Command::new(&self.kubectl);
        command.env("KUBECONFIG", &self.kubeconfig);
        command
    }

    /// The client of the Docker daemon that the nodes live in.
    pub fn docker(&self) -> Result<Command> {
        self.record("Docker").map(|_| self.docker.command())
    }

    /// The nodes, control plane first.
    pub fn nodes(&self) -> Result<&[Node]> {
        self.record("its nodes").map(|record| record.nodes.as_slice())
    }

    /// Puts the images of an archive (see [`crate::image`]) on every node.
    pub fn load_image(&self, archive: &Path) -> Result<()> {
        load::load(&self.docker, self.record("loading images")?, archive)
    }

    /// A command that runs where node and pod addresses can be reached through the nodes' network.
    pub fn enter_network(&self, program: &str) -> Result<Command> {
        let record = self.record("its network")?;
        if !record.is_private {
            return Ok(Command::new(program));
        }
        let mut command = Command::new("nsenter");
        let mut option = OsString::from("--net=");
        option.push(PrivateDocker::new()?.network_namespace()?);
        command.arg(option).arg("--").arg(program);
        Ok(command)
    }

    /// What is known of a cluster of ours; for one that something else made, a clear refusal.
    fn record(&self, what: &str) -> Result<&Record> {
        match &self.record {
            Some(record) => Ok(record),
            None => bail!(
                "{what} of {} is not in reach: xtask did not make this cluster; use its own tools for that",
                self.name
            ),
        }
    }
}

fn kubectl_program() -> Result<PathBuf> {
    Ok(tools::find_or_ensure(Tool::Kubectl)?.path("kubectl")?.to_path_buf())
}

/// Verbs that this program calls itself by; none of them is for users.
pub fn run_internal(arguments: &[OsString]) -> Result<()> {
    let text = |position: usize| arguments.get(position).and_then(|argument| argument.to_str()).unwrap_or_default();
    let path = |position: usize| PathBuf::from(arguments.get(position).cloned().unwrap_or_default());
    match text(0) {
        "runtime" => capability::become_runc(&arguments[1..]),
        "supervise-docker" => supervisor::run(&path(1)),
        "forward" => forward::run(text(1).parse().context("failed to read the port")?, &path(2)),
        other => bail!("{other:?} is no verb of this program"),
    }
}
