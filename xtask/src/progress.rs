//! Says what is being done and how long it took: a spinner on a terminal, plain lines elsewhere.

use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// One step under way; it ends by [`Step::done`] or, without a tick mark, by being dropped.
pub struct Step {
    what: String,
    started: Instant,
    bar: Option<ProgressBar>,
    is_finished: bool,
}

/// Announces a step.
#[must_use]
pub fn step(what: impl Into<String>) -> Step {
    let what = what.into();
    let bar = stderr().is_terminal().then(|| {
        let bar = ProgressBar::new_spinner().with_message(what.clone());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed:.dim}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(120));
        bar
    });
    if bar.is_none() {
        eprintln!("… {what}");
    }
    Step { what, started: Instant::now(), bar, is_finished: false }
}

/// A line that belongs to no step.
pub fn say(line: impl AsRef<str>) {
    eprintln!("{}", line.as_ref());
}

impl Step {
    /// Adds what is waited for at the moment.
    pub fn detail(&self, detail: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{}: {detail}", self.what));
        }
    }

    /// Ends the step well.
    pub fn done(self) {
        self.done_with("");
    }

    /// Ends the step well, with a word on the result.
    pub fn done_with(mut self, result: &str) {
        self.is_finished = true;
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        let separator = if result.is_empty() { "" } else { ": " };
        eprintln!("✓ {}{separator}{result} ({})", self.what, elapsed(self.started.elapsed()));
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        if !self.is_finished {
            eprintln!("✗ {} ({})", self.what, elapsed(self.started.elapsed()));
        }
    }
}

/// A duration for people: `0.4 s`, `12 s`, `3 min 5 s`.
#[must_use]
pub fn elapsed(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", duration.as_secs_f64()),
        10..120 => format!("{seconds} s"),
        _ => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_like_speech() {
        assert_eq!(elapsed(Duration::from_millis(420)), "0.4 s");
        assert_eq!(elapsed(Duration::from_secs(75)), "75 s");
        assert_eq!(elapsed(Duration::from_secs(185)), "3 min 5 s");
    }
}
