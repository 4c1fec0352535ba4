//! Conditions of a Deployment: one entry a type; those of other types are left alone (D56, D59).

use jiff::Timestamp;
use k8s_openapi::{api::apps::v1::DeploymentCondition, apimachinery::pkg::apis::meta::v1::Time};

/// What a condition is to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Report {
    pub(super) r#type: &'static str,
    /// `True`, `False` or `Unknown`.
    pub(super) status: &'static str,
    /// One word in CamelCase, for programs.
    pub(super) reason: &'static str,
    /// A sentence, for people.
    pub(super) message: String,
}

/// Takes a condition away.
pub(super) fn remove(conditions: &mut Vec<DeploymentCondition>, r#type: &str) {
    conditions.retain(|condition| condition.type_.as_deref() != Some(r#type));
}

/// Puts a condition of a ReplicaSet among the conditions, unless it says the same.
pub(super) fn copy(conditions: &mut Vec<DeploymentCondition>, condition: DeploymentCondition) {
    match conditions.iter_mut().find(|held| held.type_ == condition.type_) {
        None => conditions.push(condition),
        Some(held) if (&held.status, &held.reason) == (&condition.status, &condition.reason) => {}
        Some(held) => *held = condition,
    }
}

/// The same as [`set_message`], and the update time moves even if the same was said before (D62).
pub(super) fn set_anew(conditions: &mut Vec<DeploymentCondition>, report: Report, now: Timestamp) {
    let r#type = report.r#type;
    set_message(conditions, report, now);
    let held = conditions.iter_mut().find(|held| held.type_.as_deref() == Some(r#type));
    if let Some(held) = held {
        held.last_update_time = Some(whole_second(now));
    }
}

/// The same as [`set`], and another message is told even if status and reason are the same.
pub(super) fn set_message(conditions: &mut Vec<DeploymentCondition>, report: Report, now: Timestamp) {
    let (r#type, message) = (report.r#type, report.message.clone());
    set(conditions, report, now);
    let held = conditions.iter_mut().find(|held| held.type_.as_deref() == Some(r#type));
    if let Some(held) = held {
        held.message = Some(message);
    }
}

/// Times in objects have whole seconds; a finer one would differ from itself when read back.
fn whole_second(now: Timestamp) -> Time {
    Time(Timestamp::from_second(now.as_second()).unwrap_or(now))
}

/// Puts a report among the conditions. With the status and reason that are there already it changes nothing, and the
/// transition time moves only with the status (D59).
pub(super) fn set(conditions: &mut Vec<DeploymentCondition>, report: Report, now: Timestamp) {
    let now = whole_second(now);
    let mut condition = DeploymentCondition {
        type_: Some(report.r#type.to_owned()),
        status: Some(report.status.to_owned()),
        reason: Some(report.reason.to_owned()),
        message: Some(report.message),
        last_transition_time: Some(now.clone()),
        last_update_time: Some(now),
    };
    match conditions.iter_mut().find(|held| held.type_ == condition.type_) {
        None => conditions.push(condition),
        Some(held) if (&held.status, &held.reason) == (&condition.status, &condition.reason) => {}
        Some(held) => {
            if held.status == condition.status {
                condition.last_transition_time.clone_from(&held.last_transition_time);
            }
            *held = condition;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(status: &'static str, reason: &'static str) -> Report {
        Report { r#type: "Available", status, reason, message: String::new() }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn the_same_status_and_reason_change_nothing() {
        let mut conditions = Vec::new();
        set(&mut conditions, report("True", "A"), at(1));
        let before = conditions.clone();
        set(&mut conditions, Report { message: "other".to_owned(), ..report("True", "A") }, at(2));
        assert_eq!(conditions, before);
    }

    #[test]
    fn the_transition_time_moves_only_with_the_status() {
        let mut conditions = Vec::new();
        set(&mut conditions, report("True", "A"), at(1));
        set(&mut conditions, report("True", "B"), at(2));
        let times = |condition: &DeploymentCondition| {
            (condition.last_transition_time.clone().unwrap().0, condition.last_update_time.clone().unwrap().0)
        };
        assert_eq!(times(&conditions[0]), (at(1), at(2)));
        set(&mut conditions, report("False", "C"), at(3));
        assert_eq!(times(&conditions[0]), (at(3), at(3)));
        assert_eq!(conditions.len(), 1);
    }

    #[test]
    fn conditions_of_others_stay() {
        let foreign = DeploymentCondition { type_: Some("Foreign".to_owned()), ..DeploymentCondition::default() };
        let mut conditions = vec![foreign.clone()];
        set(&mut conditions, report("True", "A"), at(1));
        assert_eq!(conditions[0], foreign);
    }

    #[test]
    fn progress_moves_the_update_time_alone() {
        let mut conditions = Vec::new();
        set(&mut conditions, report("True", "A"), at(1));
        set_anew(&mut conditions, report("True", "A"), at(5));
        assert_eq!(conditions[0].last_update_time, Some(Time(at(5))));
        assert_eq!(conditions[0].last_transition_time, Some(Time(at(1))));
    }

    #[test]
    fn what_is_said_anew_is_said_in_its_new_words() {
        let mut conditions = Vec::new();
        let said = |message: &str| Report { message: message.to_owned(), ..report("True", "ReplicaSetUpdated") };
        set_anew(&mut conditions, said("one is progressing"), at(1));
        set_anew(&mut conditions, said("another is progressing"), at(2));
        assert_eq!(conditions[0].message.as_deref(), Some("another is progressing"));
        assert_eq!(conditions[0].last_update_time, Some(Time(at(2))));
    }
}
