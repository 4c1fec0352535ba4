//! The cluster under test: a client for it, and `kubectl` and `docker` aimed at it. Where it is comes from the
//! environment that `cargo xtask test` sets; nothing falls back to the user's current context.

use std::path::PathBuf;

use anyhow::{Context, Result};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tokio::process::Command;

use crate::command;
use crate::xtask::Xtask;

/// A handle on the cluster under test. Cheap to clone.
#[derive(Clone)]
pub struct Cluster {
    /// A client with the rights of the cluster's administrator.
    pub client: Client,
    kubeconfig: PathBuf,
    xtask: Xtask,
}

impl Cluster {
    /// Reaches the cluster that the environment names.
    ///
    /// # Errors
    /// `OPERATOR_LITE_KUBECONFIG` is not set, or its file is not a kubeconfig.
    pub async fn connect() -> Result<Self> {
        let kubeconfig = PathBuf::from(variable("OPERATOR_LITE_KUBECONFIG")?);
        let content = Kubeconfig::read_from(&kubeconfig)
            .with_context(|| format!("failed to read the kubeconfig {}", kubeconfig.display()))?;
        let config = Config::from_custom_kubeconfig(content, &KubeConfigOptions::default()).await?;
        Ok(Self { client: Client::try_from(config)?, kubeconfig, xtask: Xtask::from_environment()? })
    }

    /// The command line of the project, aimed at this cluster.
    #[must_use]
    pub fn xtask(&self) -> &Xtask {
        &self.xtask
    }

    /// `kubectl` as a user would run it from a shell of their own, with only the kubeconfig given.
    #[must_use]
    pub fn kubectl(&self) -> Command {
        let mut kubectl = Command::new(std::env::var_os("OPERATOR_LITE_KUBECTL").unwrap_or("kubectl".into()));
        kubectl.arg("--kubeconfig").arg(&self.kubeconfig);
        kubectl
    }

    /// Runs `kubectl` with these arguments; gives what it printed.
    ///
    /// # Errors
    /// It fails or takes longer than [`command::USUAL_LIMIT`].
    pub async fn run_kubectl(&self, arguments: &[&str]) -> Result<String> {
        command::succeed(self.kubectl().args(arguments), command::USUAL_LIMIT).await
    }

    /// Runs a program inside a node's container.
    ///
    /// # Errors
    /// It fails or takes longer than [`command::USUAL_LIMIT`].
    pub async fn run_on_node(&self, node: &str, arguments: &[&str]) -> Result<String> {
        command::succeed(docker().args(["exec", node]).args(arguments), command::USUAL_LIMIT).await
    }
}

/// The client of the Docker daemon that the nodes live in.
#[must_use]
pub fn docker() -> Command {
    let mut command = Command::new(std::env::var_os("OPERATOR_LITE_DOCKER").unwrap_or("docker".into()));
    if let Some(host) = std::env::var_os("OPERATOR_LITE_DOCKER_HOST") {
        command.env("DOCKER_HOST", host);
    }
    command
}

/// A variable of the environment that `cargo xtask test` sets.
///
/// # Errors
/// It is not set; the error says how to run the tests.
pub fn variable(name: &str) -> Result<String> {
    std::env::var(name).with_context(|| {
        format!("{name} is not set; run the tests by `cargo xtask test --tier e2e --only NAME --keep`")
    })
}
