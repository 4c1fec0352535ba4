//! Conditions in a status: one entry a type, whose transition time moves only when its status does.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// What a condition is to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The condition's type, such as `Available`.
    pub r#type: &'static str,
    /// Whether it holds.
    pub holds: bool,
    /// One word in CamelCase, for programs.
    pub reason: &'static str,
    /// A sentence, for people.
    pub message: String,
    /// The generation that was looked at.
    pub observed_generation: Option<i64>,
}

/// Puts `report` into `conditions`, in place if there is one of its type. Other types are left alone.
pub fn set(conditions: &mut Vec<Condition>, report: Report, now: Timestamp) {
    let held = conditions.iter_mut().find(|condition| condition.type_ == report.r#type);
    let status = if report.holds { "True" } else { "False" };
    let last_transition_time = match &held {
        Some(condition) if condition.status == status => condition.last_transition_time.clone(),
        // Times in objects have whole seconds; a finer one would differ from itself when read back.
        _ => Time(Timestamp::from_second(now.as_second()).unwrap_or(now)),
    };
    let condition = Condition {
        type_: report.r#type.to_owned(),
        status: status.to_owned(),
        reason: report.reason.to_owned(),
        message: report.message,
        observed_generation: report.observed_generation,
        last_transition_time,
    };
    match held {
        Some(held) => *held = condition,
        None => conditions.push(condition),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(holds: bool, reason: &'static str) -> Report {
        Report { r#type: "Available", holds, reason, message: String::new(), observed_generation: Some(1) }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn the_transition_time_moves_only_with_the_status() {
        let mut conditions = Vec::new();
        set(&mut conditions, report(true, "A"), at(1));
        set(&mut conditions, report(true, "B"), at(2));
        assert_eq!(conditions.len(), 1);
        assert_eq!(conditions[0].reason, "B");
        assert_eq!(conditions[0].last_transition_time, Time(at(1)));
        set(&mut conditions, report(false, "C"), at(3));
        assert_eq!(conditions[0].last_transition_time, Time(at(3)));
    }
}
