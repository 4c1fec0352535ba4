//! Loop devices that pods attached and never detached: they belong to the machine, so no container takes them along.
//!
//! Ours are those that came after the first cluster and whose file went with the nodes; no other is touched.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::{paths, process, progress};

const DELETED: &str = " (deleted)";

/// Notes, once, what is attached before the first cluster.
pub(super) fn note() -> Result<()> {
    let file = file()?;
    if file.exists() {
        return Ok(());
    }
    paths::make(&paths::state()?)?;
    let text = serde_json::to_string(&attached()).context("failed to describe loop devices")?;
    fs::write(&file, text).with_context(|| format!("failed to write {}", file.display()))
}

/// Detaches what the nodes left.
pub(super) fn detach_forgotten() -> Result<()> {
    let file = file()?;
    let Ok(text) = fs::read_to_string(&file) else { return Ok(()) };
    let before: BTreeSet<(String, String)> = serde_json::from_str(&text).unwrap_or_default();
    for device in forgotten(&before, &attached()) {
        let mut command = Command::new("losetup");
        command.arg("--detach").arg(format!("/dev/{device}"));
        if let Err(error) = process::output(&format!("detach {device}"), &mut command, Duration::from_secs(20)) {
            progress::say(format!("{error:#}"));
        }
    }
    fs::remove_file(&file).with_context(|| format!("failed to remove {}", file.display()))
}

fn forgotten(before: &BTreeSet<(String, String)>, now: &BTreeSet<(String, String)>) -> Vec<String> {
    now.difference(before).filter(|(_, file)| file.ends_with(DELETED)).map(|(device, _)| device.clone()).collect()
}

/// Pairs of device and file, as the kernel tells them.
fn attached() -> BTreeSet<(String, String)> {
    let entries = fs::read_dir("/sys/block").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let file = fs::read_to_string(entry.path().join("loop/backing_file")).ok()?;
            Some((entry.file_name().to_string_lossy().into_owned(), file.trim_end_matches('\n').to_owned()))
        })
        .collect()
}

fn file() -> Result<PathBuf> {
    Ok(paths::state()?.join("loop-devices.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_new_devices_on_deleted_files_are_forgotten_ones() {
        let pair = |device: &str, file: &str| (device.to_owned(), file.to_owned());
        let before = BTreeSet::from([pair("loop0", "/snap/a"), pair("loop1", "/old (deleted)")]);
        let mut now = before.clone();
        now.extend([pair("loop2", "/var/lib/volume (deleted)"), pair("loop3", "/home/someone/disk")]);
        assert_eq!(forgotten(&before, &now), ["loop2"]);
    }
}
