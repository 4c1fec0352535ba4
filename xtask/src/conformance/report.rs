//! What ginkgo reports of a run: each test by name, and whether that is the result that was asked for.

use std::fmt;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::progress;

/// One test that ran, or chose not to.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Test {
    name: String,
    state: String,
    took: Duration,
    /// Why it failed or skipped itself; empty for one that passed.
    message: String,
}

/// All tests that the focus named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    tests: Vec<Test>,
    has_succeeded: bool,
}

impl Report {
    /// Reads ginkgo's JSON report. Tests outside the focus are in it too, skipped without a word; they are left out.
    pub fn read(text: &str) -> Result<Self> {
        let suites: Value = serde_json::from_str(text)?;
        let suites = suites.as_array().context("it is not a list of suites")?;
        let mut tests: Vec<Test> = suites
            .iter()
            .flat_map(|suite| suite["SpecReports"].as_array().into_iter().flatten())
            .map(test)
            .filter(|test| test.state != "skipped" && test.state != "pending" || !test.message.is_empty())
            // Set-up and clean-up of the suite count only when they fail.
            .filter(|test| !test.name.is_empty())
            .collect();
        tests.sort_by(|left, right| left.name.cmp(&right.name));
        let has_succeeded = !suites.is_empty() && suites.iter().all(|suite| suite["SuiteSucceeded"] == true);
        Ok(Self { tests, has_succeeded })
    }

    /// Fails unless exactly the expected number passed and none failed.
    pub fn judge(&self, expected: usize) -> Result<()> {
        let passed = self.count("passed");
        let skipped = self.count("skipped");
        let failed = self.tests.len() - passed - skipped;
        if failed > 0 || passed != expected || !self.has_succeeded {
            let names: Vec<&str> = self
                .tests
                .iter()
                .filter(|test| !["passed", "skipped"].contains(&test.state.as_str()))
                .map(|test| test.name.as_str())
                .collect();
            let end = if self.has_succeeded { "" } else { "; the suite as a whole did not succeed" };
            bail!("{passed} passed instead of {expected}, {failed} failed: {}{end}", names.join("; "));
        }
        Ok(())
    }

    fn count(&self, state: &str) -> usize {
        self.tests.iter().filter(|test| test.state == state).count()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for test in &self.tests {
            writeln!(out, "{:<8} {:>9}  {}", test.state, progress::elapsed(test.took), test.name)?;
            if let Some(reason) = test.message.lines().next() {
                writeln!(out, "{:20}{reason}", "")?;
            }
        }
        writeln!(out, "{} of {} passed", self.count("passed"), self.tests.len() - self.count("skipped"))
    }
}

fn test(report: &Value) -> Test {
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

    fn report(specs: &[Value], has_succeeded: bool) -> Report {
        Report::read(&json!([{"SuiteSucceeded": has_succeeded, "SpecReports": specs}]).to_string()).unwrap()
    }

    #[test]
    fn tests_outside_the_focus_do_not_count() {
        let specs = [spec("a", "passed", ""), spec("b", "skipped", ""), spec("c", "skipped", "only in a cloud")];
        let report = report(&specs, true);
        assert_eq!(report.tests.len(), 2);
        report.judge(1).unwrap();
        assert!(report.to_string().contains("1 of 1 passed"), "{report}");
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
