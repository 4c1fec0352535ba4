//! The decisions of the Deployment controller: pure.

pub(super) mod deadline;
pub(super) mod fencepost;
#[cfg(test)]
pub(super) mod fixture;
mod history;
mod rolling;
mod settings;
pub(super) mod version;

use operator_sdk::plan::Plan;

use super::{Observed, Step};

/// What to do next for a Deployment.
pub(super) fn plan(observed: &Observed) -> Plan<Step> {
    let mut plan = Plan::default();
    if observed.is_deleting() {
        return plan;
    }
    settings::plan(observed, &mut plan);
    if plan.is_empty() {
        rolling::plan(observed, &mut plan);
    }
    if plan.is_empty() && plan.waits.is_empty() {
        history::plan(observed, &mut plan);
    }
    deadline::plan(observed, &mut plan);
    plan
}
