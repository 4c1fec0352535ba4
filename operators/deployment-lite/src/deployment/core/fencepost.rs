//! The limits of a rolling update in numbers of pods (D26, D27).

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::deployment::Observed;

/// The limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fenceposts {
    /// Never more pods than this.
    pub(crate) total_max: i32,
    /// Never fewer available pods than this.
    pub(crate) available_min: i32,
}

impl Fenceposts {
    /// The limits of a Deployment: none where all pods are recreated at once. Where both resolve to 0, one pod may be unavailable: something must move.
    pub(crate) fn of(observed: &Observed) -> Self {
        let replicas = observed.replicas();
        if observed.is_recreated() {
            return Self { total_max: replicas, available_min: 0 };
        }
        let limits = observed.rolling_update();
        let surge = resolve(limits.and_then(|limits| limits.max_surge.as_ref()), replicas, Round::Up);
        let unavailable = limits.and_then(|limits| limits.max_unavailable.as_ref());
        let unavailable = match resolve(unavailable, replicas, Round::Down) {
            0 if surge == 0 => 1,
            unavailable => unavailable,
        };
        Self { total_max: replicas.saturating_add(surge), available_min: replicas - unavailable.min(replicas) }
    }
}

#[derive(Clone, Copy)]
enum Round {
    Up,
    Down,
}

/// A number, or a percentage of `replicas`; nothing counts as 0, and so does what the API server should have refused.
fn resolve(amount: Option<&IntOrString>, replicas: i32, round: Round) -> i32 {
    match amount {
        None => 0,
        Some(IntOrString::Int(number)) => (*number).max(0),
        Some(IntOrString::String(text)) => {
            let percentage: i64 = text.strip_suffix('%').and_then(|digits| digits.parse().ok()).unwrap_or(0);
            let hundredths = percentage.max(0).saturating_mul(i64::from(replicas));
            let whole = match round {
                Round::Up => hundredths.saturating_add(99) / 100,
                Round::Down => hundredths / 100,
            };
            i32::try_from(whole).unwrap_or(i32::MAX)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deployment::core::fixture::{deployment, observed};

    fn posts(replicas: i32, surge: &str, unavailable: &str) -> (i32, i32) {
        let posts = Fenceposts::of(&observed(&deployment(replicas, surge, unavailable), vec![]));
        (posts.total_max, posts.available_min)
    }

    #[test]
    fn surge_is_rounded_up_and_unavailability_down() {
        assert_eq!(posts(10, "25%", "25%"), (13, 8));
        assert_eq!(posts(10, "3", "2"), (13, 8));
    }

    #[test]
    fn two_limits_that_come_to_nothing_still_let_one_pod_go() {
        assert_eq!(posts(3, "0", "10%"), (3, 2));
    }

    #[test]
    fn where_all_pods_are_recreated_none_has_to_be_available() {
        let mut deployment = deployment(10, "3", "2");
        deployment.spec.strategy.as_mut().unwrap().type_ = Some("Recreate".to_owned());
        let posts = Fenceposts::of(&observed(&deployment, vec![]));
        assert_eq!((posts.total_max, posts.available_min), (10, 0));
    }

    #[test]
    fn more_unavailable_than_there_are_is_all() {
        assert_eq!(posts(2, "0", "5"), (2, 0));
        assert_eq!(posts(0, "25%", "25%"), (0, 0));
    }
}
