//! What a pause, and its end, do to the progress that is told (D50).

use super::condition::Report;
use crate::deployment::{
    Observed,
    core::deadline::{self, PROGRESSING, TIMED_OUT},
};

const PAUSED: &str = "DeploymentPaused";

/// What is told now that the Deployment is paused, or is so no more; the time until the deadline begins anew.
pub(super) fn of(observed: &Observed) -> Option<Report> {
    deadline::seconds(observed)?;
    let told = deadline::condition(observed).and_then(|condition| condition.reason.as_deref());
    let is_paused = observed.spec.paused == Some(true);
    match (is_paused, told) {
        _ if observed.is_deleting() => None,
        (_, Some(TIMED_OUT)) | (true, Some(PAUSED)) => None,
        (true, _) => Some(report(PAUSED, "Deployment is paused")),
        (false, Some(PAUSED)) => Some(report("DeploymentResumed", "Deployment is resumed")),
        (false, _) => None,
    }
}

fn report(reason: &'static str, message: &str) -> Report {
    Report { r#type: PROGRESSING, status: "Unknown", reason, message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::apps::v1::{DeploymentCondition, DeploymentStatus};

    use super::*;
    use crate::deployment::core::fixture;

    fn told(is_paused: bool, deadline: Option<i32>, reason: Option<&str>) -> Option<&'static str> {
        let mut deployment = fixture::deployment(3, "1", "0");
        deployment.spec.paused = Some(is_paused);
        deployment.spec.progress_deadline_seconds = deadline;
        let condition = reason.map(|reason| DeploymentCondition {
            type_: Some(PROGRESSING.to_owned()),
            reason: Some(reason.to_owned()),
            ..DeploymentCondition::default()
        });
        let conditions = Some(condition.into_iter().collect());
        deployment.status = Some(DeploymentStatus { conditions, ..DeploymentStatus::default() });
        of(&fixture::observed(&deployment, vec![])).map(|report| report.reason)
    }

    #[test]
    fn a_pause_and_its_end_are_told_once() {
        assert_eq!(told(true, Some(60), None), Some("DeploymentPaused"));
        assert_eq!(told(true, Some(60), Some("ReplicaSetUpdated")), Some("DeploymentPaused"));
        assert_eq!(told(true, Some(60), Some("DeploymentPaused")), None);
        assert_eq!(told(false, Some(60), Some("DeploymentPaused")), Some("DeploymentResumed"));
        assert_eq!(told(false, Some(60), Some("DeploymentResumed")), None);
    }

    #[test]
    fn a_deadline_that_is_over_stays_so_and_without_one_nothing_is_told() {
        assert_eq!(told(true, Some(60), Some(TIMED_OUT)), None);
        assert_eq!(told(true, None, None), None);
        assert_eq!(told(true, Some(i32::MAX), None), None);
    }
}
