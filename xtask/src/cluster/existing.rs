//! A cluster that something else made, chosen by the name of its context, never by being the current one.

use std::time::Duration;

use anyhow::{Context, Result};

use super::docker::Docker;
use super::{Cluster, kubectl_program};
use crate::{digest, paths, process};

/// Reads the context from the user's kubeconfig and asks the API server for a sign of life.
pub(super) fn open(context: &str) -> Result<Cluster> {
    let kubectl = kubectl_program()?;
    let limit = Duration::from_secs(30);
    let mut command = std::process::Command::new(&kubectl);
    command.args(["config", "view", "--raw", "--minify", "--flatten", "--context", context]);
    let text = process::output(&format!("read the context {context} from the user's kubeconfig"), &mut command, limit)?;
    // A context's name may hold anything; a file's may not.
    let folder = paths::state()?.join("contexts");
    paths::make(&folder)?;
    let kubeconfig = folder.join(digest::short(&[context.as_bytes()]));
    write_private(&kubeconfig, &text).with_context(|| format!("failed to write {}", kubeconfig.display()))?;
    let cluster = Cluster { name: context.to_owned(), kubeconfig, kubectl, record: None, docker: Docker::of_user() };
    let mut command = cluster.kubectl();
    command.args(["--request-timeout=10s", "get", "--raw", "/readyz"]);
    process::output(&format!("reach the cluster of the context {context}"), &mut command, limit)?;
    Ok(cluster)
}

/// The file holds a key.
fn write_private(path: &std::path::Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(path)?.write_all(text.as_bytes())
}
