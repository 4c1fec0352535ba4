//! Puts container images on every node, without a registry.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};

use super::docker::Docker;
use super::record::Record;
use crate::{paths, process};

const LIMIT: Duration = Duration::from_secs(600);

/// Gives an archive to every node's containerd, all at once.
pub(super) fn load(docker: &Docker, record: &Record, archive: &Path) -> Result<()> {
    if !archive.is_file() {
        bail!("{} is no file: an archive made by `docker save` or by xtask is needed", archive.display());
    }
    let folder = paths::cluster(&record.name)?;
    std::thread::scope(|scope| {
        let threads: Vec<_> = record
            .nodes
            .iter()
            .map(|node| {
                let log = folder.join(format!("load-{}.log", node.name));
                scope.spawn(move || {
                    let mut command = docker.command();
                    command.args(["exec", "--interactive", "--privileged", &node.name, "ctr", "--namespace", "k8s.io"]);
                    command.args(["images", "import", "--all-platforms", "--digests", "-"]);
                    let what = format!("load {} into {}", archive.display(), node.name);
                    process::run_with_input(&what, &mut command, archive, &log, LIMIT)
                })
            })
            .collect();
        threads.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(|_| bail!("a thread ended badly")))
    })
}
