//! The Docker daemon a cluster lives in, through its command line client.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::process;

const QUICK: Duration = Duration::from_secs(30);
/// Removing four busy nodes takes a while on a slow machine.
const SLOW: Duration = Duration::from_secs(180);

/// A way to one Docker daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Docker {
    /// `DOCKER_HOST`, or what the user's client chooses by itself.
    host: Option<String>,
}

impl Docker {
    /// The daemon that the user's own client talks to.
    #[must_use]
    pub fn of_user() -> Self {
        Self { host: None }
    }

    /// The daemon behind a socket.
    #[must_use]
    pub fn at_socket(socket: &Path) -> Self {
        Self { host: Some(format!("unix://{}", socket.display())) }
    }

    /// The client, set to this daemon.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new("docker");
        self.choose_for(&mut command);
        command
    }

    /// Points a program that talks to Docker (kind) at this daemon.
    pub fn choose_for(&self, command: &mut Command) {
        if let Some(host) = &self.host {
            command.env("DOCKER_HOST", host).env_remove("DOCKER_CONTEXT").env_remove("DOCKER_TLS_VERIFY");
        }
    }

    /// Whether the daemon answers.
    #[must_use]
    pub fn answers(&self) -> bool {
        let mut command = self.command();
        command.args(["version", "--format", "{{.Server.Version}}"]);
        process::find_program("docker").is_some() && process::succeeds(&mut command, Duration::from_secs(10))
    }

    /// Whether an image of this name is in the store.
    #[must_use]
    pub fn has_image(&self, name: &str) -> bool {
        let mut command = self.command();
        command.args(["image", "inspect", "--format", "{{.Id}}", name]);
        process::succeeds(&mut command, QUICK)
    }

    /// Runs a client command and gives what it prints.
    pub fn output(&self, what: &str, arguments: &[&str]) -> Result<String> {
        let mut command = self.command();
        command.args(arguments);
        process::output(what, &mut command, SLOW)
    }

    /// Runs a program in a container and gives what it prints.
    pub fn exec(&self, container: &str, arguments: &[&str]) -> Result<String> {
        let mut command = self.command();
        command.args(["exec", container]).args(arguments);
        process::output(&format!("run {} in {container}", arguments.join(" ")), &mut command, SLOW)
    }

    /// Runs a shell script, given on standard input, in a container.
    pub fn exec_script(&self, container: &str, script: &str) -> Result<String> {
        let mut command = self.command();
        command.args(["exec", "-i", container, "sh", "-eu"]);
        process::output_with_input(&format!("set up {container}"), &mut command, script, SLOW)
    }

    /// What `docker inspect` knows of a container.
    pub fn inspect(&self, container: &str) -> Result<Value> {
        let text = self.output(&format!("inspect {container}"), &["container", "inspect", container])?;
        let list: Value = serde_json::from_str(&text).context("failed to read Docker's description of a container")?;
        Ok(list[0].clone())
    }

    /// Names of the containers that kind made for a cluster, running or not.
    pub fn containers(&self, cluster: &str) -> Result<Vec<String>> {
        let filter = format!("label=io.x-k8s.kind.cluster={cluster}");
        let arguments = ["ps", "--all", "--filter", &filter, "--format", "{{.Names}}"];
        Ok(self.output("list containers", &arguments)?.lines().map(str::to_owned).collect())
    }

    /// Names of the clusters that kind made containers for.
    pub fn clusters(&self) -> Result<BTreeSet<String>> {
        let label = "io.x-k8s.kind.cluster";
        let (filter, format) = (format!("label={label}"), format!("{{{{.Label \"{label}\"}}}}"));
        let text = self.output("list clusters", &["ps", "--all", "--filter", &filter, "--format", &format])?;
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// Whether a network of this name exists.
    #[must_use]
    pub fn has_network(&self, name: &str) -> bool {
        let mut command = self.command();
        command.args(["network", "inspect", name]);
        process::succeeds(&mut command, QUICK)
    }

    /// The state of a container in Docker's word: `running`, `paused`, `exited` …
    pub fn state(&self, container: &str) -> Result<String> {
        Ok(self.inspect(container)?["State"]["Status"].as_str().unwrap_or("unknown").to_owned())
    }
}
