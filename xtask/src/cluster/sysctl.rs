//! Kernel settings of the whole machine that a cluster changes: raised if too low, and put back at the end.
//!
//! Kubelets set some of them by themselves; they are noted before the first cluster comes up.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::{paths, progress};

/// What four nodes with systemd, kubelet and containerd each need at least.
const MINIMUM: &[(&str, u64)] = &[("fs/inotify/max_user_instances", 1024), ("fs/inotify/max_user_watches", 524_288)];
/// What kubelets set.
const CHANGED_BY_KUBELET: &[&str] = &[
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
];

/// Notes the settings, once, and raises what is too low.
pub fn prepare() -> Result<()> {
    let file = file()?;
    if !file.exists() {
        let names = MINIMUM.iter().map(|(name, _)| *name).chain(CHANGED_BY_KUBELET.iter().copied());
        let before: BTreeMap<&str, String> = names.filter_map(|name| Some((name, read(name)?))).collect();
        let text = serde_json::to_string_pretty(&before).context("failed to describe kernel settings")?;
        paths::make(&paths::state()?)?;
        fs::write(&file, text).with_context(|| format!("failed to write {}", file.display()))?;
    }
    for (name, minimum) in MINIMUM {
        let Some(now) = read(name).and_then(|text| text.parse::<u64>().ok()).filter(|now| now < minimum) else {
            continue;
        };
        let setting = name.replace('/', ".");
        match fs::write(format!("/proc/sys/{name}"), minimum.to_string()) {
            Ok(()) => {
                progress::say(format!("raised {setting} from {now} to {minimum}, until the last cluster is down"))
            }
            Err(error) => progress::say(format!(
                "{setting} is {now}, too low for four nodes, and could not be raised ({error}): sudo sysctl {setting}={minimum}"
            )),
        }
    }
    Ok(())
}

/// Puts the noted settings back.
pub fn restore() -> Result<()> {
    let file = file()?;
    let Ok(text) = fs::read_to_string(&file) else { return Ok(()) };
    let before: BTreeMap<String, String> = serde_json::from_str(&text).unwrap_or_default();
    for (name, value) in before {
        if read(&name).is_some_and(|now| now != value)
            && let Err(error) = fs::write(format!("/proc/sys/{name}"), &value)
        {
            progress::say(format!("could not set {} back to {value}: {error}", name.replace('/', ".")));
        }
    }
    fs::remove_file(&file).with_context(|| format!("failed to remove {}", file.display()))
}

fn read(name: &str) -> Option<String> {
    Some(fs::read_to_string(format!("/proc/sys/{name}")).ok()?.trim().to_owned())
}

fn file() -> Result<PathBuf> {
    Ok(paths::state()?.join("kernel-settings.json"))
}
