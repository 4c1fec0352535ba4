//! The decisions of the ReplicaSet controller: pure.

pub(super) mod availability;
mod victim;

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use operator_sdk::{
    Target,
    plan::{Plan, Planned, Wait},
};

use super::{Observed, Step};
use crate::core::{
    claim::{self, Steps},
    problem::{self, Problem},
};

/// Pods made or deleted in one pass at the most (R2, R3).
const BURST: usize = 500;

/// What to do next for a ReplicaSet: claims first, since they change what is counted.
pub(super) fn plan(observed: &Observed) -> Plan<Step> {
    let mut plan = Plan::default();
    if let Some(problem) = problem(observed) {
        warn(observed, problem, &mut plan);
        return plan;
    }
    let steps = Steps { confirm: Step::ConfirmOwner, adopt: Step::AdoptPod, release: Step::ReleasePod };
    let metadata = |pods: &'_ [Arc<Pod>]| pods.iter().map(|pod| pod.metadata.clone()).collect::<Vec<_>>();
    claim::plan(&observed.metadata, &metadata(&observed.lost), &metadata(&observed.orphans), steps, &mut plan);
    if plan.is_empty() && observed.metadata.deletion_timestamp.is_none() {
        count(observed, &mut plan);
    }
    plan
}

/// True while pods are being claimed: what is reported would be about others than the ReplicaSet is about to have.
pub(super) fn is_claiming(plan: &Plan<Step>) -> bool {
    let is_claim = |step: &Step| matches!(step, Step::ConfirmOwner | Step::AdoptPod(_) | Step::ReleasePod(_));
    plan.steps().any(|planned| is_claim(&planned.step))
}

/// Why nothing is done, if so.
pub(super) fn problem(observed: &Observed) -> Option<Problem> {
    let unreadable = observed.unreadable.clone().map(Problem::unreadable);
    unreadable.or_else(|| problem::of_replica_set(&observed.spec))
}

/// Tells of a problem unless the status tells of it already.
fn warn(observed: &Observed, problem: Problem, plan: &mut Plan<Step>) {
    let conditions = observed.status.conditions.iter().flatten();
    if !problem.is_told(conditions.map(|condition| [&condition.type_, &condition.message])) {
        plan.step(Step::Warn { reason: problem.reason, note: problem.message }, "nothing can be done");
    }
}

/// Makes what lacks, in growing groups; deletes what is too many.
fn count(observed: &Observed, plan: &mut Plan<Step>) {
    let wanted = observed.replicas();
    let present = observed.pods.len();
    if present < wanted {
        let missing = (wanted - present).min(BURST);
        plan.slow_start(
            (0..missing)
                .map(|_| Planned { step: Step::CreatePod, reason: format!("{present} of {wanted} pods are there") }),
        );
    } else if present > wanted {
        let surplus = (present - wanted).min(BURST);
        let min_ready_seconds = observed.min_ready_seconds();
        let victims = victim::choose(&observed.pods, &observed.neighbours, min_ready_seconds, observed.now.0, surplus);
        let deletions = victims.into_iter().filter_map(|pod| Target::of(pod).ok());
        let reason = format!("{present} pods are there and {wanted} are wanted");
        plan.groups.push(
            deletions.map(|target| Planned { step: Step::DeletePod { target }, reason: reason.clone() }).collect(),
        );
    }
    // No event tells that a pod has been ready for long enough (R16).
    if let Some(next) = availability::next_available(&observed.pods, observed.min_ready_seconds(), observed.now.0) {
        plan.waits.push(Wait { what: "a ready pod to become available".to_owned(), until: Some(next) });
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jiff::Timestamp;
    use k8s_openapi::{
        api::{
            apps::v1::{ReplicaSet, ReplicaSetCondition, ReplicaSetSpec, ReplicaSetStatus},
            core::v1::{PodCondition, PodSpec, PodStatus, PodTemplateSpec},
        },
        apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, Time},
    };

    use super::*;
    use crate::core::problem::STALLED;
    use crate::replica_set::observed::Pods;

    fn labels() -> Option<BTreeMap<String, String>> {
        Some([("app".to_owned(), "web".to_owned())].into())
    }

    fn set(replicas: i32) -> ReplicaSet {
        let metadata = ObjectMeta { labels: labels(), ..ObjectMeta::default() };
        ReplicaSet {
            spec: ReplicaSetSpec {
                replicas: Some(replicas),
                selector: LabelSelector { match_labels: labels(), ..LabelSelector::default() },
                template: Some(PodTemplateSpec { metadata: Some(metadata), spec: None }),
                ..ReplicaSetSpec::default()
            },
            ..ReplicaSet::default()
        }
    }

    fn pod(name: &str, phase: &str) -> Pod {
        Pod {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                uid: Some(name.to_owned()),
                labels: labels(),
                resource_version: Some("1".to_owned()),
                ..ObjectMeta::default()
            },
            status: Some(PodStatus { phase: Some(phase.to_owned()), ..PodStatus::default() }),
            ..Pod::default()
        }
    }

    fn planned(set: ReplicaSet, pods: Vec<Pod>) -> Plan<Step> {
        let owned = pods.into_iter().map(Arc::new).collect();
        planned_of(set, Pods { owned, ..Pods::default() })
    }

    fn planned_of(set: ReplicaSet, pods: Pods) -> Plan<Step> {
        plan(&Observed::new(set, pods, Timestamp::UNIX_EPOCH))
    }

    fn steps(plan: &Plan<Step>) -> Vec<Step> {
        plan.steps().map(|planned| planned.step.clone()).collect()
    }

    #[test]
    fn pods_are_claimed_before_any_is_counted() {
        let mut lost = pod("lost", "Running");
        lost.metadata.labels = None;
        let pods = Pods {
            owned: vec![Arc::new(lost.clone()), Arc::new(pod("kept", "Running"))],
            orphans: vec![Arc::new(pod("orphan", "Running"))],
            related: Vec::new(),
        };
        let plan = planned_of(set(9), pods.clone());
        let claimed = steps(&plan);
        let [Step::ConfirmOwner, Step::ReleasePod(released), Step::AdoptPod(adopted)] = &claimed[..] else {
            panic!("{claimed:?}")
        };
        assert_eq!((released.target.key.name.as_str(), adopted.target.key.name.as_str()), ("lost", "orphan"));
        assert!(is_claiming(&plan));
        let mut deleted = set(9);
        deleted.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
        assert!(planned_of(deleted, pods).is_empty());
    }

    #[test]
    fn pods_that_have_ended_or_are_about_to_are_not_claimed() {
        let mut terminating = pod("terminating", "Running");
        terminating.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
        let mut lost = terminating.clone();
        lost.metadata.labels = None;
        let orphans = vec![Arc::new(pod("failed", "Failed")), Arc::new(terminating)];
        assert!(planned_of(set(0), Pods { owned: vec![Arc::new(lost)], orphans, related: Vec::new() }).is_empty());
    }

    #[test]
    fn what_has_more_related_pods_beside_it_on_its_node_goes_first() {
        let on = |name: &str, node: &str| {
            let spec = PodSpec { node_name: Some(node.to_owned()), ..PodSpec::default() };
            Arc::new(Pod { spec: Some(spec), ..pod(name, "Running") })
        };
        let owned = vec![on("a", "quiet"), on("b", "crowded")];
        let related = vec![on("a", "quiet"), on("b", "crowded"), on("other", "crowded")];
        let victim =
            |related| match &steps(&planned_of(set(1), Pods { owned: owned.clone(), orphans: vec![], related }))[..] {
                [Step::DeletePod { target }] => target.key.name.clone(),
                other => panic!("{other:?}"),
            };
        assert_eq!(victim(related), "b");
        assert_eq!(victim(vec![]), "a", "without a controller of its own all are alike");
    }

    #[test]
    fn an_invalid_one_is_left_alone_and_says_so_once() {
        let mut invalid = set(3);
        invalid.spec.selector = LabelSelector::default();
        let told = steps(&planned(invalid.clone(), vec![pod("a", "Running")]));
        let [Step::Warn { reason: "InvalidSpec", note }] = &told[..] else { panic!("{told:?}") };
        let condition = ReplicaSetCondition {
            type_: Some(STALLED.to_owned()),
            message: Some(note.clone()),
            ..ReplicaSetCondition::default()
        };
        invalid.status = Some(ReplicaSetStatus { conditions: Some(vec![condition]), ..ReplicaSetStatus::default() });
        assert!(planned(invalid, vec![]).is_empty());
        let unreadable = Observed::unreadable(set(3), "failed to read".to_owned(), Timestamp::UNIX_EPOCH);
        assert!(matches!(&steps(&plan(&unreadable))[..], [Step::Warn { reason: "Unreadable", .. }]));
    }

    #[test]
    fn missing_pods_are_made_in_growing_groups() {
        let plan = planned(set(10), vec![]);
        assert_eq!(plan.groups.iter().map(Vec::len).collect::<Vec<_>>(), [1, 2, 4, 3]);
    }

    #[test]
    fn no_more_than_500_pods_are_made_or_deleted_in_a_pass() {
        assert_eq!(planned(set(2000), vec![]).steps().count(), 500);
        let many = (0..2000).map(|number| pod(&number.to_string(), "Running")).collect();
        assert_eq!(planned(set(1000), many).steps().count(), 500);
    }

    #[test]
    fn a_pod_that_is_about_to_become_available_is_waited_for() {
        let mut waiting = pod("a", "Running");
        waiting.status.as_mut().unwrap().conditions = Some(vec![PodCondition {
            type_: "Ready".to_owned(),
            status: "True".to_owned(),
            last_transition_time: Some(Time(Timestamp::UNIX_EPOCH)),
            ..PodCondition::default()
        }]);
        let mut set = set(1);
        set.spec.min_ready_seconds = Some(30);
        let waits = planned(set, vec![waiting]).waits;
        assert_eq!(waits[0].until, Timestamp::from_second(30).ok());
    }

    #[test]
    fn ended_and_terminating_pods_are_replaced_and_never_deleted() {
        let mut terminating = pod("terminating", "Running");
        terminating.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
        let plan = planned(set(1), vec![pod("failed", "Failed"), pod("done", "Succeeded"), terminating]);
        assert!(plan.steps().map(|planned| &planned.step).eq([&Step::CreatePod]));
    }

    #[test]
    fn a_surplus_is_deleted_in_this_very_incarnation() {
        let plan = planned(set(1), vec![pod("a", "Running"), pod("b", "Pending")]);
        let steps: Vec<_> = plan.steps().map(|planned| planned.step.clone()).collect();
        assert!(matches!(&steps[..], [Step::DeletePod { target }] if target.uid.as_str() == "b"), "{steps:?}");
    }

    #[test]
    fn nothing_is_done_for_a_set_that_is_being_deleted() {
        let mut set = set(3);
        set.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
        assert!(planned(set, vec![]).is_empty());
    }
}
