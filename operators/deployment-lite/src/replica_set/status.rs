//! What a ReplicaSet reports of itself (R13, R14).

use jiff::Timestamp;
use k8s_openapi::{
    api::{
        apps::v1::{ReplicaSetCondition, ReplicaSetStatus},
        core::v1::Pod,
    },
    apimachinery::pkg::apis::meta::v1::Time,
};
use operator_sdk::plan::Results;

use super::{
    Observed, Step,
    core::availability::{is_available, is_ready},
};

/// The type of the condition that tells of pods that could not be made or deleted.
pub(crate) const REPLICA_FAILURE: &str = "ReplicaFailure";

/// The numbers as observed, before the plan was carried out: a pod counts until it is seen to terminate.
pub(super) fn status(observed: &Observed, results: &Results<Step, ()>) -> ReplicaSetStatus {
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

/// Conditions of others stay; ours is there while pods cannot be made or deleted, and says why it began (R14).
fn conditions(observed: &Observed, results: &Results<Step, ()>) -> Option<Vec<ReplicaSetCondition>> {
    let mut conditions = observed.status.conditions.clone().unwrap_or_default();
    let is_ours = |condition: &ReplicaSetCondition| condition.type_.as_deref() == Some(REPLICA_FAILURE);
    let failure = results.iter().find_map(|(planned, result)| Some((&planned.step, result.as_ref().err()?)));
    match failure {
        None => conditions.retain(|condition| !is_ours(condition)),
        Some(_) if conditions.iter().any(is_ours) => {}
        Some((step, error)) => conditions.push(ReplicaSetCondition {
            type_: Some(REPLICA_FAILURE.to_owned()),
            status: Some("True".to_owned()),
            reason: Some(if *step == Step::CreatePod { "FailedCreate" } else { "FailedDelete" }.to_owned()),
            message: Some(error.to_string()),
            // Times in objects have whole seconds; a finer one would differ from itself when read back.
            last_transition_time: Some(Time(
                Timestamp::from_second(observed.now.0.as_second()).unwrap_or(observed.now.0),
            )),
        }),
    }
    Some(conditions).filter(|conditions| !conditions.is_empty())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use k8s_openapi::{
        api::{
            apps::v1::{ReplicaSet, ReplicaSetSpec},
            core::v1::{PodCondition, PodStatus, PodTemplateSpec},
        },
        apimachinery::pkg::apis::meta::v1::ObjectMeta,
    };
    use operator_sdk::{Class, Error, plan::Planned};

    use super::*;

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
        let spec = ReplicaSetSpec { template, ..ReplicaSetSpec::default() };
        let set = ReplicaSet { spec, status, ..ReplicaSet::default() };
        Observed::new(set, pods, Timestamp::UNIX_EPOCH)
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
        let status = status(&observed(pods, None), &Vec::new());
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
        let first = status(&observed(vec![], None), &failed(Step::CreatePod, "quota"));
        assert_eq!(reason(&first), words("FailedCreate", "quota"));
        let second = status(&observed(vec![], Some(first)), &failed(Step::CreatePod, "another"));
        assert_eq!(reason(&second), words("FailedCreate", "quota"));
        let healed = status(&observed(vec![], Some(second)), &Vec::new());
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
            let status = status(observed, &Vec::new());
            (status.ready_replicas, status.available_replicas)
        };
        observed.now.0 = Timestamp::from_second(9).unwrap();
        assert_eq!(numbers(&observed), (Some(1), Some(0)));
        observed.now.0 = Timestamp::from_second(10).unwrap();
        assert_eq!(numbers(&observed), (Some(1), Some(1)));
    }
}
