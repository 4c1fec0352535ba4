//! What ginkgo reports of a run: each test by name, and whether that is the result that was asked for.

use std::fmt;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::progress;

/// A test that is known to fail.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// Its name, as reports have it.
    pub name: &'static str,
    /// Why it fails.
    pub reason: &'static str,
}

/// One test that ran, or chose not to.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Test {
    name: String,
    state: String,
    took: Duration,
    /// Why it failed or skipped itself; empty for one that passed.
    message: String,
    /// Why it is known to fail, if it is.
    known: Option<&'static str>,
}

/// All tests that the focus named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    tests: Vec<Test>,
    has_succeeded: bool,
    took: Duration,
}

impl Report {
    /// Reads ginkgo's JSON report. Tests outside the focus are in it too, skipped without a word; they are left out.
    pub fn read(text: &str, known: &[Known]) -> Result<Self> {
        let suites: Value = serde_json::from_str(text)?;
        let suites = suites.as_array().context("it is not a list of suites")?;
        let mut tests: Vec<Test> = suites
            .iter()
            .flat_map(|suite| suite["SpecReports"].as_array().into_iter().flatten())
            .map(|report| test(report, known))
            .filter(|test| test.state != "skipped" && test.state != "pending" || !test.message.is_empty())
            // Set-up and clean-up of the suite count only when they fail.
            .filter(|test| !test.name.is_empty())
            .collect();
        tests.sort_by(|left, right| left.name.cmp(&right.name));
        let has_succeeded = !suites.is_empty() && suites.iter().all(|suite| suite["SuiteSucceeded"] == true);
        let took = suites.iter().map(|suite| Duration::from_nanos(suite["RunTime"].as_u64().unwrap_or(0))).sum();
        Ok(Self { tests, has_succeeded, took })
    }

    /// Fails unless exactly the expected number ran, and all that are not known to fail passed.
    pub fn judge(&self, expected: usize) -> Result<()> {
        let passed = self.tests.iter().filter(|test| test.has_passed()).count();
        let failed = || self.tests.iter().filter(|test| test.has_failed());
        let unexpected: Vec<&str> =
            failed().filter(|test| test.known.is_none()).map(|test| test.name.as_str()).collect();
        let excused = failed().count() - unexpected.len();
        // A suite fails with any of its tests; without a failed one it has another reason.
        let is_sound = self.has_succeeded || excused > 0;
        if !unexpected.is_empty() || passed + excused != expected || !is_sound {
            let end = if is_sound { "" } else { "; the suite as a whole did not succeed" };
            bail!(
                "{passed} passed instead of {}, {} failed: {}{end}",
                expected.saturating_sub(excused),
                unexpected.len(),
                unexpected.join("; ")
            );
        }
        Ok(())
    }
}

impl Test {
    fn has_passed(&self) -> bool {
        self.state == "passed"
    }

    fn has_failed(&self) -> bool {
        !self.has_passed() && self.state != "skipped"
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for test in &self.tests {
            writeln!(out, "{:<8} {:>9}  {}", test.state, progress::elapsed(test.took), test.name)?;
            if let Some(reason) = test.message.lines().next() {
                writeln!(out, "{:20}{reason}", "")?;
            }
            match test.known {
                Some(reason) if test.has_failed() => writeln!(out, "{:20}known to fail: {reason}", "")?,
                Some(_) => writeln!(out, "{:20}it is no longer among those that fail: strike it off the list", "")?,
                None => {}
            }
        }
        let passed = self.tests.iter().filter(|test| test.has_passed()).count();
        let failed = self.tests.iter().filter(|test| test.has_failed()).count();
        writeln!(out, "{passed} of {} passed in {}", passed + failed, progress::elapsed(self.took))
    }
}

fn test(report: &Value, known: &[Known]) -> Test {
    let state = report["State"].as_str().unwrap_or("unknown").to_owned();
    let containers = report["ContainerHierarchyTexts"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let leaf = report["LeafNodeText"].as_str().filter(|text| !text.is_empty());
    let is_test = report["LeafNodeType"] == "It";
    let mut name = containers.chain(leaf).collect::<Vec<_>>().join(" ");
    if !is_test {
        let kind = report["LeafNodeType"].as_str().unwrap_or("unknown");
        name = if state == "passed" || state == "skipped" { String::new() } else { format!("({kind})") };
    }
    Test {
        known: known.iter().find(|known| known.name == name.trim_end()).map(|known| known.reason),
        name,
        state,
        took: Duration::from_nanos(report["RunTime"].as_u64().unwrap_or(0)),
        message: report["Failure"]["Message"].as_str().unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn spec(name: &str, state: &str, message: &str) -> Value {
        json!({"LeafNodeType": "It", "ContainerHierarchyTexts": ["[sig-apps] Deployment"], "LeafNodeText": name,
               "State": state, "RunTime": 1_500_000_000_u64, "Failure": {"Message": message}})
    }

    const B_IS_KNOWN: Known = Known { name: "[sig-apps] Deployment b", reason: "not written yet" };

    fn report(specs: &[Value], has_succeeded: bool) -> Report {
        report_with(specs, has_succeeded, &[])
    }

    fn report_with(specs: &[Value], has_succeeded: bool, known: &[Known]) -> Report {
        let suite = json!({"SuiteSucceeded": has_succeeded, "RunTime": 90_000_000_000_u64, "SpecReports": specs});
        Report::read(&json!([suite]).to_string(), known).unwrap()
    }

    #[test]
    fn tests_outside_the_focus_do_not_count() {
        let specs = [spec("a", "passed", ""), spec("b", "skipped", ""), spec("c", "skipped", "only in a cloud")];
        let report = report(&specs, true);
        assert_eq!(report.tests.len(), 2);
        report.judge(1).unwrap();
        assert!(report.to_string().contains("1 of 1 passed in 90 s"), "{report}");
    }

    #[test]
    fn one_that_is_known_to_fail_may_and_no_other() {
        let specs = [spec("a", "passed", ""), spec("b", "failed", "it broke")];
        let known = report_with(&specs, false, &[B_IS_KNOWN]);
        known.judge(2).unwrap();
        assert!(known.to_string().contains("known to fail: not written yet"), "{known}");
        assert!(known.judge(3).is_err());
        let specs = [spec("a", "failed", "it broke"), spec("b", "failed", "it broke")];
        let error = report_with(&specs, false, &[B_IS_KNOWN]).judge(2).unwrap_err().to_string();
        assert!(error.contains("Deployment a") && !error.contains("Deployment b"), "{error}");
    }

    #[test]
    fn one_that_passes_although_it_is_known_to_fail_is_told() {
        let report = report_with(&[spec("b", "passed", "")], true, &[B_IS_KNOWN]);
        report.judge(1).unwrap();
        assert!(report.to_string().contains("strike it off the list"), "{report}");
    }

    #[test]
    fn a_suite_that_fails_without_a_failed_test_is_a_failure() {
        assert!(report(&[spec("a", "passed", "")], false).judge(1).is_err());
    }

    #[test]
    fn one_failure_or_one_missing_test_fails() {
        let error = report(&[spec("a", "passed", ""), spec("b", "failed", "it broke")], false).judge(1).unwrap_err();
        assert!(error.to_string().contains("[sig-apps] Deployment b"), "{error}");
        assert!(report(&[spec("a", "passed", "")], true).judge(2).is_err());
        assert!(report(&[spec("a", "timedout", "")], true).judge(1).is_err());
    }

    #[test]
    fn a_failed_set_up_of_the_suite_is_a_failure() {
        let setup =
            json!({"LeafNodeType": "SynchronizedBeforeSuite", "State": "failed", "Failure": {"Message": "no nodes"}});
        let error = report(&[setup], false).judge(0).unwrap_err();
        assert!(error.to_string().contains("SynchronizedBeforeSuite"), "{error}");
    }
}
