//! Plans in files: what replays a finding, and what holds it as a regression test.

use std::{
    env, fs,
    path::{Path, PathBuf},
    thread,
};

use serde::{Deserialize, Serialize};

use crate::fault::{Fault, Plan};

/// Names the file of the plan that is to be replayed, instead of all others.
pub const REPLAY: &str = "OPERATOR_TESTKIT_REPLAY";

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
    pub faults: Vec<Fault>,
}

impl Saved {
    /// A plan of the test that is running.
    pub(crate) fn of(seed: u64, plan: &Plan) -> Self {
        Self { test: test_name(), seed, faults: plan.faults.clone() }
    }

    /// The plan.
    pub fn plan(&self) -> Plan {
        Plan { faults: self.faults.clone() }
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

    /// The plan that the environment names, if it is of the running test.
    pub(super) fn to_be_replayed() -> Option<Self> {
        let saved = Self::read(Path::new(&env::var_os(REPLAY)?));
        (saved.test.is_empty() || saved.test == test_name()).then_some(saved)
    }

    /// All plans of a folder, by name; none if there is no such folder.
    pub(super) fn all_of(folder: &Path) -> Vec<Self> {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let is_plan = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "yaml");
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(is_plan).collect();
        paths.sort();
        paths.iter().map(|path| Self::read(path)).collect()
    }

    /// Writes it where the command that replays it finds it; returns the path.
    pub(crate) fn keep(&self) -> Option<PathBuf> {
        let text = serde_saphyr::to_string(self).ok()?;
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
