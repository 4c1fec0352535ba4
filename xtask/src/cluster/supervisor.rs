//! The first process of the private Docker daemon's namespaces.
//!
//! It starts containerd and dockerd, collects every process that is left to it, and ends when either daemon ends: then
//! the kernel ends whatever else lives in the namespaces.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, WaitOptions};

use crate::process;

/// Runs until a daemon ends.
pub fn run(settings: &Path) -> Result<()> {
    let folder = settings.parent().ok_or_else(|| anyhow!("{} is no path of a file", settings.display()))?;
    let limit = Duration::from_secs(10);
    process::output("bring the loopback link up", Command::new("ip").args(["link", "set", "lo", "up"]), limit)?;
    // containerd's shims put sockets at a fixed place below /run, which must not be shared with a containerd of the
    // machine. The whole of /run is covered, as a folder made on the machine for this would have to be removed again,
    // and that would take away the mount of another such daemon.
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", "mode=755", "operator-lite", "/run"]);
    process::output("keep shim sockets private", &mut mount, limit)?;

    let containerd = start(Command::new("containerd").arg("--config").arg(folder.join("containerd.toml")))?;
    let socket = folder.join("containerd/containerd.sock");
    process::wait_for("containerd", Duration::from_secs(30), || match socket.exists() {
        true => Ok(()),
        false => Err(format!("{} is not there", socket.display())),
    })?;
    let dockerd = start(Command::new("dockerd").arg("--config-file").arg(settings))?;
    loop {
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(Some((ended, status))) if ended == containerd || ended == dockerd => {
                bail!("{} ended: {status:?}", if ended == dockerd { "dockerd" } else { "containerd" });
            }
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error).context("failed to wait for daemons"),
        }
    }
}

fn start(command: &mut Command) -> Result<Pid> {
    let name = command.get_program().to_string_lossy().into_owned();
    let child = command.spawn().with_context(|| format!("failed to start {name}"))?;
    Pid::from_raw(child.id().cast_signed()).ok_or_else(|| anyhow!("{name} has no process id"))
}
