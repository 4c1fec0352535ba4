//! What came of an exploration; it reads like a bug report.

use std::{
    collections::BTreeSet,
    env,
    fmt::{self, Write},
};

use jiff::{SignedDuration, Timestamp};

use crate::{
    explore::{OUT_OF_DATE, Saved, target},
    failure::qualified,
    fault::Plan,
    record::{Record, Requested, Violation},
};

/// How much of a log is shown before and after what matters.
const LINES_BEFORE: usize = 6;
const LINES_AFTER: usize = 14;
/// A log of no more lines is shown whole.
const LINES_WHOLE_MAX: usize = 40;
/// How many violations of a finding, and how many findings, are shown in full.
const VIOLATIONS_MAX: usize = 6;
const FINDINGS_MAX: usize = 2;

/// What came of an exploration.
#[derive(Debug, Default)]
#[must_use = "a verdict is to be asserted, or read"]
pub struct Verdict {
    /// Runs in which nothing went wrong.
    pub references: usize,
    /// Plans that were to be run.
    pub plans: usize,
    /// Plans that were run, before there were findings enough.
    pub runs: usize,
    /// In how many of them a fault struck.
    pub struck: usize,
    /// What was found, in the order of the plans.
    pub findings: Vec<Finding>,
    /// Rights that an operator declares and did not use in any run: verb, group and resource.
    pub unused_rights: BTreeSet<(String, String, String)>,
    /// Whether this is one plan, run once more to be looked at.
    pub(crate) replayed: bool,
    /// Whether nobody on trial changed anything, Leases aside, even with nothing going wrong.
    pub(crate) is_idle: bool,
    /// Whether faults were asked for, and none struck.
    pub(crate) is_vain: bool,
}

/// A run in which something does not hold.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What decided all that chance decides.
    pub seed: u64,
    /// What went wrong; empty: nothing.
    pub plan: Plan,
    /// What does not hold, in the order of time.
    pub violations: Vec<Violation>,
    /// Requests and log, in the order of time, and how far each line is from what matters.
    history: Vec<(Timestamp, String)>,
    struck: Option<Timestamp>,
    /// What each fault of the plan strikes.
    strikes: Vec<String>,
    /// Without which the test that found it is not there; may be empty.
    pub(crate) feature: &'static str,
}

impl Finding {
    pub(crate) fn new(record: &Record, violations: Vec<Violation>) -> Self {
        Self {
            seed: record.seed,
            plan: record.plan.clone(),
            violations,
            history: history(record),
            struck: record.struck.values().min().copied(),
            strikes: record.plan.faults.iter().map(|fault| target::at(record, &fault.at)).collect(),
            feature: "",
        }
    }

    /// Whether it is a saved plan that strikes something else by now, which is to be looked at as it is.
    pub(crate) fn is_out_of_date(&self) -> bool {
        self.violations.iter().any(|violation| violation.oracle == OUT_OF_DATE)
    }

    /// The lines round what matters: where the first fault struck, and where something was first found broken. A short log is
    /// shown whole.
    fn excerpt(&self) -> Vec<&str> {
        if self.history.len() <= LINES_WHOLE_MAX {
            return self.history.iter().map(|(_, line)| line.as_str()).collect();
        }
        let broken = self.violations.first().map(|violation| violation.time);
        let place = |time: &Timestamp| self.history.partition_point(|(line, _)| line < time);
        let places: Vec<usize> = [self.struck, broken].iter().flatten().map(place).collect();
        let is_near =
            |index: usize| places.iter().any(|place| index + LINES_BEFORE >= *place && index <= place + LINES_AFTER);
        let mut lines = Vec::new();
        for (index, (_, line)) in self.history.iter().enumerate() {
            if is_near(index) {
                lines.push(line.as_str());
            } else if lines.last() != Some(&"…") {
                lines.push("…");
            }
        }
        lines
    }
}

impl Verdict {
    /// Whether all promises held.
    pub fn is_good(&self) -> bool {
        self.findings.iter().all(|finding| finding.violations.is_empty())
    }

    /// Passes if every run came to what it comes to if nothing goes wrong, and all promises held.
    ///
    /// # Panics
    /// If not, with the report; and if faults were asked for and none struck, which proves nothing.
    #[track_caller]
    pub fn assert_converges(&self) {
        assert!(self.is_good(), "\n{self}");
        assert!(!self.is_vain, "no fault struck, which proves nothing: do `only` and `after_step` leave any?\n{self}");
        println!("{self}");
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { references, plans, runs, struck, findings, unused_rights, .. } = self;
        let failed = findings.iter().filter(|finding| !finding.violations.is_empty()).count();
        writeln!(
            formatter,
            "{references} runs without faults; {plans} plans of faults, {runs} run, in {struck} of them a fault struck; \
             {failed} failed"
        )?;
        if *references > 0 && *plans == 0 && failed > 0 {
            writeln!(formatter, "it is wrong without any fault, so none was tried")?;
        }
        if !self.replayed && runs < plans {
            writeln!(formatter, "{} plans were left when so many had failed", plans - runs)?;
        }
        if self.is_idle {
            writeln!(formatter, "nobody on trial wrote anything: is there anything for them to do?")?;
        }
        let judged = if self.replayed { *references } else { references + runs };
        for (verb, group, resource) in unused_rights {
            let (plural, subresource) = resource.split_at(resource.find('/').unwrap_or(resource.len()));
            let plural = qualified(plural, group);
            writeln!(formatter, "a right that none of {judged} runs used: {verb} {plural}{subresource}")?;
        }
        for finding in findings.iter().take(FINDINGS_MAX) {
            write!(formatter, "\n{finding}")?;
        }
        for finding in findings.iter().skip(FINDINGS_MAX) {
            let first = finding.violations.first().map(ToString::to_string).unwrap_or_default();
            let first = first.lines().next().unwrap_or_default();
            let faults = finding.plan.faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
            let faults = if faults.is_empty() { "no fault" } else { &faults };
            writeln!(formatter, "also seed {}, {faults}: {first}", finding.seed)?;
        }
        Ok(())
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What is said again and again is told once, as of its first time.
        let mut told: Vec<(&Violation, usize)> = Vec::new();
        for violation in &self.violations {
            let is_same = |first: &Violation| first.oracle == violation.oracle && first.title() == violation.title();
            match told.iter_mut().find(|(first, _)| is_same(first)) {
                Some((_, times)) => *times += 1,
                None => told.push((violation, 1)),
            }
        }
        for (violation, times) in told.iter().take(VIOLATIONS_MAX) {
            writeln!(formatter, "✗ {violation}")?;
            if *times > 1 {
                writeln!(formatter, "  and {} times more", times - 1)?;
            }
        }
        if let Some(more) = told.len().checked_sub(VIOLATIONS_MAX).filter(|more| *more > 0) {
            writeln!(formatter, "✗ and {more} others")?;
        }
        let saved = Saved::of(self.seed, &self.plan, &self.strikes);
        let plan = saved.text().unwrap_or_default();
        writeln!(formatter, "plan:\n{}", indented(plan.lines()))?;
        let span = self.history.last().map_or(SignedDuration::ZERO, |(last, _)| last.duration_since(self.history[0].0));
        writeln!(formatter, "log ({} lines over {span:#}):\n{}", self.history.len(), indented(self.excerpt()))?;
        if self.is_out_of_date() {
            return Ok(());
        }
        if let Some(path) = saved.keep() {
            let package = env::var("CARGO_PKG_NAME").map(|name| format!("-p {name} ")).unwrap_or_default();
            let features = if self.feature.is_empty() { "" } else { &format!("--features {} ", self.feature) };
            let (replay, path) = (crate::explore::REPLAY, path.display());
            let test = format!("{package}{features}{}", saved.test);
            writeln!(formatter, "replay: {replay}={path} cargo test {test} -- --exact --nocapture")?;
            if !self.plan.faults.is_empty() {
                writeln!(formatter, "keep:   mkdir -p testdata/plans && cp {path} testdata/plans/")?;
            }
        }
        Ok(())
    }
}

/// Requests and log in the order of time. A read that went well is told once until something else happens, and not at all
/// if it is that of an actor.
fn history(record: &Record) -> Vec<(Timestamp, String)> {
    let requests = record.requests.iter().map(|request| (request.sent, request.to_string(), read_well(request)));
    let log = record.log.iter().map(|line| (line.time, line.to_string(), None));
    let mut lines: Vec<_> = requests.chain(log).collect();
    lines.sort_by_key(|(time, ..)| *time);
    let mut told = BTreeSet::new();
    lines.retain(|(.., read)| match read {
        Some((actor, _)) if record.actors.contains(*actor) => false,
        Some(read) => told.insert(*read),
        None => {
            told.clear();
            true
        }
    });
    lines.into_iter().map(|(time, text, _)| (time, text)).collect()
}

/// Who read what, if it went as it always goes.
fn read_well(request: &Requested) -> Option<(&str, &str)> {
    let is_well = request.answer.as_ref().is_some_and(|answer| (200..300).contains(&answer.code));
    let is_plain = request.counted.request.is_some() && request.counted.write.is_none() && request.faults.is_empty();
    // A watch and a list of the same kind are two things.
    let path = request.path.split_once("&timeoutSeconds").map_or(&*request.path, |(path, _)| path);
    (is_well && is_plain).then_some((&*request.process, path))
}

fn indented<'a>(lines: impl IntoIterator<Item = &'a str>) -> String {
    lines.into_iter().fold(String::new(), |mut text, line| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "  {line}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Answered, Counted};

    fn request(method: &str, path: &str) -> Requested {
        let write = (method != "GET").then_some(1);
        let answer = Answered {
            code: 200,
            reason: String::new(),
            message: String::new(),
            is_effective: write.is_some(),
            is_fault: false,
        };
        Requested {
            id: 1,
            sent: Timestamp::UNIX_EPOCH,
            process: "operator".into(),
            counted: Counted { request: Some(1), write, election: None },
            method: method.to_owned(),
            path: path.to_owned(),
            answer: Some(answer),
            faults: Vec::new(),
        }
    }

    #[test]
    fn a_read_is_told_again_only_after_something_else_has_happened() {
        let watch = |seconds: u32| request("GET", &format!("/api/v1/pods?watch=true&timeoutSeconds={seconds}"));
        let list = request("GET", "/api/v1/pods");
        let failed = Requested { answer: None, ..list.clone() };
        let write = request("POST", "/api/v1/pods");
        let actor = Requested { process: "nodes".into(), ..list.clone() };
        let requests = vec![list.clone(), watch(7), list, watch(8), actor, write, watch(9), failed.clone(), failed];
        let told = history(&Record { requests, actors: ["nodes".into()].into(), ..Record::default() });
        let told: Vec<&str> = told.iter().filter_map(|(_, line)| line.split(' ').nth(4)).collect();
        assert_eq!(told, ["GET", "GET", "POST", "GET", "GET", "GET"]);
    }
}
