//! A wish, by an annotation, to go back to a former revision (D51, D52).

use std::collections::BTreeMap;

use operator_sdk::{Target, plan::Plan};

use super::{
    annotation::{ROLLBACK_TO, is_shared},
    revision, rolling, version,
};
use crate::deployment::{Observed, Set, Step};

/// The revision that is asked for, 0 for the former one; nothing if that is no number.
pub(super) fn revision_wanted(observed: &Observed) -> Option<i64> {
    observed.metadata.annotations.as_ref()?.get(ROLLBACK_TO)?.parse().ok()
}

/// Puts the template of that revision in the place of the present one, or takes away a wish that cannot be met.
pub(super) fn plan(observed: &Observed, plan: &mut Plan<Step>) {
    // The present template must have a revision itself, so that it is known which one was the last. It needs no pods:
    // they would stand beside those of others, and go again at once.
    if version::current(observed).is_none() {
        return rolling::create(observed, 0, plan);
    }
    let (Some(wanted), Ok(target)) = (revision_wanted(observed), Target::of_metadata(&observed.metadata)) else {
        return;
    };
    let refused = |reason, note: String| Step::RefuseRollback { target: target.clone(), reason, note };
    let not_found = |note: &str| refused("DeploymentRollbackRevisionNotFound", note.to_owned());
    let wanted = if wanted == 0 { last(observed) } else { Some(wanted) };
    let set = wanted.map(|wanted| observed.replica_sets.iter().find(|set| revision::of(set) == Some(wanted)));
    let step = match (wanted, set.flatten()) {
        (None, _) => not_found("Unable to find last revision."),
        (_, None) => not_found("Unable to find the revision to rollback to."),
        (_, Some(set)) if version::is_of_template(set, &observed.spec.template) => {
            let name = observed.metadata.name.as_deref().unwrap_or_default();
            let note = format!("The rollback revision contains the same template as current deployment {name:?}");
            refused("DeploymentRollbackTemplateUnchanged", note)
        }
        (Some(revision), Some(set)) => Step::RollBack {
            annotations: restored(observed, set),
            from: Box::new(observed.spec.template.clone()),
            to: Box::new(version::without_hash(set.template())),
            target,
            revision,
        },
    };
    plan.step(step, "the Deployment asks for a former revision");
}

/// The highest revision but one.
fn last(observed: &Observed) -> Option<i64> {
    let mut revisions: Vec<i64> = observed.replica_sets.iter().filter_map(revision::of).collect();
    revisions.sort_unstable();
    revisions.into_iter().rev().nth(1).filter(|revision| *revision > 0)
}

/// The annotations that the Deployment had at that revision, in the place of those that it has now.
fn restored(observed: &Observed, set: &Set) -> BTreeMap<String, Option<String>> {
    let held = observed.metadata.annotations.iter().flatten().map(|(name, _)| (name.clone(), None));
    let former = set.metadata.annotations.iter().flatten().map(|(name, value)| (name.clone(), Some(value.clone())));
    held.chain(former).filter(|(name, _)| is_shared(name)).collect()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};

    use super::*;
    use crate::deployment::core::{
        annotation::REVISION,
        fixture::{annotated, deployment, observed, ready_set, replica_set},
    };

    fn asking(revision: &str) -> Deployment {
        let mut deployment = deployment(3, "1", "0");
        let annotations =
            [(ROLLBACK_TO, revision), ("example.com/now", "a"), ("example.com/both", "a"), (REVISION, "9")];
        deployment.metadata.annotations =
            Some(annotations.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        deployment
    }

    fn sets(deployment: &Deployment) -> Vec<ReplicaSet> {
        let old =
            |name: &str, revision: &str| annotated(replica_set(deployment, name, name, 0, 0), &[(REVISION, revision)]);
        let mut sets = vec![old("one:1", "1"), old("seven:1", "7")];
        sets[0] = annotated(sets[0].clone(), &[("example.com/then", "b"), ("example.com/both", "b")]);
        sets.push(annotated(ready_set(deployment, "new", 3), &[(REVISION, "9")]));
        sets
    }

    fn step(deployment: &Deployment, sets: Vec<ReplicaSet>) -> Step {
        let mut plan_of = Plan::default();
        plan(&observed(deployment, sets), &mut plan_of);
        plan_of.steps().next().unwrap().step.clone()
    }

    fn refusal(deployment: &Deployment, sets: Vec<ReplicaSet>) -> (&'static str, String) {
        match step(deployment, sets) {
            Step::RefuseRollback { reason, note, .. } => (reason, note),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_template_and_the_annotations_of_the_revision_come_back() {
        let deployment = asking("1");
        let Step::RollBack { to, annotations, revision: 1, .. } = step(&deployment, sets(&deployment)) else {
            panic!()
        };
        assert_eq!(to.spec.unwrap().containers[0].image.as_deref(), Some("one:1"));
        let expected = [("example.com/now", None), ("example.com/both", Some("b")), ("example.com/then", Some("b"))];
        let expected = expected.map(|(name, value): (_, Option<&str>)| (name.to_owned(), value.map(str::to_owned)));
        assert_eq!(annotations, expected.into());
    }

    #[test]
    fn revision_0_is_the_last_but_one() {
        let deployment = asking("0");
        assert!(matches!(step(&deployment, sets(&deployment)), Step::RollBack { revision: 7, .. }));
        let only = sets(&deployment).pop().into_iter().collect();
        let (reason, note) = refusal(&deployment, only);
        assert_eq!((reason, note.as_str()), ("DeploymentRollbackRevisionNotFound", "Unable to find last revision."));
    }

    #[test]
    fn a_wish_that_cannot_be_met_is_taken_away_and_told() {
        let deployment = asking("5");
        let (reason, note) = refusal(&deployment, sets(&deployment));
        assert_eq!(reason, "DeploymentRollbackRevisionNotFound");
        assert_eq!(note, "Unable to find the revision to rollback to.");
        let deployment = asking("9");
        let (reason, note) = refusal(&deployment, sets(&deployment));
        assert_eq!(reason, "DeploymentRollbackTemplateUnchanged");
        assert_eq!(note, "The rollback revision contains the same template as current deployment \"web\"");
    }

    #[test]
    fn what_is_no_number_is_no_wish() {
        let wanted = |text| revision_wanted(&observed(&asking(text), vec![]));
        assert_eq!([wanted("3"), wanted("0"), wanted("three"), wanted("")], [Some(3), Some(0), None, None]);
    }

    #[test]
    fn the_present_template_gets_its_set_first() {
        let deployment = asking("1");
        let mut sets = sets(&deployment);
        sets.pop();
        assert!(matches!(step(&deployment, sets), Step::CreateReplicaSet { replicas: 0, .. }));
    }
}
