//! Which revision of the Deployment a ReplicaSet is (D19–D22), and what else the present one takes over without another
//! one being made (D23, D25).

use std::collections::BTreeMap;

use operator_sdk::{Target, plan::Plan};

use super::{
    annotation::{REVISION, REVISION_HISTORY, shared, sizes},
    version,
};
use crate::deployment::{Observed, Set, Step};

/// A list of former revisions is no longer than this; the oldest go first.
const HISTORY_LENGTH_MAX: usize = 2000;

/// The revision of a ReplicaSet, if it has one.
pub(crate) fn of(set: &Set) -> Option<i64> {
    set.annotation(REVISION)?.parse().ok()
}

/// Has the present ReplicaSet and then the Deployment follow.
pub(super) fn plan(observed: &Observed, plan: &mut Plan<Step>) {
    let Some(set) = version::current(observed) else { return };
    let mut annotations = shared(observed, Some(set));
    annotations.extend(raised(observed, set));
    let min_ready_seconds = observed.spec.min_ready_seconds.unwrap_or(0);
    if !annotations.is_empty() || set.spec.min_ready_seconds.unwrap_or(0) != min_ready_seconds {
        if let Ok(target) = Target::of_metadata(&set.metadata) {
            plan.step(
                Step::UpdateReplicaSet { target, annotations, min_ready_seconds },
                "what it takes over from the Deployment has changed",
            );
        }
        return;
    }
    let held = observed.metadata.annotations.as_ref().and_then(|annotations| annotations.get(REVISION));
    let revision = set.annotation(REVISION).unwrap_or_default();
    if held.map(String::as_str).unwrap_or_default() != revision
        && let Ok(target) = Target::of_metadata(&observed.metadata)
    {
        let revision = revision.to_owned();
        plan.step(Step::SetRevision { target, revision }, "its ReplicaSet has another revision");
    }
}

/// What the ReplicaSet of a new template says of itself from the start.
pub(super) fn of_new(observed: &Observed) -> BTreeMap<String, String> {
    let mut annotations = shared(observed, None);
    annotations.extend(sizes(observed));
    annotations.insert(REVISION.to_owned(), next(observed).to_string());
    annotations
}

/// One more than any former ReplicaSet has (D19).
fn next(observed: &Observed) -> i64 {
    version::former(observed).filter_map(of).max().unwrap_or(0).saturating_add(1)
}

/// The revision of a ReplicaSet whose template is the present one again, and the list of those that it had; nothing if
/// its revision is the highest already (D21), or no number (D82).
fn raised(observed: &Observed, set: &Set) -> BTreeMap<String, String> {
    let held = set.annotation(REVISION).filter(|text| !text.is_empty());
    let next = next(observed);
    match held.map(str::parse::<i64>) {
        Some(Err(_)) => BTreeMap::new(),
        Some(Ok(revision)) if revision >= next => BTreeMap::new(),
        _ => {
            let history =
                held.map(|held| (REVISION_HISTORY.to_owned(), longer(set.annotation(REVISION_HISTORY), held)));
            [(REVISION.to_owned(), next.to_string())].into_iter().chain(history).collect()
        }
    }
}

/// A list of revisions with one more at its end (D20).
fn longer(history: Option<&str>, revision: &str) -> String {
    let mut list = match history {
        None | Some("") => revision.to_owned(),
        Some(history) => format!("{history},{revision}"),
    };
    while list.len() > HISTORY_LENGTH_MAX
        && let Some((_, rest)) = list.split_once(',')
    {
        list = rest.to_owned();
    }
    list
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};

    use super::*;
    use crate::deployment::core::{
        annotation::{DESIRED_REPLICAS, MAX_REPLICAS},
        fixture::{annotated, deployment, observed, ready_set, replica_set},
    };

    fn steps(deployment: &Deployment, sets: Vec<ReplicaSet>) -> Vec<Step> {
        let mut plan_of = Plan::default();
        plan(&observed(deployment, sets), &mut plan_of);
        plan_of.steps().map(|planned| planned.step.clone()).collect()
    }

    fn with_revision(set: ReplicaSet, revision: &str) -> ReplicaSet {
        annotated(set, &[(REVISION, revision)])
    }

    fn updated(deployment: &Deployment, sets: Vec<ReplicaSet>) -> BTreeMap<String, String> {
        match steps(deployment, sets).pop() {
            Some(Step::UpdateReplicaSet { annotations, target, .. }) if target.key.name == "new" => annotations,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_new_set_has_a_revision_above_all_former_ones_and_the_sizes_of_its_deployment() {
        let deployment = deployment(10, "3", "2");
        let old = |name: &str, revision: &str| with_revision(replica_set(&deployment, name, name, 1, 1), revision);
        let sets = vec![old("a", "3546343826724305832"), old("b", "7"), old("c", "none")];
        let annotations = of_new(&observed(&deployment, sets));
        assert_eq!(annotations[REVISION], "3546343826724305833");
        assert_eq!((annotations[DESIRED_REPLICAS].as_str(), annotations[MAX_REPLICAS].as_str()), ("10", "13"));
        assert_eq!(of_new(&observed(&deployment, vec![]))[REVISION], "1");
    }

    #[test]
    fn a_template_that_is_used_again_is_the_newest_revision_and_remembers_its_former_one() {
        let deployment = deployment(3, "1", "0");
        let old = with_revision(replica_set(&deployment, "old", "other:1", 1, 1), "4");
        let new = annotated(ready_set(&deployment, "new", 3), &[(REVISION, "3"), (REVISION_HISTORY, "1")]);
        let annotations = updated(&deployment, vec![old, new]);
        assert_eq!((annotations[REVISION].as_str(), annotations[REVISION_HISTORY].as_str()), ("5", "1,3"));
    }

    #[test]
    fn a_revision_is_only_ever_raised() {
        let deployment = annotated_deployment("9");
        let old = with_revision(replica_set(&deployment, "old", "other:1", 1, 1), "4");
        for revision in ["9", "5"] {
            let new = with_revision(ready_set(&deployment, "new", 3), revision);
            let raised = steps(&deployment, vec![old.clone(), new]);
            assert!(!raised.iter().any(|step| matches!(step, Step::UpdateReplicaSet { .. })), "{raised:?}");
        }
        let odd = with_revision(ready_set(&deployment, "new", 3), "second");
        assert!(
            matches!(&steps(&deployment, vec![old, odd])[..], [Step::SetRevision { revision, .. }] if revision == "second")
        );
    }

    fn annotated_deployment(revision: &str) -> Deployment {
        let mut deployment = deployment(3, "1", "0");
        deployment.metadata.annotations = Some([(REVISION.to_owned(), revision.to_owned())].into());
        deployment
    }

    #[test]
    fn the_deployment_says_the_revision_of_its_present_set_once_that_has_it() {
        let set = |revision| with_revision(ready_set(&deployment(3, "1", "0"), "new", 3), revision);
        let told = steps(&annotated_deployment("1"), vec![set("2")]);
        assert!(matches!(&told[..], [Step::SetRevision { revision, .. }] if revision == "2"), "{told:?}");
        assert_eq!(steps(&annotated_deployment("2"), vec![set("2")]), []);
    }

    #[test]
    fn only_the_present_set_takes_over_annotations_and_none_is_taken_away() {
        let mut deployment = annotated_deployment("2");
        let own =
            [("example.com/team", "a"), (ROLLBACK, "1"), ("kubectl.kubernetes.io/last-applied-configuration", "{}")];
        let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
        deployment.metadata.annotations.as_mut().unwrap().extend(own);
        let old = with_revision(replica_set(&deployment, "old", "other:1", 1, 1), "1");
        let new = annotated(ready_set(&deployment, "new", 3), &[(REVISION, "2"), ("example.com/gone", "b")]);
        let annotations = updated(&deployment, vec![old, new]);
        assert_eq!(annotations, [("example.com/team".to_owned(), "a".to_owned())].into());
    }

    const ROLLBACK: &str = crate::deployment::core::annotation::ROLLBACK_TO;

    #[test]
    fn min_ready_seconds_goes_to_the_present_set_alone() {
        let mut deployment = annotated_deployment("1");
        deployment.spec.min_ready_seconds = Some(5);
        let old = replica_set(&deployment, "old", "other:1", 1, 1);
        let mut new = with_revision(ready_set(&deployment, "new", 3), "1");
        let changed = steps(&deployment, vec![old.clone(), new.clone()]);
        let [Step::UpdateReplicaSet { target, min_ready_seconds: 5, .. }] = &changed[..] else { panic!("{changed:?}") };
        assert_eq!(target.key.name, "new");
        new.spec.min_ready_seconds = Some(5);
        assert_eq!(steps(&deployment, vec![old, new]), []);
    }

    #[test]
    fn a_list_of_revisions_loses_its_oldest_when_it_grows_too_long() {
        let history = (1000..1400).map(|revision| revision.to_string()).collect::<Vec<_>>().join(",");
        assert_eq!(history.len(), 1999);
        let list = longer(Some(&history), "1400");
        assert!(list.starts_with("1001,1002,") && list.ends_with(",1399,1400"), "{list}");
        assert!(list.len() <= HISTORY_LENGTH_MAX);
        assert_eq!(longer(None, "7"), "7");
    }
}
