//! One command at a time may change a cluster; the next one says who does.
//!
//! The kernel drops the lock when its holder ends, however it ends, so no stale lock can be left. Only what the holder was
//! about to start when it was killed has the lock a moment longer, until it runs its own program (flock(2), execve(2)).

use std::fs::{self, File, OpenOptions};
use std::io::{Seek, Write};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::{paths, progress};

/// How long the lock of a holder that has ended is waited for.
const LET_GO_WITHIN: Duration = Duration::from_secs(10);

/// Held as long as it lives.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// The lock of one cluster; fails at once if another command has it.
    pub fn of_cluster(name: &str) -> Result<Self> {
        Self::take(&paths::cluster_lock(name)?, &format!("the cluster {name}"))
    }

    /// The lock of starting and stopping the private Docker daemon; waits, as this takes seconds.
    pub fn of_private_docker() -> Result<Self> {
        Self::wait(&paths::state()?.join("locks/docker"), "the private Docker daemon")
    }

    /// Takes a lock file or says who has it.
    pub fn take(path: &Path, what: &str) -> Result<Self> {
        let file = open(path)?;
        if file.try_lock().is_err() && !is_let_go(&file, path) {
            bail!("another command works on {what}: {}; wait for it to end, or end it", holder(path));
        }
        Self::note(file, path)
    }

    /// Takes a lock file, after its holder if need be.
    pub fn wait(path: &Path, what: &str) -> Result<Self> {
        let file = open(path)?;
        if file.try_lock().is_err() {
            progress::say(format!("waiting for another command that works on {what}: {}", holder(path)));
            file.lock().with_context(|| format!("failed to lock {}", path.display()))?;
        }
        Self::note(file, path)
    }

    fn note(mut file: File, path: &Path) -> Result<Self> {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let line = format!("process {}, cargo xtask {}", std::process::id(), arguments.join(" "));
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(line.as_bytes()))
            .with_context(|| format!("failed to write {}", path.display()))?;
        Ok(Self { _file: file })
    }
}

fn open(path: &Path) -> Result<File> {
    if let Some(folder) = path.parent() {
        paths::make(folder)?;
    }
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    options.open(path).with_context(|| format!("failed to open the lock {}", path.display()))
}

/// Whether the lock comes free, because its holder has ended; waits for it.
fn is_let_go(file: &File, path: &Path) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < LET_GO_WITHIN && has_ended(path) {
        if file.try_lock().is_ok() {
            return true;
        }
        thread::sleep(Duration::from_millis(20));
    }
    false
}

/// Whether the process that noted itself as the holder is there no more.
fn has_ended(path: &Path) -> bool {
    let line = fs::read_to_string(path).unwrap_or_default();
    let number = line.strip_prefix("process ").and_then(|rest| rest.split(',').next());
    number.is_some_and(|number| !Path::new("/proc").join(number).exists())
}

fn holder(path: &Path) -> String {
    let line = fs::read_to_string(path).unwrap_or_default();
    let since = fs::metadata(path).and_then(|data| data.modified()).ok().and_then(|time| time.elapsed().ok());
    let since = since.map_or_else(|| "an unknown time".to_owned(), progress::elapsed);
    format!("{}, for {since}", if line.is_empty() { "a process that has just begun" } else { &line })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_who_has_the_lock_and_the_third_gets_it() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("lock");
        let first = Lock::take(&path, "the cluster x").expect("free");
        let refused = Lock::take(&path, "the cluster x").expect_err("held").to_string();
        assert!(refused.contains(&format!("process {}", std::process::id())), "{refused}");
        assert!(refused.contains("the cluster x") && refused.contains(", for 0."), "{refused}");
        drop(first);
        Lock::take(&path, "the cluster x").expect("free again");
    }

    #[test]
    fn what_a_killed_holder_was_about_to_start_is_waited_for() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("lock");
        let started = open(&path).expect("a lock");
        started.lock().expect("free");
        // No process has so high a number: proc(5), pid_max.
        fs::write(&path, "process 4194305, cargo xtask cluster up").expect("a note");
        let letting_go = thread::spawn(move || {
            thread::sleep(Duration::from_millis(200));
            drop(started);
        });
        Lock::take(&path, "the cluster x").expect("its holder has ended");
        letting_go.join().expect("an end");
    }
}
