//! Running a program: its output is captured, it has a time limit, and a failure shows the last lines it wrote.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::process::Command;

/// How long a program may run unless the caller says otherwise.
pub const USUAL_LIMIT: Duration = Duration::from_secs(60);

/// How a program ended, and what it wrote.
#[derive(Debug)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Output {
    /// Both streams, for a search in what a user would have seen.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

/// Runs a program to its end, whatever its exit status.
///
/// # Errors
/// It cannot be started, or does not end within `limit` (it is killed then).
pub async fn finish(command: &mut Command, limit: Duration) -> Result<Output> {
    let shown = format!("{:?}", command.as_std());
    let running = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = tokio::time::timeout(limit, running)
        .await
        .with_context(|| format!("{shown} did not end within {} s", limit.as_secs()))?
        .with_context(|| format!("failed to start {shown}"))?;
    Ok(Output {
        status: output.status,
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// Runs a program that has to succeed; gives its standard output.
///
/// # Errors
/// As for [`finish`], or it ends with another status than 0: the error shows the end of what it wrote.
pub async fn succeed(command: &mut Command, limit: Duration) -> Result<String> {
    let output = finish(command, limit).await?;
    if !output.status.success() {
        bail!("{:?} ended with {}: {}", command.as_std(), output.status, last_lines(&output.text(), 15));
    }
    Ok(output.stdout)
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_failure_shows_what_the_program_said() {
        let error =
            succeed(Command::new("sh").args(["-c", "echo broken pipe >&2; exit 3"]), USUAL_LIMIT).await.unwrap_err();
        assert!(error.to_string().contains("broken pipe"), "{error}");
    }

    #[tokio::test]
    async fn a_program_that_hangs_is_ended() {
        let error = succeed(Command::new("sleep").arg("60"), Duration::from_millis(50)).await.unwrap_err();
        assert!(format!("{error:#}").contains("did not end"), "{error:#}");
    }
}
