//! The Debian system under a node: a tar from packages, kept in the cache.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::super::lock::Lock;
use crate::packages::{self, Package};
use crate::{digest, paths, process, progress};

const LIMIT: Duration = Duration::from_secs(20 * 60);

/// runc comes from here as it has seccomp, which a plain build of its module has not.
const PACKAGES: &str = "systemd,systemd-sysv,dbus,iptables,nftables,iproute2,kmod,mount,util-linux,procps,ethtool,\
socat,conntrack,ebtables,curl,jq,openssl,ca-certificates,rsync,hostname,e2fsprogs,fuse3,runc,libseccomp2";

/// Gives the tar, made if it is not there.
pub(super) fn ensure() -> Result<PathBuf> {
    let release = fs::read_to_string("/etc/os-release").context("failed to read /etc/os-release")?;
    let codename = value(&release, "VERSION_CODENAME").unwrap_or("stable");
    let folder = super::folder()?;
    let tar = folder.join(format!("{codename}-{}.tar", digest::short(&[PACKAGES.as_bytes()])));
    if tar.is_file() {
        return Ok(tar);
    }
    let _lock = Lock::wait(&folder.join("debian.lock"), "the Debian system")?;
    if !tar.is_file() {
        packages::ensure(&[Package { name: "mmdebstrap", program: "mmdebstrap" }])?;
        let step = progress::step("fetching the nodes' Debian packages");
        make(codename, &folder, &tar)?;
        step.done();
    }
    Ok(tar)
}

fn make(codename: &str, folder: &Path, tar: &Path) -> Result<()> {
    let scratch = folder.join("debian");
    super::remove(&scratch)?;
    paths::make(&scratch)?;
    let temporary = scratch.join("system.tar");
    let mut command = process::contained("mmdebstrap");
    command.env("TMPDIR", &scratch).args(["--mode=root", "--variant=minbase", "--format=tar"]);
    command.arg(format!("--include={PACKAGES}")).args(apt_options()).arg(codename).arg(&temporary).args(sources());
    process::run("fetch Debian packages", &mut command, &paths::logs()?.join("debian.log"), LIMIT)?;
    fs::rename(&temporary, tar).with_context(|| format!("failed to put {} in place", tar.display()))?;
    super::remove(&scratch)
}

/// The package sources of this machine's own system, but none that others added.
fn sources() -> Vec<PathBuf> {
    ["/etc/apt/sources.list", "/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list.d/ubuntu.sources"]
        .map(PathBuf::from)
        .into_iter()
        .filter(|file| fs::read_to_string(file).is_ok_and(|text| text.contains("deb")))
        .collect()
}

/// How this machine's apt reaches its sources: proxies, and clocks it does not trust.
fn apt_options() -> Vec<String> {
    let mut command = Command::new("apt-config");
    command.args(["dump", "Acquire"]);
    let dump = process::output("read apt's settings", &mut command, Duration::from_secs(20)).unwrap_or_default();
    let wanted = ["::Proxy ", "::Check-Valid-Until ", "::Check-Date ", "::Retries "];
    let is_wanted = |line: &&str| wanted.iter().any(|name| line.contains(name)) && !line.contains("\"\"");
    dump.lines().filter(is_wanted).map(|line| format!("--aptopt={}", line.trim_end_matches(';'))).collect()
}

fn value<'text>(release: &'text str, name: &str) -> Option<&'text str> {
    let line = release.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?;
    Some(line.trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_release_is_read_with_and_without_quotes() {
        assert_eq!(value("NAME=x\nVERSION_CODENAME=bookworm\n", "VERSION_CODENAME"), Some("bookworm"));
        assert_eq!(value("VERSION_CODENAME=\"noble\"", "VERSION_CODENAME"), Some("noble"));
        assert_eq!(value("VERSION=12", "VERSION_CODENAME"), None);
    }
}
