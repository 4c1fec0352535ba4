//! The differences that are known and why they stay: `differences.yaml`.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;

use crate::compare::Difference;

/// More would mean that the simulation cannot be believed.
const AT_MOST: usize = 15;
/// The items of simulator.md §5 of which nothing is needed before an operator is tested.
const LATER: [u8; 8] = [9, 12, 17, 24, 25, 31, 32, 35];

/// A documented difference.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Excuse {
    /// The item of simulator.md §5.
    item: u8,
    /// Why it stays.
    reason: String,
    /// Only in the cases with this in their name.
    #[serde(default)]
    case: String,
    /// Only where the path ends like this.
    #[serde(default)]
    path: String,
    /// Only where the real server's answer holds this.
    #[serde(default)]
    real: String,
    #[serde(skip)]
    is_used: bool,
}

/// All of them.
#[derive(Debug)]
pub struct Excuses(Vec<Excuse>);

impl Excuses {
    /// Reads the file.
    pub fn load() -> Self {
        let all: Vec<Excuse> =
            serde_saphyr::from_str(include_str!("differences.yaml")).expect("documented differences");
        assert!(all.len() <= AT_MOST, "{} documented differences are too many", all.len());
        for excuse in &all {
            assert!(!excuse.reason.is_empty(), "a difference without a reason");
            assert!(LATER.contains(&excuse.item), "a difference in item {}, which has to be right", excuse.item);
            assert!(!excuse.case.is_empty() || !excuse.path.is_empty(), "a difference that is everywhere");
        }
        Self(all)
    }

    /// Whether a difference is documented.
    pub fn covers(&mut self, case: &str, difference: &Difference) -> bool {
        let real = difference.real.as_ref().map(Value::to_string).unwrap_or_default();
        let matching = self.0.iter_mut().find(|excuse| {
            case.contains(&excuse.case) && difference.path.ends_with(&excuse.path) && real.contains(&excuse.real)
        });
        matching.map(|excuse| excuse.is_used = true).is_some()
    }

    /// Those that excused nothing.
    pub fn unused(&self) -> Vec<String> {
        self.0.iter().filter(|excuse| !excuse.is_used).map(|excuse| excuse.reason.clone()).collect()
    }
}

/// The names of the cases that are still to be answered as the real server does: `pending.yaml`.
pub fn pending() -> BTreeSet<String> {
    serde_saphyr::from_str(include_str!("pending.yaml")).expect("names of cases")
}
