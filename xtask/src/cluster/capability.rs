//! A container runtime that asks only for capabilities this machine can give.
//!
//! `--privileged` asks for every capability; where the bounding set lacks one, runc refuses. This stands in for runc:
//! it takes exactly the missing ones out of what Docker wrote for runc, then becomes runc.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

/// Names in the order of the kernel's numbers.
const NAMES: &[&str] = &[
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// The capabilities that the kernel knows and this process can never have.
#[must_use]
pub fn missing() -> BTreeSet<&'static str> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let last = fs::read_to_string("/proc/sys/kernel/cap_last_cap").unwrap_or_default();
    missing_from(&status, last.trim().parse().unwrap_or(NAMES.len() - 1))
}

/// Stands in for runc: never returns if all is well.
pub fn become_runc(arguments: &[OsString]) -> Result<()> {
    if let Some(file) = description(arguments).filter(|file| file.is_file()) {
        let context = || format!("failed to edit {}", file.display());
        let text = fs::read(&file).with_context(context)?;
        let mut description: Value = serde_json::from_slice(&text).with_context(context)?;
        drop_capabilities(&mut description, &missing());
        fs::write(&file, serde_json::to_vec(&description).with_context(context)?).with_context(context)?;
    }
    Err(Command::new("runc").args(arguments).exec()).context("failed to become runc")
}

fn missing_from(status: &str, last: usize) -> BTreeSet<&'static str> {
    let bounding = status.lines().find_map(|line| line.strip_prefix("CapBnd:"));
    let bounding = bounding.and_then(|text| u64::from_str_radix(text.trim(), 16).ok()).unwrap_or(u64::MAX);
    NAMES.iter().enumerate().take(last + 1).filter(|(bit, _)| bounding >> bit & 1 == 0).map(|(_, name)| *name).collect()
}

/// The file in which Docker describes what is about to start.
fn description(arguments: &[OsString]) -> Option<PathBuf> {
    let value = |names: &[&str]| {
        arguments.iter().enumerate().find_map(|(position, argument)| {
            let text = argument.to_str()?;
            names.iter().find_map(|name| match text.strip_prefix(name)? {
                "" => arguments.get(position + 1).map(PathBuf::from),
                rest => rest.strip_prefix('=').map(PathBuf::from),
            })
        })
    };
    let is_verb = |verb: &str| arguments.iter().any(|argument| argument == verb);
    if is_verb("exec") {
        value(&["--process", "-p"])
    } else if is_verb("create") || is_verb("run") {
        Some(value(&["--bundle", "-b"]).unwrap_or_else(|| Path::new(".").to_path_buf()).join("config.json"))
    } else {
        None
    }
}

fn drop_capabilities(description: &mut Value, missing: &BTreeSet<&str>) {
    // A bundle's configuration holds the process; for `exec` the file is the process itself.
    let process = match description.get_mut("process") {
        Some(process) => process,
        None => description,
    };
    for set in
        process.get_mut("capabilities").and_then(Value::as_object_mut).into_iter().flat_map(|sets| sets.values_mut())
    {
        if let Some(list) = set.as_array_mut() {
            list.retain(|name| name.as_str().is_none_or(|name| !missing.contains(name)));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn exactly_the_capability_outside_the_bounding_set_is_missing() {
        let status = "Name:\tx\nCapBnd:\t000001fffeffffff\n";
        assert_eq!(missing_from(status, 40).into_iter().collect::<Vec<_>>(), ["CAP_SYS_RESOURCE"]);
        assert!(missing_from("CapBnd:\t000001ffffffffff", 40).is_empty());
        assert!(missing_from("CapBnd:\t0000003fffffffff", 37).is_empty(), "an older kernel knows fewer");
    }

    #[test]
    fn only_what_is_missing_is_dropped_from_a_bundle_and_from_an_exec() {
        let missing = BTreeSet::from(["CAP_SYS_RESOURCE"]);
        let process =
            json!({"capabilities": {"bounding": ["CAP_KILL", "CAP_SYS_RESOURCE"], "effective": ["CAP_SYS_RESOURCE"]}});
        let filtered = json!({"capabilities": {"bounding": ["CAP_KILL"], "effective": []}});
        let mut bundle = json!({"process": process, "root": {"path": "x"}});
        drop_capabilities(&mut bundle, &missing);
        assert_eq!(bundle, json!({"process": filtered, "root": {"path": "x"}}));
        let mut exec = process;
        drop_capabilities(&mut exec, &missing);
        assert_eq!(exec, filtered);
    }

    #[test]
    fn the_description_is_found_for_each_verb_that_starts_something() {
        let find = |line: &str| description(&words(line));
        assert_eq!(find("--root /r create --bundle /b --pid-file p id"), Some("/b/config.json".into()));
        assert_eq!(find("--root /r run -b=/b id"), Some("/b/config.json".into()));
        assert_eq!(find("exec --process /p.json --detach id"), Some("/p.json".into()));
        assert_eq!(find("--root /r delete id"), None);
    }
}
