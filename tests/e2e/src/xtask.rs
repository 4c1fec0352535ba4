//! The project's own command line, run by the tests as a user runs it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use tokio::process::Command;

use crate::{cluster, command};

/// How long a node may take to stop or to come back, as `xtask cluster node` waits for it.
const NODE_LIMIT: Duration = Duration::from_secs(180);

/// `xtask`, and the name of the cluster that it shall act on.
#[derive(Clone, Debug)]
pub struct Xtask {
    program: PathBuf,
    cluster: String,
}

impl Xtask {
    /// The one that runs the tests.
    ///
    /// # Errors
    /// The environment does not name it.
    pub fn from_environment() -> Result<Self> {
        Ok(Self {
            program: cluster::variable("OPERATOR_LITE_XTASK")?.into(),
            cluster: std::env::var("OPERATOR_LITE_CLUSTER").unwrap_or("operator-lite".into()),
        })
    }

    /// The same command line, aimed at another cluster.
    #[must_use]
    pub fn for_cluster(&self, name: &str) -> Self {
        Self { program: self.program.clone(), cluster: name.to_owned() }
    }

    /// The name of the cluster that it acts on.
    #[must_use]
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// Where the program lies.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// `xtask cluster <verb> --name <cluster>`, ready to be run.
    #[must_use]
    pub fn cluster_command(&self, verb: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("cluster").args(verb).args(["--name", &self.cluster]);
        command
    }

    /// Runs `xtask cluster node <action> <node>`.
    ///
    /// # Errors
    /// It fails, or the node does not get there in time.
    pub async fn node(&self, action: &str, node: &str) -> Result<()> {
        command::succeed(&mut self.cluster_command(&["node", action, node]), NODE_LIMIT).await?;
        Ok(())
    }
}
