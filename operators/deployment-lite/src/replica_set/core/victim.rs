//! Which pods go when there are too many (R12).

use std::{
    cmp::{Ordering, Reverse},
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};

use super::availability::{is_available, is_ready, ready_since};

/// What a user says a pod's deletion costs, in comparison with that of its siblings.
const DELETION_COST_ANNOTATION: &str = "controller.kubernetes.io/pod-deletion-cost";

/// The `count` pods that are missed least, the first of them first; all of them as they are if there are no more.
///
/// `neighbours` is the number of active pods of related ReplicaSets on each node; a node that is missing has none.
pub(super) fn choose<'a>(
    pods: &'a [Arc<Pod>],
    neighbours: &BTreeMap<String, usize>,
    min_ready_seconds: i32,
    now: Timestamp,
    count: usize,
) -> Vec<&'a Pod> {
    let mut pods: Vec<&Pod> = pods.iter().map(AsRef::as_ref).collect();
    if count < pods.len() {
        pods.sort_by(|left, right| compare(left, right, neighbours, min_ready_seconds, now));
        pods.truncate(count);
    }
    pods
}

/// Less if `left` goes before `right`.
fn compare<'a>(
    left: &'a Pod,
    right: &'a Pod,
    neighbours: &BTreeMap<String, usize>,
    min_ready_seconds: i32,
    now: Timestamp,
) -> Ordering {
    let key = |pod: &'a Pod| {
        (
            // 1. Not yet on a node.
            node(pod).is_some(),
            // 2. Pending, then Unknown, then Running.
            phase_rank(pod),
            // 3. Not ready.
            is_ready(pod),
            // Not available yet. Upstream does not ask; but a rolling update takes pods that do not serve for granted to
            // be the ones that go, and without minReadySeconds this says no more than criterion 3.
            is_available(pod, min_ready_seconds, now),
            // 4. Cheaper, as users say.
            deletion_cost(pod),
            // 5. Among more related pods on one node.
            Reverse(node(pod).and_then(|node| neighbours.get(node)).copied().unwrap_or(0)),
            // 6. Ready for less time, roughly.
            age_bucket(ready_since(pod), now),
            // 7. Restarted more often.
            Reverse(restarts(pod)),
            // 8. Younger, roughly.
            age_bucket(pod.metadata.creation_timestamp.as_ref().map(|time| time.0), now),
            // Where upstream's criteria 6 and 8 find two times in one bucket, they let the uid decide at once; where
            // they find the same time twice, they leave it to the later criteria. Of three pods each may thus go before
            // the next in a circle, on which a sort may panic. Here uids decide only when all else is equal, so that
            // this is a total order; the name is for pods that have none.
            pod.metadata.uid.as_deref(),
            pod.metadata.name.as_deref(),
        )
    };
    key(left).cmp(&key(right))
}

fn node(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref().filter(|node| !node.is_empty())
}

fn phase_rank(pod: &Pod) -> u8 {
    match pod.status.as_ref().and_then(|status| status.phase.as_deref()) {
        Some("Running") => 2,
        Some("Unknown") => 1,
        _ => 0,
    }
}

/// A 32-bit number as Kubernetes writes it; all else counts as 0.
fn deletion_cost(pod: &Pod) -> i32 {
    let annotations = pod.metadata.annotations.as_ref();
    let text = annotations.and_then(|annotations| annotations.get(DELETION_COST_ANNOTATION));
    // Rust would read a number with a plus sign or with leading zeros, too. (A "0" itself comes to the same.)
    text.filter(|text| !text.starts_with(['+', '0'])).and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// The magnitude of an age: the whole part of the binary logarithm of its nanoseconds, −1 for what has just begun or
/// will yet begin. What does not say since when it is comes before all others.
fn age_bucket(since: Option<Timestamp>, now: Timestamp) -> Option<i64> {
    let age = now.as_nanosecond() - since?.as_nanosecond();
    Some(age.checked_ilog2().map_or(-1, i64::from))
}

/// The most restarts of a regular container, then those of a sidecar.
fn restarts(pod: &Pod) -> (i32, i32) {
    let Some(status) = &pod.status else { return (0, 0) };
    let sidecars = sidecars(pod);
    let is_sidecar = |container: &&ContainerStatus| sidecars.contains(container.name.as_str());
    (
        max_restarts(status.container_statuses.iter().flatten()),
        max_restarts(status.init_container_statuses.iter().flatten().filter(is_sidecar)),
    )
}

fn max_restarts<'a>(containers: impl Iterator<Item = &'a ContainerStatus>) -> i32 {
    containers.map(|container| container.restart_count).max().unwrap_or(0)
}

/// The names of those init containers that run for as long as their pod.
fn sidecars(pod: &Pod) -> BTreeSet<&str> {
    let containers = pod.spec.iter().flat_map(|spec| spec.init_containers.iter().flatten());
    let sidecars = containers.filter(|container| container.restart_policy.as_deref() == Some("Always"));
    sidecars.map(|container| container.name.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use k8s_openapi::{
        api::core::v1::{Container, PodCondition, PodSpec, PodStatus},
        apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time},
    };

    use super::*;

    const NOW: Timestamp = Timestamp::constant(1_000_000_000, 0);

    /// What is compared of a pod, in the order in which it is.
    #[derive(Clone, Copy)]
    struct Traits {
        node: Option<&'static str>,
        phase: &'static str,
        is_ready: bool,
        deletion_cost: &'static str,
        ready_seconds: Option<i64>,
        /// Of the regular containers, the sidecar, and the init container that is none.
        restarts: ([i32; 2], i32, i32),
        age_seconds: Option<i64>,
        uid: &'static str,
    }

    /// Goes last, whatever is looked at.
    const SPARED: Traits = Traits {
        node: Some("quiet"),
        phase: "Running",
        is_ready: true,
        deletion_cost: "10",
        ready_seconds: Some(10_000),
        restarts: ([0, 0], 0, 0),
        age_seconds: Some(20_000),
        uid: "z",
    };

    /// Goes first, whatever is looked at.
    const DOOMED: Traits = Traits {
        node: Some("crowded"),
        phase: "Pending",
        is_ready: false,
        deletion_cost: "-10",
        ready_seconds: Some(1),
        restarts: ([9, 9], 9, 9),
        age_seconds: Some(2),
        uid: "a",
    };

    fn neighbours() -> BTreeMap<String, usize> {
        [("quiet".to_owned(), 1), ("crowded".to_owned(), 4)].into()
    }

    fn ago(seconds: Option<i64>) -> Option<Time> {
        seconds.map(|seconds| Time(NOW - SignedDuration::from_secs(seconds)))
    }

    fn container_status(name: &str, restart_count: i32) -> ContainerStatus {
        ContainerStatus { name: name.to_owned(), restart_count, ..ContainerStatus::default() }
    }

    fn init_container(name: &str, restart_policy: Option<&str>) -> Container {
        Container { name: name.to_owned(), restart_policy: restart_policy.map(str::to_owned), ..Container::default() }
    }

    fn pod(traits: Traits) -> Pod {
        let ([first, second], sidecar, preparation) = traits.restarts;
        Pod {
            metadata: ObjectMeta {
                // In the other order than uids, so that it is seen which of the two decides.
                name: Some(char::from(b'a' + b'z' - traits.uid.as_bytes()[0]).to_string()),
                uid: Some(traits.uid.to_owned()),
                annotations: Some([(DELETION_COST_ANNOTATION.to_owned(), traits.deletion_cost.to_owned())].into()),
                creation_timestamp: ago(traits.age_seconds),
                ..ObjectMeta::default()
            },
            spec: Some(PodSpec {
                node_name: traits.node.map(str::to_owned),
                init_containers: Some(vec![init_container("sidecar", Some("Always")), init_container("once", None)]),
                ..PodSpec::default()
            }),
            status: Some(PodStatus {
                phase: Some(traits.phase.to_owned()),
                conditions: Some(vec![PodCondition {
                    type_: "Ready".to_owned(),
                    status: if traits.is_ready { "True" } else { "False" }.to_owned(),
                    last_transition_time: ago(traits.ready_seconds),
                    ..PodCondition::default()
                }]),
                container_statuses: Some(vec![container_status("a", first), container_status("b", second)]),
                init_container_statuses: Some(vec![
                    container_status("sidecar", sidecar),
                    container_status("once", preparation),
                ]),
                ..PodStatus::default()
            }),
        }
    }

    fn order(left: Traits, right: Traits) -> Ordering {
        compare(&pod(left), &pod(right), &neighbours(), 0, NOW)
    }

    #[track_caller]
    fn assert_goes_first(first: Traits, second: Traits) {
        assert_eq!(order(first, second), Ordering::Less);
        assert_eq!(order(second, first), Ordering::Greater);
    }

    fn chosen(pods: &[Traits], count: usize) -> Vec<String> {
        let pods: Vec<_> = pods.iter().map(|traits| Arc::new(pod(*traits))).collect();
        choose(&pods, &neighbours(), 0, NOW, count).iter().map(|pod| pod.metadata.uid.clone().unwrap()).collect()
    }

    #[test]
    fn criterion_1_what_is_on_no_node_goes_first() {
        assert_goes_first(Traits { node: None, ..SPARED }, DOOMED);
        assert_goes_first(Traits { node: Some(""), ..SPARED }, DOOMED);
    }

    #[test]
    fn criterion_2_pending_goes_before_unknown_and_unknown_before_running() {
        assert_goes_first(Traits { phase: "Pending", ..SPARED }, Traits { phase: "Unknown", ..DOOMED });
        assert_goes_first(Traits { phase: "Unknown", ..SPARED }, Traits { phase: "Running", ..DOOMED });
    }

    #[test]
    fn criterion_3_what_is_not_ready_goes_first() {
        let second = Traits { phase: SPARED.phase, is_ready: true, ..DOOMED };
        assert_goes_first(Traits { is_ready: false, ..SPARED }, second);
        // Also where neither is available yet.
        let (first, second) = (Traits { is_ready: false, ..SPARED }, Traits { ready_seconds: Some(1), ..second });
        assert_eq!(compare(&pod(first), &pod(second), &neighbours(), 30, NOW), Ordering::Less);
    }

    #[test]
    fn what_is_ready_and_not_yet_available_goes_before_what_is_available_whatever_it_costs() {
        let available = Traits { phase: SPARED.phase, is_ready: true, ready_seconds: Some(30), ..DOOMED };
        let waiting = Traits { ready_seconds: Some(29), ..SPARED };
        let order = |seconds| compare(&pod(waiting), &pod(available), &neighbours(), seconds, NOW);
        assert_eq!((order(30), order(29)), (Ordering::Less, Ordering::Greater));
    }

    #[test]
    fn criterion_4_what_costs_less_goes_first() {
        let with_cost = |deletion_cost| {
            let second = Traits { phase: SPARED.phase, is_ready: SPARED.is_ready, deletion_cost, ..DOOMED };
            (Traits { deletion_cost, ..SPARED }, second)
        };
        let ascending = ["-2147483648", "-20", "-3", "0", "3", "20", "2147483647"];
        for pair in ascending.windows(2) {
            assert_goes_first(with_cost(pair[0]).0, with_cost(pair[1]).1);
        }
    }

    #[test]
    fn a_cost_that_is_no_number_of_32_bits_as_kubernetes_writes_it_is_0() {
        for invalid in ["", "+5", "007", "00", " 5", "5 ", "5.0", "1e3", "0x10", "five", "-", "2147483648"] {
            assert_eq!(deletion_cost(&pod(Traits { deletion_cost: invalid, ..SPARED })), 0, "{invalid:?}");
        }
        assert_eq!(deletion_cost(&Pod::default()), 0);
    }

    #[test]
    fn criterion_5_what_has_more_related_pods_on_its_node_goes_first() {
        let with_node = |node| Traits { node, ..SPARED };
        let alike =
            Traits { phase: SPARED.phase, is_ready: SPARED.is_ready, deletion_cost: SPARED.deletion_cost, ..DOOMED };
        assert_goes_first(with_node(Some("crowded")), Traits { node: Some("quiet"), ..alike });
        assert_goes_first(with_node(Some("quiet")), Traits { node: Some("missing"), ..alike });
    }

    #[test]
    fn criterion_6_what_has_been_ready_for_less_time_goes_first() {
        let ready = |ready_seconds| Traits { ready_seconds, ..SPARED };
        let second = |ready_seconds| {
            let Traits { restarts, age_seconds, uid, .. } = DOOMED;
            Traits { ready_seconds, restarts, age_seconds, uid, ..SPARED }
        };
        assert_goes_first(ready(Some(60)), second(Some(3_600)));
        assert_goes_first(ready(Some(0)), second(Some(1)));
        assert_goes_first(ready(None), second(Some(-5)));
    }

    #[test]
    fn how_long_a_pod_that_is_not_ready_has_not_been_so_is_nothing() {
        let not_ready = |ready_seconds| Traits { is_ready: false, ready_seconds, ..SPARED };
        assert_eq!(order(not_ready(Some(60)), not_ready(Some(3_600))), Ordering::Equal);
    }

    #[test]
    fn criterion_7_what_was_restarted_more_often_goes_first() {
        let second = |restarts| Traits { restarts, age_seconds: DOOMED.age_seconds, uid: DOOMED.uid, ..SPARED };
        let first = |restarts| Traits { restarts, ..SPARED };
        // The regular container that was restarted most; not their sum; before all sidecars.
        assert_goes_first(first(([0, 3], 0, 0)), second(([2, 2], 9, 9)));
        // The sidecar; no other init container.
        assert_goes_first(first(([2, 2], 3, 0)), second(([2, 2], 2, 9)));
    }

    #[test]
    fn criterion_8_what_is_younger_goes_first() {
        let first = |age_seconds| Traits { age_seconds, ..SPARED };
        let second = |age_seconds| Traits { age_seconds, uid: DOOMED.uid, ..SPARED };
        assert_goes_first(first(Some(60)), second(Some(3_600)));
        assert_goes_first(first(Some(0)), second(Some(1)));
        assert_goes_first(first(None), second(Some(-5)));
    }

    #[test]
    fn of_two_times_in_one_bucket_the_uid_decides() {
        // 1,100 s and 2,100 s lie between 2^40 ns and 2^41 ns.
        assert_goes_first(
            Traits { ready_seconds: Some(2_100), uid: "a", ..SPARED },
            Traits { ready_seconds: Some(1_100), uid: "b", ..SPARED },
        );
        assert_goes_first(
            Traits { age_seconds: Some(2_100), uid: "a", ..SPARED },
            Traits { age_seconds: Some(1_100), uid: "b", ..SPARED },
        );
    }

    #[test]
    fn a_bucket_ends_where_the_age_has_doubled() {
        let bucket = |age_ns| age_bucket(Some(NOW - SignedDuration::from_nanos(age_ns)), NOW);
        assert_eq!([-1_000_000_000, -1, 0].map(bucket), [Some(-1); 3]);
        assert_eq!([1, 2, 3, 4, 7, 8].map(bucket), [0, 1, 1, 2, 2, 3].map(Some));
        assert_eq!([(1 << 40) - 1, 1 << 40, (1 << 41) - 1, 1 << 41].map(bucket), [39, 40, 40, 41].map(Some));
        assert_eq!(age_bucket(None, NOW), None);
    }

    #[test]
    fn no_order_of_the_pods_leads_to_another_choice() {
        // Upstream's criteria lead in a circle: a before b by restarts, b before c and c before a by uid.
        let a = Traits { ready_seconds: Some(1_100), restarts: ([1, 0], 0, 0), uid: "q", ..SPARED };
        let b = Traits { ready_seconds: Some(1_100), uid: "o", ..SPARED };
        let c = Traits { ready_seconds: Some(2_100), uid: "p", ..SPARED };
        for pods in [[a, b, c], [a, c, b], [b, a, c], [b, c, a], [c, a, b], [c, b, a]] {
            assert_eq!(chosen(&pods, 2), ["q", "o"]);
        }
    }

    #[test]
    fn of_pods_without_a_uid_the_name_decides() {
        let [mut first, mut second] = ["z", "a"].map(|uid| pod(Traits { uid, ..SPARED }));
        (first.metadata.uid, second.metadata.uid) = (None, None);
        assert_eq!(compare(&first, &second, &neighbours(), 0, NOW), Ordering::Less);
    }

    #[test]
    fn as_many_go_as_are_asked_for() {
        let pods = ["c", "a", "b"].map(|uid| Traits { uid, ..SPARED });
        assert_eq!(chosen(&pods, 2), ["a", "b"]);
        assert!(chosen(&pods, 0).is_empty());
    }

    #[test]
    fn nothing_is_sorted_if_all_go() {
        let pods = ["c", "a", "b"].map(|uid| Traits { uid, ..SPARED });
        assert_eq!(chosen(&pods, 3), ["c", "a", "b"]);
        assert_eq!(chosen(&pods, 4), ["c", "a", "b"]);
    }
}
