//! Plans in files: what replays a finding, and what holds it as a regression test.

use std::{
    env, fs,
    path::{Path, PathBuf},
    thread,
};

use serde::{Deserialize, Serialize};

use super::target;
use crate::{
    fault::{Effect, Fault, Moment, Plan},
    record::{Record, Violation},
};

/// Names the file of the plan that is to be replayed, instead of all others.
pub const REPLAY: &str = "OPERATOR_TESTKIT_REPLAY";

/// What is broken of a saved plan that does not strike what it struck.
pub(crate) const OUT_OF_DATE: &str = "saved plan";

/// A plan with all that replays it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Saved {
    /// The test that found it; empty: whichever replays it.
    #[serde(default)]
    pub test: String,
    /// The seed.
    pub seed: u64,
    /// The plan.
    pub faults: Vec<SavedFault>,
}

/// A fault, and by what it is known again: the number of its moment moves with every change of what is asked before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedFault {
    /// When.
    pub at: Moment,
    /// What.
    pub effect: Effect,
    /// What it struck when it was saved, as in `PUT /api/v1/…` or `ADDED Pod default/web-*`; empty at a time.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub struck: String,
}

impl Saved {
    /// A plan of the test that is running, and what each of its faults strikes.
    pub(crate) fn of(seed: u64, plan: &Plan, strikes: &[String]) -> Self {
        let faults = plan.faults.iter().zip(strikes).map(|(fault, struck)| SavedFault {
            at: fault.at.clone(),
            effect: fault.effect.clone(),
            struck: struck.clone(),
        });
        Self { test: test_name(), seed, faults: faults.collect() }
    }

    /// The plan.
    pub fn plan(&self) -> Plan {
        Plan::of(self.faults.iter().map(|saved| Fault::new(saved.at.clone(), saved.effect.clone())))
    }

    /// That in this run of it some of its faults do not strike what they struck, so that it guards something else, or
    /// nothing.
    pub(super) fn moved(&self, path: &Path, record: &Record) -> Option<Violation> {
        let moved = self.faults.iter().enumerate().filter_map(|(index, saved)| {
            let now = target::at(record, &saved.at);
            let strikes = record.struck.contains_key(&index);
            if strikes && now == saved.struck {
                return None;
            }
            let or = |text: &str, other: &str| if text.is_empty() { other.to_owned() } else { text.to_owned() };
            let then = or(&saved.struck, "nothing that is noted");
            let now = match &*now {
                now if strikes => or(now, "nothing that is noted"),
                "" => "nothing".to_owned(),
                now => format!("nothing at {now}"),
            };
            let numbers = if saved.struck.is_empty() || now == saved.struck {
                Vec::new()
            } else {
                target::numbers_of(record, &saved.at, &saved.struck)
            };
            let numbers = numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let there =
                if numbers.is_empty() { "" } else { &format!("\n    what it struck has the number {numbers} now") };
            let fault = Fault::new(saved.at.clone(), saved.effect.clone());
            Some(format!("\n  {fault}\n    struck {then}\n    now strikes {now}{there}"))
        });
        let moved: String = moved.collect();
        (!moved.is_empty()).then(|| Violation {
            oracle: OUT_OF_DATE,
            time: record.struck.values().min().copied().unwrap_or(record.end),
            message: format!(
                "{} is out of date:{moved}\n  look whether the case still exists: explore, and save what is found in its \
                 place; or correct the number and `struck`; or delete the plan",
                path.display()
            ),
        })
    }

    /// Reads a file.
    ///
    /// # Panics
    /// If it cannot be read: it is a part of the test.
    pub fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).map_err(|error| error.to_string());
        match text.and_then(|text| serde_saphyr::from_str(&text).map_err(|error| error.to_string())) {
            Ok(saved) => saved,
            Err(error) => panic!("failed to read the plan {}: {error}", path.display()),
        }
    }

    /// The plan that the environment names, with its file, if it is of the running test.
    pub(super) fn to_be_replayed() -> Option<(PathBuf, Self)> {
        let path = PathBuf::from(env::var_os(REPLAY)?);
        let saved = Self::read(&path);
        (saved.test.is_empty() || saved.test == test_name()).then_some((path, saved))
    }

    /// All plans of a folder, by the paths of their files; none if there is no such folder.
    pub(super) fn all_of(folder: &Path) -> Vec<(PathBuf, Self)> {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let is_plan = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "yaml");
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(is_plan).collect();
        paths.sort();
        let with_plan = |path: PathBuf| {
            let saved = Self::read(&path);
            (path, saved)
        };
        paths.into_iter().map(with_plan).collect()
    }

    /// As it stands in a file: each field on a line of its own, however long.
    pub(crate) fn text(&self) -> Option<String> {
        serde_saphyr::to_string_with_options(self, serde_saphyr::ser_options! { prefer_block_scalars: false }).ok()
    }

    /// Writes it where the command that replays it finds it; returns the path.
    pub(crate) fn keep(&self) -> Option<PathBuf> {
        let text = self.text()?;
        let folder = env::temp_dir().join("operator-testkit");
        fs::create_dir_all(&folder).ok()?;
        let digest = text
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        let path = folder.join(format!("{}-{:08x}.yaml", self.test.replace("::", "-"), digest >> 32));
        fs::write(&path, text).ok()?;
        Some(path)
    }
}

/// The test that is running, as the test harness names its thread.
fn test_name() -> String {
    thread::current().name().filter(|name| *name != "main").unwrap_or_default().to_owned()
}
