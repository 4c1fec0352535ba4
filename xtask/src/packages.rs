//! Installs Debian packages that a command needs, without starting any service they bring.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::cluster::lock::Lock;
use crate::{paths, process, progress};

/// Debian asks this script whether a service may be started; 101 means no.
const POLICY: &str = "/usr/sbin/policy-rc.d";
const POLICY_ASIDE: &str = "/usr/sbin/policy-rc.d.before-operator-lite";
const MARK: &str = "# Set by operator-lite's xtask while it installs packages.";
const LIMIT: Duration = Duration::from_secs(15 * 60);

/// A package and a program it brings: if the program is there, the package is not needed.
#[derive(Clone, Copy, Debug)]
pub struct Package {
    /// The name for apt.
    pub name: &'static str,
    /// The program looked for in `PATH` and the sbin folders.
    pub program: &'static str,
}

/// Installs what is missing.
pub fn ensure(packages: &[Package]) -> Result<()> {
    if missing(packages).is_empty() && !ServicePolicy::is_left_over() {
        return Ok(());
    }
    let _lock = Lock::wait(&paths::state()?.join("locks/packages"), "Debian packages")?;
    let is_interrupted = ServicePolicy::is_left_over();
    let missing = match is_interrupted {
        true => packages.iter().map(|package| package.name).collect(),
        false => missing(packages),
    };
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    if !rustix::process::geteuid().is_root() {
        bail!("these Debian packages are missing and only root can install them: sudo apt-get install {list}");
    }
    let step = progress::step(format!("installing {list}"));
    let log = paths::logs()?.join("apt.log");
    let _policy = ServicePolicy::set()?;
    if is_interrupted {
        step.detail("ending an installation that was interrupted");
        finish_interrupted()?;
    }
    process::run("fetch the package lists", &mut apt("update"), &log, LIMIT)?;
    // Newer releases split the client from docker.io.
    let client = missing.contains(&"docker.io") && process::find_program("docker").is_none() && is_known("docker-cli");
    let mut install = apt("install");
    install.args(["--yes", "--no-install-recommends"]).args(&missing).args(client.then_some("docker-cli"));
    process::run(&format!("install {list}"), &mut install, &log, LIMIT)?;
    if missing.contains(&"docker.io") {
        disable_services();
    }
    step.done();
    Ok(())
}

fn missing(packages: &[Package]) -> Vec<&'static str> {
    packages.iter().filter(|package| process::find_program(package.program).is_none()).map(|p| p.name).collect()
}

/// Not bound to this process: a package manager that is killed leaves the system half configured.
fn apt(verb: &str) -> Command {
    let mut command = Command::new("apt-get");
    command.args(["-q", "-o", "DPkg::Lock::Timeout=300", verb]).env("DEBIAN_FRONTEND", "noninteractive");
    command
}

/// Waits for a package manager that outlived its xtask, and configures what it left.
fn finish_interrupted() -> Result<()> {
    process::wait_for("an interrupted installation", Duration::from_secs(300), || {
        let mut command = Command::new("dpkg");
        command.args(["--configure", "-a"]).env("DEBIAN_FRONTEND", "noninteractive");
        process::output("configure packages", &mut command, LIMIT).map(drop).map_err(|error| error.to_string())
    })
}

fn is_known(package: &str) -> bool {
    let mut command = Command::new("apt-cache");
    command.args(["show", package]);
    process::succeeds(&mut command, Duration::from_secs(60))
}

fn disable_services() {
    // Only at the next boot would they start; where systemd is not in use there is nothing to disable.
    let mut command = Command::new("systemctl");
    command.args(["disable", "docker.service", "docker.socket", "containerd.service"]);
    let _ = process::succeeds(&mut command, Duration::from_secs(30));
}

/// Keeps Debian from starting services while it lives.
struct ServicePolicy;

impl ServicePolicy {
    fn is_left_over() -> bool {
        fs::read_to_string(POLICY).is_ok_and(|text| text.contains(MARK))
    }

    fn set() -> Result<Self> {
        let context = || format!("failed to keep Debian from starting services by {POLICY}");
        // Ours, left by a run that was killed, is not kept for later.
        if Path::new(POLICY).exists() && !Self::is_left_over() {
            fs::rename(POLICY, POLICY_ASIDE).with_context(context)?;
        }
        fs::write(POLICY, format!("#!/bin/sh\n{MARK}\nexit 101\n")).with_context(context)?;
        fs::set_permissions(POLICY, fs::Permissions::from_mode(0o755)).with_context(context)?;
        Ok(Self)
    }
}

impl Drop for ServicePolicy {
    fn drop(&mut self) {
        let restored = match Path::new(POLICY_ASIDE).exists() {
            true => fs::rename(POLICY_ASIDE, POLICY),
            false => fs::remove_file(POLICY),
        };
        if let Err(error) = restored {
            progress::say(format!("could not restore {POLICY}: {error}"));
        }
    }
}
