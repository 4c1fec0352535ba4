//! Runs other programs: output to a log, a time limit, and an error that shows the last lines.
//!
//! Programs that work for minutes are bound to this process ([`bound`]): if it is killed, the kernel ends them too.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal};

use crate::paths;

const POLL: Duration = Duration::from_millis(20);
const SHOWN_LINES: usize = 12;

/// A command that the kernel kills as soon as the thread that started it ends.
#[must_use]
pub fn bound(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

/// A command inside mount and process namespaces of its own: killed as one, and none of its mounts stays.
#[must_use]
pub fn contained(program: impl AsRef<OsStr>) -> Command {
    let mut command = bound("unshare");
    command.args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"]).arg(program);
    command
}

/// Whether a program is found in `PATH`.
#[must_use]
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    // Root's shells often lack the sbin folders, where Debian keeps dockerd and iptables.
    let administration = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(administration).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// Runs to the end with all output appended to `log`; fails if the command fails or takes longer than `limit`.
pub fn run(what: &str, command: &mut Command, log: &Path, limit: Duration) -> Result<()> {
    run_with_stream(what, command, Stdio::null(), log, limit)
}

/// Runs to the end with standard input from a file.
pub fn run_with_input(what: &str, command: &mut Command, input: &Path, log: &Path, limit: Duration) -> Result<()> {
    let source = File::open(input).with_context(|| format!("failed to open {}", input.display()))?;
    run_with_stream(what, command, Stdio::from(source), log, limit)
}

/// Runs to the end with standard input from an open file or pipe.
pub fn run_with_stream(what: &str, command: &mut Command, input: Stdio, log: &Path, limit: Duration) -> Result<()> {
    let file = open_log(log, what)?;
    let second = file.try_clone().context("failed to share the log file")?;
    command.stdin(input).stdout(Stdio::from(file)).stderr(Stdio::from(second));
    finish(what, spawn(what, command)?, log, limit)
}

/// Runs to the end and returns standard output; the error holds what the command said.
pub fn output(what: &str, command: &mut Command, limit: Duration) -> Result<String> {
    let (status, standard, error) = capture(what, command, None, limit)?;
    if status.success() {
        return Ok(standard);
    }
    let said = error.trim().lines().last().or_else(|| standard.trim().lines().last()).unwrap_or("no message");
    Err(anyhow!("failed to {what}: {said} ({status})"))
}

/// As [`output`], with text on standard input.
pub fn output_with_input(what: &str, command: &mut Command, input: &str, limit: Duration) -> Result<String> {
    let (status, standard, error) = capture(what, command, Some(input), limit)?;
    if status.success() {
        return Ok(standard);
    }
    let said = error.trim().lines().last().unwrap_or("no message").to_owned();
    Err(anyhow!("failed to {what}: {said} ({status})"))
}

/// Whether a command ends well within the limit; its output is of no interest.
#[must_use]
pub fn succeeds(command: &mut Command, limit: Duration) -> bool {
    capture("probe", command, None, limit).is_ok_and(|(status, _, _)| status.success())
}

/// Polls until `probe` gives a value; the error repeats what `probe` last complained about.
pub fn wait_for<T>(what: &str, limit: Duration, mut probe: impl FnMut() -> Result<T, String>) -> Result<T> {
    let started = Instant::now();
    loop {
        let complaint = match probe() {
            Ok(value) => return Ok(value),
            Err(complaint) => complaint,
        };
        if started.elapsed() > limit {
            bail!("waited {} s for {what}: {complaint}", limit.as_secs());
        }
        thread::sleep(Duration::from_millis(200));
    }
}

/// The last lines of a log file.
#[must_use]
pub fn last_lines(log: &Path, count: usize) -> String {
    let mut text = Vec::new();
    if File::open(log).and_then(|mut file| file.read_to_end(&mut text)).is_err() {
        return String::new();
    }
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

/// Opens a log for appending and writes a heading.
pub fn open_log(log: &Path, heading: &str) -> Result<File> {
    if let Some(folder) = log.parent() {
        paths::make(folder)?;
    }
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(log)
        .with_context(|| format!("failed to open the log {}", log.display()))?;
    writeln!(file, "== {heading}").with_context(|| format!("failed to write to the log {}", log.display()))?;
    Ok(file)
}

/// A process named so that a recycled id is never taken for it: the id and the kernel's start time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ProcessName {
    /// The process id.
    pub id: i32,
    /// Field 22 of `/proc/<id>/stat`, in clock ticks since boot.
    pub started_ticks: u64,
}

impl ProcessName {
    /// Names a running process.
    #[must_use]
    pub fn of(id: i32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        Some(Self { id, started_ticks: started_ticks(&stat)? })
    }

    /// Whether exactly this process still runs.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        Self::of(self.id) == Some(*self)
    }

    /// Sends a signal to exactly this process, if it still runs.
    pub fn signal(&self, signal: Signal) {
        if let (true, Some(id)) = (self.is_alive(), Pid::from_raw(self.id)) {
            // It may end between the check and the signal; then there is nothing left to do.
            let _ = rustix::process::kill_process(id, signal);
        }
    }

    /// The processes that this one started.
    #[must_use]
    pub fn children(&self) -> Vec<Self> {
        let id = self.id;
        std::fs::read_to_string(format!("/proc/{id}/task/{id}/children"))
            .unwrap_or_default()
            .split_whitespace()
            .filter_map(|child| Self::of(child.parse().ok()?))
            .collect()
    }

    /// The name of the program, as the kernel shortens it.
    #[must_use]
    pub fn program(&self) -> String {
        std::fs::read_to_string(format!("/proc/{}/comm", self.id)).unwrap_or_default().trim().to_owned()
    }
}

/// Every running process whose arguments hold `marker` as one of them.
///
/// A marker is an absolute path of ours, so this finds what an interrupted command started but could not note down.
#[must_use]
pub fn find_by_argument(marker: &Path) -> Vec<ProcessName> {
    use std::os::unix::ffi::OsStrExt;
    let wanted = marker.as_os_str().as_bytes();
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|id| *id != std::process::id().cast_signed())
        .filter(|id| {
            std::fs::read(format!("/proc/{id}/cmdline"))
                .is_ok_and(|line| line.split(|byte| *byte == 0).any(|argument| argument == wanted))
        })
        .filter_map(ProcessName::of)
        .collect()
}

/// Kills and waits until the process is gone.
pub fn kill(name: ProcessName, what: &str) -> Result<()> {
    name.signal(Signal::KILL);
    wait_for(&format!("the end of {what}"), Duration::from_secs(20), || {
        if name.is_alive() && !is_zombie(name.id) { Err(format!("process {} is still there", name.id)) } else { Ok(()) }
    })
}

fn is_zombie(id: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{id}/stat"))
        .is_ok_and(|stat| stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('Z')))
}

fn started_ticks(stat: &str) -> Option<u64> {
    // The program's name stands in brackets and may itself hold spaces and brackets.
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(19)?.parse().ok()
}

fn spawn(what: &str, command: &mut Command) -> Result<Child> {
    command
        .spawn()
        .with_context(|| format!("failed to {what}: cannot start {}", command.get_program().to_string_lossy()))
}

fn finish(what: &str, mut child: Child, log: &Path, limit: Duration) -> Result<()> {
    let status = wait(&mut child, what, limit).with_context(|| format!("log: {}", log.display()))?;
    if status.success() {
        return Ok(());
    }
    let shown = last_lines(log, SHOWN_LINES);
    bail!("failed to {what} ({status}); log: {}\n{shown}", log.display())
}

fn wait(child: &mut Child, what: &str, limit: Duration) -> Result<ExitStatus> {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().with_context(|| format!("failed to wait for: {what}"))? {
            return Ok(status);
        }
        if started.elapsed() > limit {
            let _ = child.kill();
            let _ = child.wait();
            bail!("failed to {what}: still not done after {} s, stopped", limit.as_secs());
        }
        thread::sleep(POLL);
    }
}

fn capture(
    what: &str,
    command: &mut Command,
    input: Option<&str>,
    limit: Duration,
) -> Result<(ExitStatus, String, String)> {
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = spawn(what, command)?;
    if let (Some(mut pipe), Some(text)) = (child.stdin.take(), input) {
        // A command that does not read its input says so by its status.
        let _ = pipe.write_all(text.as_bytes());
    }
    let standard = child.stdout.take().map(read_all);
    let error = child.stderr.take().map(read_all);
    let status = wait(&mut child, what, limit)?;
    Ok((status, collect(standard), collect(error)))
}

fn read_all(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut text = Vec::new();
        let _ = pipe.read_to_end(&mut text);
        text
    })
}

fn collect(reader: Option<thread::JoinHandle<Vec<u8>>>) -> String {
    let bytes = reader.and_then(|thread| thread.join().ok()).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recycled_process_id_is_not_taken_for_the_old_process() {
        let here = ProcessName::of(std::process::id().cast_signed()).expect("own process");
        assert!(here.is_alive());
        assert!(!ProcessName { started_ticks: here.started_ticks + 1, ..here }.is_alive());
    }

    #[test]
    fn a_program_name_with_brackets_does_not_shift_the_fields() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 4321 1 1";
        assert_eq!(started_ticks(stat), Some(4321));
    }

    #[test]
    fn a_command_that_hangs_is_stopped_and_named() {
        let mut command = Command::new("sleep");
        command.arg("60");
        let error = output("rest", &mut command, Duration::from_millis(100)).expect_err("time limit");
        assert!(error.to_string().contains("failed to rest: still not done"), "{error}");
    }

    #[test]
    fn a_failure_shows_the_last_lines_and_the_log() {
        let folder = tempfile::tempdir().expect("folder");
        let log = folder.path().join("work.log");
        let mut command = Command::new("sh");
        command.args(["-c", "echo the reason >&2; exit 3"]);
        let text = run("work", &mut command, &log, Duration::from_secs(5)).expect_err("status 3").to_string();
        assert!(text.contains("the reason") && text.contains("work.log"), "{text}");
    }
}
