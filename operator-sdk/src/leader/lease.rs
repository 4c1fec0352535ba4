//! The Lease object: reading a record from it and writing one into it.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};

use super::{Options, election::Record};

/// What `lease` says. A lease without a duration is taken to ask for none.
pub(super) fn record(lease: &Lease) -> Record {
    let Some(spec) = &lease.spec else { return Record::default() };
    let seconds = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
    Record {
        holder: spec.holder_identity.clone().unwrap_or_default(),
        duration: Duration::from_secs(seconds.unwrap_or_default()),
        renewed: spec.renew_time.as_ref().map(|time| time.0),
        transitions: spec.lease_transitions.unwrap_or_default(),
    }
}

/// The lease as held by `options.identity` from `now`; on top of `current`, whose resourceVersion it keeps.
pub(super) fn held(options: &Options, current: Option<Lease>, now: Timestamp) -> Lease {
    let mut lease = current.unwrap_or_else(|| Lease {
        metadata: ObjectMeta {
            name: Some(options.name.clone()),
            namespace: Some(options.namespace.clone()),
            ..ObjectMeta::default()
        },
        spec: None,
    });
    let is_new = lease.metadata.resource_version.is_none();
    let former = record(&lease);
    let is_ours = former.holder == options.identity;
    let spec = lease.spec.get_or_insert_with(LeaseSpec::default);
    spec.holder_identity = Some(options.identity.clone());
    spec.lease_duration_seconds = i32::try_from(options.timing.lease_duration.as_secs()).ok();
    spec.renew_time = Some(MicroTime(now));
    if !is_ours {
        spec.acquire_time = Some(MicroTime(now));
        spec.lease_transitions = Some(if is_new { 0 } else { former.transitions.saturating_add(1) });
    }
    lease
}

/// The lease as given up: no holder, and one second for whoever reads only the duration.
pub(super) fn released(mut lease: Lease, now: Timestamp) -> Lease {
    let spec = lease.spec.get_or_insert_with(LeaseSpec::default);
    spec.holder_identity = Some(String::new());
    spec.lease_duration_seconds = Some(1);
    spec.renew_time = Some(MicroTime(now));
    lease
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        client::Connector,
        leader::{Place, Timing},
    };

    fn options() -> Options {
        Options {
            namespace: "system".to_owned(),
            name: "hello".to_owned(),
            identity: "pod_1".to_owned(),
            timing: Timing::default(),
            connector: Connector::new(None),
            place: Place::Task,
        }
    }

    #[test]
    fn taking_over_counts_a_transition_and_renewing_does_not() {
        let now = Timestamp::UNIX_EPOCH;
        let first = held(&options(), None, now);
        assert_eq!(record(&first).transitions, 0);
        let mut stored = first;
        stored.metadata.resource_version = Some("1".to_owned());
        assert_eq!(record(&held(&options(), Some(stored.clone()), now)).transitions, 0);
        let other = Options { identity: "pod_2".to_owned(), ..options() };
        let taken = held(&other, Some(stored), now);
        assert_eq!(record(&taken).transitions, 1);
        assert_eq!(taken.metadata.resource_version.as_deref(), Some("1"));
    }

    #[test]
    fn a_released_lease_has_no_holder_and_keeps_its_count() {
        let lease = released(held(&options(), None, Timestamp::UNIX_EPOCH), Timestamp::UNIX_EPOCH);
        assert_eq!(record(&lease).holder, "");
        assert_eq!(record(&lease).duration, Duration::from_secs(1));
    }
}
