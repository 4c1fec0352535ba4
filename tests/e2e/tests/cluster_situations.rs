//! The two situations in which a machine has a Docker of its own: with kind's stock image in reach, and without.
//!
//! Where the cluster under test lives in a private Docker daemon, that daemon plays the machine's own here: the whole
//! command line runs inside the daemon's network, with `DOCKER_HOST` set and a state folder of its own, so for it this
//! is a machine on which Docker answers. The stock image is our node image under the stock image's name: everything
//! but the pull itself is as it would be.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::command::{self, USUAL_LIMIT};
use e2e::xtask::Xtask;
use tokio::process::Command;

const UP_LIMIT: Duration = Duration::from_secs(300);
const STOCK: &str = "kindest/node:v1.37.0";

#[tokio::test]
async fn docker_without_a_registry_gets_our_own_node_image() -> Result<()> {
    let machine = MachineWithDocker::new("e2e-own")?;
    if machine.has_image(STOCK).await? {
        eprintln!("this Docker holds kind's stock image, so it is in the other situation");
        return Ok(());
    }
    machine.up_and_down("Docker without a registry").await
}

#[tokio::test]
async fn docker_with_the_stock_image_uses_it_and_builds_nothing() -> Result<()> {
    let machine = MachineWithDocker::new("e2e-stock")?;
    if machine.has_image(STOCK).await? {
        return machine.up_and_down("kind's own node image").await;
    }
    let ours = machine.docker(&["images", "--format", "{{.Repository}}:{{.Tag}}", "operator-lite.dev/node"]).await?;
    let ours = ours.lines().next().context("there is no node image of ours to stand in for kind's")?;
    machine.docker(&["tag", ours, STOCK]).await?;
    let result = machine.up_and_down("kind's own node image").await;
    machine.docker(&["rmi", STOCK]).await?;
    result
}

/// This machine, seen so that Docker answers.
struct MachineWithDocker {
    name: &'static str,
    xtask: Xtask,
    state: tempfile::TempDir,
}

impl MachineWithDocker {
    fn new(name: &'static str) -> Result<Self> {
        Ok(Self { name, xtask: Xtask::from_environment()?.for_cluster(name), state: tempfile::tempdir()? })
    }

    /// A program in the network of the Docker daemon, talking to it.
    fn program(&self, program: &str) -> Command {
        let mut command = match std::env::var("OPERATOR_LITE_NETWORK_NAMESPACE") {
            Ok(namespace) => {
                let mut command = Command::new("nsenter");
                command.arg(format!("--net={namespace}")).arg("--").arg(program);
                command
            }
            Err(_) => Command::new(program),
        };
        if let Some(host) = std::env::var_os("OPERATOR_LITE_DOCKER_HOST") {
            command.env("DOCKER_HOST", host);
        }
        command.env("XDG_STATE_HOME", self.state.path());
        command
    }

    async fn docker(&self, arguments: &[&str]) -> Result<String> {
        command::succeed(self.program("docker").args(arguments), USUAL_LIMIT).await
    }

    async fn has_image(&self, name: &str) -> Result<bool> {
        Ok(!self.docker(&["images", "--quiet", name]).await?.trim().is_empty())
    }

    async fn xtask(&self, arguments: &[&str], limit: Duration) -> Result<command::Output> {
        let program = self.xtask.program().to_str().context("xtask lies in a folder with a strange name")?;
        command::finish(self.program(program).arg("cluster").args(arguments).args(["--name", self.name]), limit).await
    }

    /// Brings a small cluster up, sees that it works and which way was taken, takes it down and sees that the daemon
    /// is left as it was.
    async fn up_and_down(&self, way: &str) -> Result<()> {
        let before = self.belongings().await?;
        let up = self.xtask(&["up", "--workers", "1"], UP_LIMIT).await;
        let worked = match &up {
            Ok(up) if up.status.success() => self.look(way, &up.stderr).await,
            _ => Ok(()),
        };
        let down = self.xtask(&["down"], UP_LIMIT).await?;
        let up = up?;
        ensure!(up.status.success(), "`up` failed: {}", up.stderr);
        worked?;
        ensure!(down.status.success(), "`down` failed: {}", down.stderr);
        let after = self.belongings().await?;
        ensure!(before == after, "Docker held\n{before}\nand holds after `down`\n{after}");
        Ok(())
    }

    async fn look(&self, way: &str, said: &str) -> Result<()> {
        ensure!(said.contains(way), "it did not go the way {way:?}: {said}");
        let kubeconfig = self.xtask(&["kubeconfig"], USUAL_LIMIT).await?.stdout;
        let kubectl = e2e::cluster::variable("OPERATOR_LITE_KUBECTL")?;
        let mut get = self.program(&kubectl);
        get.args(["--kubeconfig", kubeconfig.trim(), "get", "nodes", "--no-headers"]);
        let nodes = command::succeed(&mut get, USUAL_LIMIT).await?;
        let ready = nodes.lines().filter(|line| line.split_whitespace().nth(1) == Some("Ready")).count();
        ensure!(ready == 2, "the nodes are\n{nodes}");
        Ok(())
    }

    /// Containers and networks of the daemon.
    async fn belongings(&self) -> Result<String> {
        let containers = self.docker(&["ps", "--all", "--format", "{{.Names}}"]).await?;
        let networks = self.docker(&["network", "ls", "--format", "{{.Name}}"]).await?;
        Ok(format!("{containers}{networks}"))
    }
}
