//! Which pods are ready, which of them have been so for long enough to be available (R13), and when the next one will
//! have been (R16).

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Pod, PodCondition};

/// True if the pod's Ready condition holds.
pub(crate) fn is_ready(pod: &Pod) -> bool {
    ready_condition(pod).is_some()
}

/// Since when the pod's Ready condition holds: `None` if it does not, and if it does not say since when.
pub(crate) fn ready_since(pod: &Pod) -> Option<Timestamp> {
    ready_condition(pod)?.last_transition_time.as_ref().map(|time| time.0)
}

/// True if the pod has been ready for `min_ready_seconds` or longer; if they are 0, it need not say since when.
pub(crate) fn is_available(pod: &Pod, min_ready_seconds: i32, now: Timestamp) -> bool {
    is_ready(pod) && (min_ready_seconds <= 0 || available_at(pod, min_ready_seconds).is_some_and(|time| time <= now))
}

/// When the next of those pods that are ready but not yet available becomes available, if nothing happens to it.
pub(crate) fn next_available(pods: &[Arc<Pod>], min_ready_seconds: i32, now: Timestamp) -> Option<Timestamp> {
    let waiting = pods.iter().filter(|pod| !is_available(pod, min_ready_seconds, now));
    waiting.filter_map(|pod| available_at(pod, min_ready_seconds)).min()
}

/// When a pod that stays ready is available: `None` for a pod that is not ready or does not say since when it is.
fn available_at(pod: &Pod, min_ready_seconds: i32) -> Option<Timestamp> {
    ready_since(pod)?.checked_add(SignedDuration::from_secs(min_ready_seconds.into())).ok()
}

fn ready_condition(pod: &Pod) -> Option<&PodCondition> {
    let mut conditions = pod.status.as_ref()?.conditions.iter().flatten();
    conditions.find(|condition| condition.type_ == "Ready").filter(|condition| condition.status == "True")
}

#[cfg(test)]
mod tests {
    use k8s_openapi::{api::core::v1::PodStatus, apimachinery::pkg::apis::meta::v1::Time};

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn condition(type_: &str, status: &str, since: Option<i64>) -> PodCondition {
        PodCondition {
            type_: type_.to_owned(),
            status: status.to_owned(),
            last_transition_time: since.map(|second| Time(at(second))),
            ..PodCondition::default()
        }
    }

    fn pod(conditions: Vec<PodCondition>) -> Arc<Pod> {
        let status = PodStatus { conditions: Some(conditions), ..PodStatus::default() };
        Arc::new(Pod { status: Some(status), ..Pod::default() })
    }

    fn ready(since: Option<i64>) -> Arc<Pod> {
        pod(vec![condition("PodScheduled", "True", Some(1)), condition("Ready", "True", since)])
    }

    fn not_ready(status: &str, since: i64) -> Arc<Pod> {
        pod(vec![condition("ContainersReady", "True", Some(1)), condition("Ready", status, Some(since))])
    }

    #[test]
    fn only_a_true_ready_condition_makes_a_pod_ready() {
        assert!(is_ready(&ready(Some(5))));
        assert!(is_ready(&ready(None)));
        assert!(!is_ready(&not_ready("False", 5)));
        assert!(!is_ready(&not_ready("Unknown", 5)));
        assert!(!is_ready(&Pod::default()));
    }

    #[test]
    fn a_pod_is_ready_since_its_true_ready_condition_changed() {
        assert_eq!(ready_since(&ready(Some(5))), Some(at(5)));
        assert_eq!(ready_since(&ready(None)), None);
        assert_eq!(ready_since(&not_ready("False", 5)), None);
    }

    #[test]
    fn a_pod_is_available_from_the_very_end_of_min_ready_seconds() {
        let pod = ready(Some(100));
        assert!(!is_available(&pod, 10, Timestamp::new(109, 999_999_999).unwrap()));
        assert!(is_available(&pod, 10, at(110)));
        assert!(is_available(&pod, 10, at(111)));
    }

    #[test]
    fn a_pod_that_is_not_ready_is_never_available() {
        assert!(!is_available(&not_ready("False", 1), 0, at(1_000)));
        assert!(!is_available(&not_ready("False", 1), 10, at(1_000)));
    }

    #[test]
    fn without_min_ready_seconds_a_ready_pod_is_available_at_once() {
        assert!(is_available(&ready(None), 0, at(100)));
        // The clock that wrote the time may be ahead of the one that is compared with it.
        assert!(is_available(&ready(Some(105)), 0, at(100)));
    }

    #[test]
    fn a_pod_that_does_not_say_since_when_it_is_ready_is_never_available_with_min_ready_seconds() {
        assert!(!is_available(&ready(None), 1, at(1_000)));
    }

    #[test]
    fn the_longest_wait_there_can_be_ends_later_than_time_does() {
        let pod = pod(vec![PodCondition {
            last_transition_time: Some(Time(Timestamp::MAX)),
            ..condition("Ready", "True", None)
        }]);
        assert!(!is_available(&pod, i32::MAX, Timestamp::MAX));
        assert_eq!(next_available(&[pod], i32::MAX, at(100)), None);
    }

    #[test]
    fn the_next_pod_to_become_available_is_the_earliest_of_those_that_wait() {
        let waiting = [ready(Some(98)), ready(Some(95)), ready(Some(99))];
        assert_eq!(next_available(&waiting, 10, at(100)), Some(at(105)));
        let others = [ready(Some(90)), ready(None), not_ready("False", 91)];
        let all: Vec<_> = others.iter().chain(&waiting).cloned().collect();
        assert_eq!(next_available(&all, 10, at(100)), Some(at(105)));
    }

    #[test]
    fn no_pod_is_next_where_none_waits() {
        assert_eq!(next_available(&[ready(Some(90)), ready(None), not_ready("False", 95)], 10, at(100)), None);
        assert_eq!(next_available(&[ready(Some(105))], 0, at(100)), None);
        assert_eq!(next_available(&[], 10, at(100)), None);
    }
}
