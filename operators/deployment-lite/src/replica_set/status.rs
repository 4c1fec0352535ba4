//! What a ReplicaSet reports of itself (R13, R14).

use jiff::Timestamp;
use k8s_openapi::{
    api::{
        apps::v1::{ReplicaSetCondition, ReplicaSetStatus},
        core::v1::Pod,
    },
    apimachinery::pkg::apis::meta::v1::Time,
};
use operator_sdk::{
    Error,
    plan::{Plan, Results},
};

use super::{
    Observed, Step,
    core::{
        self,
        availability::{is_available, is_ready},
    },
};
use crate::core::problem::STALLED;

/// The type of the condition that tells of pods that could not be made or deleted.
pub(crate) const REPLICA_FAILURE: &str = "ReplicaFailure";

/// The numbers as observed, before the plan was carried out: a pod counts until it is seen to terminate.
///
/// Nothing is reported anew while pods are being claimed (R25), nor of what cannot be acted on, but why.
pub(super) fn status(observed: &Observed, plan: &Plan<Step>, results: &Results<Step, ()>) -> ReplicaSetStatus {
    if core::is_claiming(plan) {
        let mut livelocks = results.iter().filter_map(|(_, result)| result.as_ref().err());
        let Some(error) = livelocks.find(|error| matches!(error, Error::Livelock { .. })) else {
            return observed.status.clone();
        };
        let mut conditions = observed.status.conditions.clone().unwrap_or_default();
        set(&mut conditions, STALLED, "Livelock", error.to_string(), observed.now.0);
        return ReplicaSetStatus { conditions: Some(conditions), ..observed.status.clone() };
    }
    if let Some(problem) = core::problem(observed) {
        let mut conditions = observed.status.conditions.clone().unwrap_or_default();
        set(&mut conditions, STALLED, problem.reason, problem.message, observed.now.0);
        // What cannot all be read is not acted on: to name the generation would say so.
        let is_seen = observed.unreadable.is_none();
        let observed_generation =
            if is_seen { observed.metadata.generation } else { observed.status.observed_generation };
        return ReplicaSetStatus { observed_generation, conditions: Some(conditions), ..observed.status.clone() };
    }
    let count = |number: usize| i32::try_from(number).unwrap_or(i32::MAX);
    let of_pods = |is_counted: &dyn Fn(&Pod) -> bool| count(observed.pods.iter().filter(|pod| is_counted(pod)).count());
    ReplicaSetStatus {
        observed_generation: observed.metadata.generation,
        replicas: count(observed.pods.len()),
        fully_labeled_replicas: Some(of_pods(&|pod| has_labels_of_template(observed, pod))),
        ready_replicas: Some(of_pods(&is_ready)),
        available_replicas: Some(of_pods(&|pod| is_available(pod, observed.min_ready_seconds(), observed.now.0))),
        terminating_replicas: Some(count(observed.terminating)),
        conditions: conditions(observed, results),
    }
}

fn has_labels_of_template(observed: &Observed, pod: &Pod) -> bool {
    let template = observed.spec.template.as_ref().and_then(|template| template.metadata.as_ref());
    let mut wanted = template.iter().flat_map(|metadata| metadata.labels.iter().flatten());
    let held = pod.metadata.labels.as_ref();
    wanted.all(|(label, value)| held.and_then(|held| held.get(label)) == Some(value))
}

/// Conditions of others stay; that of a failure is there while pods cannot be made or deleted, and says why it began
/// (R14).
fn conditions(observed: &Observed, results: &Results<Step, ()>) -> Option<Vec<ReplicaSetCondition>> {
    let mut conditions = observed.status.conditions.clone().unwrap_or_default();
    conditions.retain(|condition| !is(condition, STALLED));
    let mut failures = results.iter().filter_map(|(planned, result)| Some((&planned.step, result.as_ref().err()?)));
    match failures.find(|(_, error)| !is_end_of_namespace(error)) {
        None => conditions.retain(|condition| !is(condition, REPLICA_FAILURE)),
        Some(_) if conditions.iter().any(|condition| is(condition, REPLICA_FAILURE)) => {}
        Some((step, error)) => {
            let reason = if *step == Step::CreatePod { "FailedCreate" } else { "FailedDelete" };
            set(&mut conditions, REPLICA_FAILURE, reason, error.to_string(), observed.now.0);
        }
    }
    Some(conditions).filter(|conditions| !conditions.is_empty())
}

/// Nothing can be made in a namespace that is being deleted, and that is no failure (R6).
fn is_end_of_namespace(error: &Error) -> bool {
    matches!(error, Error::Request(error) if error.is_namespace_terminating())
}

fn is(condition: &ReplicaSetCondition, r#type: &str) -> bool {
    condition.type_.as_deref() == Some(r#type)
}

/// Puts a condition that holds among the others; its transition time stays if it held before.
fn set(conditions: &mut Vec<ReplicaSetCondition>, r#type: &str, reason: &str, message: String, now: Timestamp) {
    let held = conditions.iter().position(|condition| is(condition, r#type)).map(|place| conditions.remove(place));
    let since = held.filter(|held| held.status.as_deref() == Some("True")).and_then(|held| held.last_transition_time);
    conditions.push(ReplicaSetCondition {
        type_: Some(r#type.to_owned()),
        status: Some("True".to_owned()),
        reason: Some(reason.to_owned()),
        message: Some(message),
        // Times in objects have whole seconds; a finer one would differ from itself when read back.
        last_transition_time: since.or_else(|| Some(Time(Timestamp::from_second(now.as_second()).unwrap_or(now)))),
    });
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use k8s_openapi::{
        api::{
            apps::v1::{ReplicaSet, ReplicaSetSpec},
            core::v1::{PodCondition, PodStatus, PodTemplateSpec},
        },
        apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement, ObjectMeta},
    };
    use operator_sdk::{Class, plan::Planned};

    use super::*;
    use crate::replica_set::observed::Pods;

    fn labelled(label: &str) -> ObjectMeta {
        ObjectMeta { labels: Some([("app".to_owned(), label.to_owned())].into()), ..ObjectMeta::default() }
    }

    fn pod(label: &str, phase: &str, is_terminating: bool) -> Arc<Pod> {
        let deletion_timestamp = is_terminating.then_some(Time(Timestamp::UNIX_EPOCH));
        Arc::new(Pod {
            metadata: ObjectMeta { deletion_timestamp, ..labelled(label) },
            status: Some(PodStatus { phase: Some(phase.to_owned()), ..PodStatus::default() }),
            ..Pod::default()
        })
    }

    fn observed(pods: Vec<Arc<Pod>>, status: Option<ReplicaSetStatus>) -> Observed {
        let template = Some(PodTemplateSpec { metadata: Some(labelled("web")), spec: None });
        let match_expressions =
            Some(vec![LabelSelectorRequirement { key: "app".to_owned(), operator: "Exists".to_owned(), values: None }]);
        let selector = LabelSelector { match_expressions, ..LabelSelector::default() };
        let spec = ReplicaSetSpec { selector, template, ..ReplicaSetSpec::default() };
        let set = ReplicaSet { spec, status, ..ReplicaSet::default() };
        Observed::new(set, Pods { owned: pods, ..Pods::default() }, Timestamp::UNIX_EPOCH)
    }

    fn report(observed: &Observed, results: &Results<Step, ()>) -> ReplicaSetStatus {
        status(observed, &Plan::default(), results)
    }

    fn failed(step: Step, error: &'static str) -> Results<Step, ()> {
        vec![(Planned { step, reason: String::new() }, Err(Error::other(Class::Transient, error)))]
    }

    #[test]
    fn terminating_and_ended_pods_are_no_replicas_and_only_the_former_are_counted() {
        let running = |label, is_terminating| pod(label, "Running", is_terminating);
        let pods = vec![
            running("web", false),
            running("other", false),
            running("web", true),
            pod("web", "Failed", true),
            pod("web", "Succeeded", false),
        ];
        let status = report(&observed(pods, None), &Vec::new());
        assert_eq!((status.replicas, status.terminating_replicas), (2, Some(1)));
        assert_eq!(status.fully_labeled_replicas, Some(1));
    }

    #[test]
    fn a_failure_is_reported_until_a_pass_without_one_and_keeps_its_first_words() {
        let reason = |status: &ReplicaSetStatus| {
            let conditions = status.conditions.iter().flatten();
            let text = |condition: &ReplicaSetCondition| (condition.reason.clone(), condition.message.clone());
            conditions.map(text).collect::<Vec<_>>()
        };
        let words = |reason: &str, message: &str| vec![(Some(reason.to_owned()), Some(message.to_owned()))];
        let first = report(&observed(vec![], None), &failed(Step::CreatePod, "quota"));
        assert_eq!(reason(&first), words("FailedCreate", "quota"));
        let second = report(&observed(vec![], Some(first)), &failed(Step::CreatePod, "another"));
        assert_eq!(reason(&second), words("FailedCreate", "quota"));
        let healed = report(&observed(vec![], Some(second)), &Vec::new());
        assert_eq!(healed.conditions, None);
    }

    #[test]
    fn a_pod_is_available_once_it_has_been_ready_for_long_enough() {
        let ready = PodCondition {
            type_: "Ready".to_owned(),
            status: "True".to_owned(),
            last_transition_time: Some(Time(Timestamp::UNIX_EPOCH)),
            ..PodCondition::default()
        };
        let mut pod = pod("web", "Running", false);
        Arc::make_mut(&mut pod).status.as_mut().unwrap().conditions = Some(vec![ready]);
        let mut observed = observed(vec![pod], None);
        observed.spec.min_ready_seconds = Some(10);
        let numbers = |observed: &Observed| {
            let status = report(observed, &Vec::new());
            (status.ready_replicas, status.available_replicas)
        };
        observed.now.0 = Timestamp::from_second(9).unwrap();
        assert_eq!(numbers(&observed), (Some(1), Some(0)));
        observed.now.0 = Timestamp::from_second(10).unwrap();
        assert_eq!(numbers(&observed), (Some(1), Some(1)));
    }

    #[test]
    fn a_pass_that_claims_reports_as_before_and_one_that_cannot_act_says_why() {
        let before = ReplicaSetStatus { replicas: 7, ..ReplicaSetStatus::default() };
        let mut observed = observed(vec![], Some(before));
        let mut plan = Plan::default();
        plan.step(Step::ConfirmOwner, "");
        assert_eq!(status(&observed, &plan, &Vec::new()).replicas, 7);
        let planned = Planned { step: Step::ConfirmOwner, reason: String::new() };
        let livelock = Error::Livelock { steps: "ConfirmOwner".to_owned() };
        let repeated = status(&observed, &plan, &vec![(planned, Err(livelock))]);
        assert_eq!(repeated.conditions.unwrap()[0].reason.as_deref(), Some("Livelock"));
        observed.spec.replicas = Some(-1);
        let stalled = report(&observed, &Vec::new());
        assert_eq!(stalled.replicas, 7);
        assert_eq!(stalled.conditions.as_ref().unwrap()[0].type_.as_deref(), Some(STALLED));
        (observed.status, observed.spec.replicas) = (stalled, Some(1));
        assert_eq!(report(&observed, &Vec::new()).conditions, None);
    }
}
