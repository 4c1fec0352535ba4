//! Shows the view: redrawn in place on a terminal, as a line for each change elsewhere.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _, stdout};
use std::time::{Duration, Instant};

use super::view::{Pod, View};
use super::watch::{SharedView, look};
use crate::progress;

/// On a terminal: how often it is redrawn. Elsewhere: how often at most a line is printed.
const REDRAW: Duration = Duration::from_millis(200);
const LINE: Duration = Duration::from_secs(1);

/// Where the demo is seen.
pub struct Screen {
    view: SharedView,
    is_terminal: bool,
    started: Instant,
    drawn_at: Option<Instant>,
    /// Lines that the next drawing replaces.
    drawn_lines: usize,
    last_line: String,
}

impl Screen {
    /// Standard output.
    #[must_use]
    pub fn new(view: SharedView) -> Self {
        let is_terminal = stdout().is_terminal();
        Self { view, is_terminal, started: Instant::now(), drawn_at: None, drawn_lines: 0, last_line: String::new() }
    }

    /// Says what happens next; the view goes on below.
    pub fn say(&mut self, text: &str) {
        self.erase();
        println!("{text}");
        self.drawn_at = None;
    }

    /// Shows the view if it is time to.
    pub fn draw(&mut self, waiting_for: &str) {
        let pause = if self.is_terminal { REDRAW } else { LINE };
        if self.drawn_at.is_none_or(|at| at.elapsed() >= pause) {
            self.flush(waiting_for);
        }
    }

    /// Shows the view as it is now.
    pub fn flush(&mut self, waiting_for: &str) {
        self.drawn_at = Some(Instant::now());
        let view = look(&self.view).clone();
        if self.is_terminal {
            let text = picture(&view, waiting_for);
            self.erase();
            self.drawn_lines = text.lines().count();
            print!("{text}");
            // A terminal that is gone is no reason to stop.
            let _ = stdout().flush();
        } else {
            let line = format!("{}{}", view.line(), requests(&view));
            if line != self.last_line {
                println!("{:>6}  {line}", progress::elapsed(self.started.elapsed()));
                self.last_line = line;
            }
        }
    }

    /// Leaves the last picture where it is.
    pub fn end(&mut self) {
        self.drawn_lines = 0;
    }

    fn erase(&mut self) {
        if self.drawn_lines > 0 {
            // Up to the first line of the picture, and clear from there.
            print!("\x1b[{}A\x1b[J", self.drawn_lines);
            self.drawn_lines = 0;
        }
    }
}

/// One line a node, one mark a pod.
fn picture(view: &View, waiting_for: &str) -> String {
    let mut nodes: BTreeMap<&str, Vec<&Pod>> = BTreeMap::new();
    for pod in view.pods.values() {
        nodes.entry(if pod.node.is_empty() { "(no node yet)" } else { &pod.node }).or_default().push(pod);
    }
    let mut text = format!("  … {waiting_for}\n");
    for (node, pods) in nodes {
        let marks: Vec<String> = pods.iter().map(|pod| mark(pod)).collect();
        let _ = writeln!(text, "  {node:<28} {}", marks.join(" "));
    }
    let _ = writeln!(text, "  {}{}", view.line(), requests(view));
    text
}

fn mark(pod: &Pod) -> String {
    let (colour, sign) = match (pod.is_terminating, pod.is_ready) {
        (true, _) => (90, "✗"),
        (false, true) => (32, "●"),
        (false, false) => (33, "○"),
    };
    format!("\x1b[{colour}m{sign}{}\x1b[0m", pod.version)
}

fn requests(view: &View) -> String {
    view.sums
        .as_ref()
        .map_or_else(String::new, |sums| format!("; requests: {} sent, {} failed", sums.sent, sums.failed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::view::Sums;

    #[test]
    fn the_picture_has_a_line_for_each_node() {
        let pod =
            |node: &str, is_ready| Pod { node: node.into(), is_ready, is_terminating: false, version: "1".into() };
        let mut view = View { sums: Some(Sums { sent: 7, ..Sums::default() }), ..View::default() };
        view.pods.insert("a".into(), pod("one", true));
        view.pods.insert("b".into(), pod("two", false));
        view.pods.insert("c".into(), pod("", false));
        let text = picture(&view, "all are ready");
        assert_eq!(text.lines().count(), 5, "{text}");
        assert!(text.contains("7 sent, 0 failed") && text.contains("(no node yet)"), "{text}");
    }
}
