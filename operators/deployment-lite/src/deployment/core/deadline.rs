//! The progress deadline: how long a rollout may go on without progress (D60, D63, D64).

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{DeploymentCondition, DeploymentStatus};
use operator_sdk::plan::{Plan, Wait};

use crate::deployment::{Observed, Step};

/// The type of the condition that tells of it.
pub(crate) const PROGRESSING: &str = "Progressing";
/// Its reason once a rollout has come to its end.
pub(crate) const NEW_REPLICA_SET_AVAILABLE: &str = "NewReplicaSetAvailable";
/// Its reason once the deadline is over.
pub(crate) const TIMED_OUT: &str = "ProgressDeadlineExceeded";

/// The deadline in seconds; `None` where there is none (D60).
pub(crate) fn seconds(observed: &Observed) -> Option<i32> {
    observed.spec.progress_deadline_seconds.filter(|seconds| *seconds != i32::MAX)
}

/// What was said of the progress last.
pub(crate) fn condition(observed: &Observed) -> Option<&DeploymentCondition> {
    let mut conditions = observed.status.conditions.iter().flatten();
    conditions.find(|condition| condition.type_.as_deref() == Some(PROGRESSING))
}

/// True if these numbers say that every pod is of the present template and available (D61).
pub(crate) fn is_complete(observed: &Observed, status: &DeploymentStatus) -> bool {
    let numbers = [status.replicas, status.updated_replicas, status.available_replicas];
    numbers.iter().all(|number| number.unwrap_or_default() == observed.replicas())
}

/// True once there has been no progress for longer than the deadline (D63).
pub(crate) fn is_over(observed: &Observed) -> bool {
    let is_said = condition(observed).is_some_and(|condition| condition.reason.as_deref() == Some(TIMED_OUT));
    is_said || end(observed).is_some_and(|end| end < observed.now.0)
}

/// Looks again when the deadline is over, as no event may tell (D64).
pub(super) fn plan(observed: &Observed, plan: &mut Plan<Step>) {
    let is_over = is_over(observed);
    if let Some(end) = end(observed).filter(|_| !is_over) {
        let until = end.checked_add(Duration::from_secs(1)).ok();
        plan.waits.push(Wait { what: "progress before the deadline".to_owned(), until });
    }
}

/// When the time for progress ends; `None` if it does not run.
fn end(observed: &Observed) -> Option<Timestamp> {
    let condition = condition(observed)?;
    if condition.reason.as_deref() == Some(NEW_REPLICA_SET_AVAILABLE) {
        return None;
    }
    let seconds = u64::try_from(seconds(observed)?).ok()?;
    let since = condition.last_update_time.as_ref().or(condition.last_transition_time.as_ref())?;
    since.0.checked_add(Duration::from_secs(seconds)).ok()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;
    use crate::deployment::core::fixture;

    fn observed(reason: &str, now: i64) -> Observed {
        let mut deployment = fixture::deployment(1, "1", "0");
        deployment.spec.progress_deadline_seconds = Some(60);
        let condition = DeploymentCondition {
            type_: Some(PROGRESSING.to_owned()),
            reason: Some(reason.to_owned()),
            last_update_time: Some(Time(Timestamp::UNIX_EPOCH)),
            ..DeploymentCondition::default()
        };
        deployment.status = Some(DeploymentStatus { conditions: Some(vec![condition]), ..DeploymentStatus::default() });
        let mut observed = fixture::observed(&deployment, vec![]);
        observed.now.0 = Timestamp::from_second(now).unwrap();
        observed
    }

    fn next_look(observed: &Observed) -> Option<i64> {
        let mut plan_of = Plan::default();
        plan(observed, &mut plan_of);
        plan_of.waits.first().and_then(|wait| wait.until).map(Timestamp::as_second)
    }

    #[test]
    fn it_is_looked_at_again_a_second_after_the_deadline() {
        assert_eq!(next_look(&observed("ReplicaSetUpdated", 10)), Some(61));
        assert!(!is_over(&observed("ReplicaSetUpdated", 60)) && is_over(&observed("ReplicaSetUpdated", 61)));
    }

    #[test]
    fn nothing_is_awaited_once_the_rollout_is_complete_or_over() {
        assert_eq!(next_look(&observed(NEW_REPLICA_SET_AVAILABLE, 10)), None);
        assert_eq!(next_look(&observed(TIMED_OUT, 10)), None);
        assert_eq!(next_look(&observed("ReplicaSetUpdated", 61)), None);
    }
}
