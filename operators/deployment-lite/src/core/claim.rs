//! What an owner lets go because its selector does not match any more, and what it takes because nobody controls it
//! (D72).

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use operator_sdk::{
    owner::Claim,
    plan::{Plan, Planned},
};

/// How a controller calls its steps.
pub(crate) struct Steps<S> {
    /// Makes sure that the owner is there still and not being deleted, by asking the API server (D73).
    pub(crate) confirm: S,
    pub(crate) adopt: fn(Claim) -> S,
    pub(crate) release: fn(Claim) -> S,
}

/// Plans the claims: once the owner is confirmed, if anything is to be adopted, all of them at once, so that none keeps
/// another from being tried (D75).
pub(crate) fn plan<'a, S>(
    owner: &ObjectMeta,
    lost: impl IntoIterator<Item = &'a ObjectMeta>,
    orphans: impl IntoIterator<Item = &'a ObjectMeta>,
    steps: Steps<S>,
    plan: &mut Plan<S>,
) {
    if owner.deletion_timestamp.is_some() {
        return;
    }
    let adopted = claims(orphans.into_iter().filter(|orphan| orphan.deletion_timestamp.is_none()));
    let adopted = planned(adopted, steps.adopt, "it has no controller, and the selector matches it");
    let released = planned(claims(lost), steps.release, "the selector does not match it any more");
    if !adopted.is_empty() {
        plan.step(steps.confirm, "who adopts must not be about to go");
    }
    let all: Vec<_> = released.into_iter().chain(adopted).collect();
    if !all.is_empty() {
        plan.groups.push(all);
    }
}

fn claims<'a>(objects: impl IntoIterator<Item = &'a ObjectMeta>) -> impl Iterator<Item = Claim> {
    objects.into_iter().filter_map(|metadata| Claim::of_metadata(metadata).ok())
}

fn planned<S>(claims: impl Iterator<Item = Claim>, step: fn(Claim) -> S, reason: &str) -> Vec<Planned<S>> {
    claims.map(|claim| Planned { step: step(claim), reason: reason.to_owned() }).collect()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;

    fn object(name: &str) -> ObjectMeta {
        ObjectMeta {
            name: Some(name.to_owned()),
            uid: Some(name.to_owned()),
            resource_version: Some("1".to_owned()),
            ..ObjectMeta::default()
        }
    }

    fn deleted(mut metadata: ObjectMeta) -> ObjectMeta {
        metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
        metadata
    }

    /// The names of the steps, group by group.
    fn claimed(owner: &ObjectMeta, lost: &[ObjectMeta], orphans: &[ObjectMeta]) -> Vec<Vec<String>> {
        let mut plan_of = Plan::default();
        let steps = Steps {
            confirm: "confirm".to_owned(),
            adopt: |claim| format!("adopt {}", claim.target.key),
            release: |claim| format!("release {}", claim.target.key),
        };
        plan(owner, lost, orphans, steps, &mut plan_of);
        plan_of.groups.into_iter().map(|group| group.into_iter().map(|planned| planned.step).collect()).collect()
    }

    #[test]
    fn an_owner_is_confirmed_once_and_only_before_it_adopts() {
        let owner = object("owner");
        let both = claimed(&owner, &[object("a")], &[object("b"), object("c")]);
        assert_eq!(both, [vec!["confirm"], vec!["release a", "adopt b", "adopt c"]]);
        assert_eq!(claimed(&owner, &[object("a")], &[]), [["release a"]]);
        assert_eq!(claimed(&owner, &[], &[]), Vec::<Vec<String>>::new());
    }

    #[test]
    fn neither_an_owner_nor_an_orphan_that_is_being_deleted_takes_part() {
        assert_eq!(claimed(&deleted(object("owner")), &[object("a")], &[object("b")]), Vec::<Vec<String>>::new());
        assert_eq!(claimed(&object("owner"), &[], &[deleted(object("b"))]), Vec::<Vec<String>>::new());
    }
}
