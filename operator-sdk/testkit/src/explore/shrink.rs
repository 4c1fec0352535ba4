//! Makes a plan that fails as small as it can be while it fails in the same way.

use super::Case;
use crate::{fault::Plan, oracle::reference::Reference, simulation::Simulation, verdict::Finding};

/// Leaves out one fault after the other for as long as what was broken first stays broken.
pub(super) fn shrink(simulation: &Simulation, case: &Case, finding: &Finding, reference: &Reference) -> Finding {
    let broken = finding.violations.first().map(|violation| violation.oracle);
    let mut smallest = finding.clone();
    let mut index = 0;
    while smallest.plan.faults.len() > 1 && index < smallest.plan.faults.len() {
        let mut faults = smallest.plan.faults.clone();
        faults.remove(index);
        let smaller = Case { plan: Plan { faults }, ..case.clone() };
        let (record, violations) = simulation.try_out(&smaller, reference);
        if violations.iter().any(|violation| Some(violation.oracle) == broken) {
            smallest = Finding::new(&record, violations);
            index = 0;
        } else {
            index += 1;
        }
    }
    smallest
}
