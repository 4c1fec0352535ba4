//! The cgroups of nodes, where Docker does not get on with them by itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::process;

const ROOT: &str = "/sys/fs/cgroup";
/// A container's own cgroup is at most this many folders below the root of its hierarchy.
const DEPTH_MAX: usize = 6;

/// Lets all processes go on that are frozen below the cgroup of this name, so that they can die.
///
/// A container runtime inside of a node freezes a pod while it changes the pod's cgroup. Killed meanwhile, it leaves
/// processes that no signal reaches, and so a node that cannot end. Only cgroups of version 1 are like that.
pub fn thaw(name: &str) -> Result<()> {
    match find(&Path::new(ROOT).join("freezer"), name, DEPTH_MAX) {
        Some(place) => {
            thaw_below(&place).with_context(|| format!("failed to thaw the cgroups below {}", place.display()))
        }
        None => Ok(()),
    }
}

fn find(folder: &Path, name: &str, depth: usize) -> Option<PathBuf> {
    // Docker names it so where systemd manages its cgroups.
    if folder.ends_with(name) || folder.ends_with(format!("docker-{name}.scope")) {
        return Some(folder.to_owned());
    }
    let deeper = depth.checked_sub(1)?;
    folders(folder).into_iter().find_map(|below| find(&below, name, deeper))
}

fn thaw_below(folder: &Path) -> std::io::Result<()> {
    let state = folder.join("freezer.state");
    if fs::read_to_string(&state).is_ok_and(|state| state.trim() != "THAWED") {
        fs::write(&state, "THAWED")?;
    }
    folders(folder).iter().try_for_each(|below| thaw_below(below))
}

/// Removes the cgroup of this name with all below it from every hierarchy of version 1 and 2, once it is empty.
pub fn remove(name: &str) -> Result<()> {
    let root = Path::new(ROOT);
    let mut places = vec![root.join(name)];
    places.extend(folders(root).into_iter().map(|hierarchy| hierarchy.join(name)));
    process::wait_for("the cgroups to empty", Duration::from_secs(30), || {
        thaw(name).map_err(|error| format!("{error:#}"))?;
        for place in places.iter().filter(|place| place.is_dir()) {
            remove_with_all_below(place).map_err(|error| format!("failed to remove {}: {error}", place.display()))?;
        }
        Ok(())
    })
}

fn remove_with_all_below(folder: &Path) -> std::io::Result<()> {
    // The files of a cgroup cannot be removed and need not be: it goes as a folder.
    folders(folder).iter().try_for_each(|below| remove_with_all_below(below))?;
    fs::remove_dir(folder)
}

fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()).collect()
}
