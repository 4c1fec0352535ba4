//! The limits of a Deployment, from its spec alone.

use k8s_openapi::{api::apps::v1::DeploymentSpec, apimachinery::pkg::util::intstr::IntOrString};

/// How many pods there may be at most, and must be available at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) most: i64,
    pub(super) least: i64,
}

impl Limits {
    pub(super) fn of(spec: &DeploymentSpec) -> Self {
        let replicas = i64::from(spec.replicas.unwrap_or(1));
        if is_recreate(spec) {
            return Self { most: replicas, least: 0 };
        }
        let rolling = spec.strategy.as_ref().and_then(|strategy| strategy.rolling_update.as_ref());
        let surge = share(rolling.and_then(|rolling| rolling.max_surge.as_ref()), replicas, 99);
        let down = share(rolling.and_then(|rolling| rolling.max_unavailable.as_ref()), replicas, 0);
        let down = if surge + down == 0 { 1 } else { down };
        Self { most: replicas + surge, least: (replicas - down).max(0) }
    }

    /// The widest of several.
    pub(super) fn widest(limits: impl Iterator<Item = Self>) -> Option<Self> {
        limits.reduce(|a, b| Self { most: a.most.max(b.most), least: a.least.min(b.least) })
    }
}

pub(super) fn is_recreate(spec: &DeploymentSpec) -> bool {
    spec.strategy.as_ref().and_then(|strategy| strategy.type_.as_deref()) == Some("Recreate")
}

/// A number, or a percentage of `replicas`, with what is added to hundredths before they are cut off.
fn share(amount: Option<&IntOrString>, replicas: i64, rounding: i64) -> i64 {
    match amount {
        None => 0,
        Some(IntOrString::Int(number)) => i64::from(*number),
        Some(IntOrString::String(text)) => {
            text.trim_end_matches('%').parse::<i64>().map_or(0, |percentage| (percentage * replicas + rounding) / 100)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn limits(replicas: i32, strategy: serde_json::Value) -> (i64, i64) {
        let spec = json!({"replicas": replicas, "selector": {}, "template": {}, "strategy": strategy});
        let Limits { most, least } = Limits::of(&serde_json::from_value(spec).unwrap());
        (most, least)
    }

    #[test]
    fn limits_are_those_that_users_know() {
        let rolling = |surge, down| json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": down}});
        assert_eq!(limits(10, rolling("25%", "25%")), (13, 8));
        assert_eq!(limits(3, rolling("0", "10%")), (3, 2));
        assert_eq!(limits(2, rolling("0%", "100%")), (2, 0));
        assert_eq!(limits(4, json!({"type": "Recreate"})), (4, 0));
    }
}
