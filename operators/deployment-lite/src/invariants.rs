//! What this operator promises at every instant, judged on the API server's own store, commit by commit.
//!
//! It measures with a ruler of its own and shares no arithmetic with the code that it judges. It judges transitions, not
//! states: a user may change limits that reality then breaks, and nobody is to blame as long as nothing makes it worse.
//!
//! | name | promise |
//! |---|---|
//! | INV-1 | no write asks for more pods than `replicas + maxSurge` |
//! | INV-2 | no write of a rolling update takes an available pod that is needed for `replicas − maxUnavailable` |
//! | INV-3 | a template has one ReplicaSet |
//! | INV-4 | no pod is made beyond the size of its ReplicaSet |
//! | INV-5 | nothing is made for an owner that is gone or going |
//! | INV-6 | with `Recreate`, no pod is made beside one of another template |
//! | INV-7 | revisions only grow, and no two ReplicaSets share one |
//!
//! What a write may still be based on: the specs that the status does not yet say were observed; an availability that is
//! no older than the judge was told, also of a ReplicaSet that has gone since.

mod ledger;
mod limits;
mod settled;

use std::marker::PhantomData;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::Resource;
use serde::{
    Deserialize,
    de::{DeserializeOwned, value::MapDeserializer},
};
use serde_json::{Map, Value};

use self::ledger::Ledger;
use crate::api::{Api, Form};

/// For how long what was true may still be acted on when one thing goes wrong: a request's time-out, and as long again for
/// a watch.
pub const STALENESS_MAX: SignedDuration = SignedDuration::from_secs(10);

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// As in `INV-1`; `settled` for what does not hold at the end.
    pub invariant: &'static str,
    /// Kind, namespace and name of the object whose write broke it.
    pub object: String,
    /// What is there, and what may be.
    pub message: String,
}

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening {
    /// It was made.
    Made,
    /// It was changed.
    Changed,
    /// It is gone.
    Gone,
}

/// Everything of these kinds that the store holds, and what it was.
#[derive(Debug)]
pub struct Invariants<A> {
    ledger: Ledger,
    api: PhantomData<fn() -> A>,
}

impl<A> Invariants<A> {
    /// Nothing has happened yet, and what was true may be acted on for so long.
    pub fn new(staleness_max: SignedDuration) -> Self {
        Self { ledger: Ledger::new(staleness_max), api: PhantomData }
    }
}

impl<A: Api> Invariants<A> {
    /// Takes in one commit, in the store's order; returns the promises that it breaks. Objects of other kinds mean
    /// nothing.
    ///
    /// # Errors
    /// If the object is not of the kind that it says: the server took what it must not.
    pub fn see(
        &mut self,
        now: Timestamp,
        happening: Happening,
        object: &Value,
    ) -> Result<Vec<Violation>, serde_json::Error> {
        match object["kind"].as_str().unwrap_or_default() {
            kind if kind == A::Deployment::kind(&()) => {
                let deployment = decode::<A::Deployment>(object)?;
                self.ledger.see_deployment(now, happening, deployment.built_in());
                Ok(Vec::new())
            }
            kind if kind == A::ReplicaSet::kind(&()) => {
                let set = decode::<A::ReplicaSet>(object)?;
                Ok(self.ledger.see_replica_set(now, happening, set.built_in()))
            }
            "Pod" => {
                let pod = decode::<Pod>(object)?;
                Ok(self.ledger.see_pod(now, happening, pod))
            }
            _ => Ok(Vec::new()),
        }
    }

    /// What is not as it should be once nothing moves any more: every Deployment is complete and says so, every
    /// ReplicaSet has its pods, and only one of a Deployment has any.
    pub fn unsettled(&self, now: Timestamp) -> Vec<Violation> {
        settled::judge(&self.ledger, now)
    }
}

/// The object as its type has it, but for its managed fields: they may be the larger half, and nothing is judged by them.
fn decode<K: Resource + DeserializeOwned>(object: &Value) -> Result<K, serde_json::Error> {
    let (Some(fields), Some(metadata)) = (object.as_object(), object["metadata"].as_object()) else {
        return K::deserialize(object);
    };
    let none = Value::Object(Map::new());
    let rest = all_but("metadata", fields).chain([("metadata", &none)]);
    let mut decoded = K::deserialize(MapDeserializer::new(rest))?;
    *decoded.meta_mut() = ObjectMeta::deserialize(MapDeserializer::new(all_but("managedFields", metadata)))?;
    Ok(decoded)
}

fn all_but<'a>(field: &str, fields: &'a Map<String, Value>) -> impl Iterator<Item = (&'a str, &'a Value)> {
    fields.iter().filter(move |(name, _)| *name != field).map(|(name, value)| (name.as_str(), value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::BuiltIn;

    type Judge = Invariants<BuiltIn>;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn deployment(generation: i64, observed: i64, spec: Value) -> Value {
        let mut whole = json!({"replicas": 4, "selector": {}, "template": {"metadata": {"labels": {"v": "1"}}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 1}}});
        for (name, value) in spec.as_object().unwrap() {
            whole[name] = value.clone();
        }
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "spec": whole, "status": {"observedGeneration": observed},
            "metadata": {"name": "web", "namespace": "default", "uid": "d", "generation": generation}})
    }

    fn set(name: &str, size: i64, available: i64) -> Value {
        let owner =
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "d", "controller": true});
        json!({"apiVersion": "apps/v1", "kind": "ReplicaSet",
            "metadata": {"name": name, "namespace": "default", "uid": name, "ownerReferences": [owner],
                "annotations": {"deployment.kubernetes.io/revision": name}},
            "spec": {"replicas": size, "selector": {}, "template": {"metadata": {"labels": {"v": name, "pod-template-hash": name}}}},
            "status": {"replicas": size, "availableReplicas": available}})
    }

    fn pod(name: &str, set: &str) -> Value {
        let owner = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": set, "uid": set, "controller": true});
        json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": "default", "uid": name, "ownerReferences": [owner]}})
    }

    fn broken(judge: &mut Judge, second: i64, happening: Happening, object: &Value) -> Vec<&'static str> {
        let found = judge.see(at(second), happening, object).unwrap();
        found.into_iter().map(|violation| violation.invariant).collect()
    }

    /// Takes these in, none of which breaks anything.
    fn after(objects: &[Value]) -> Judge {
        let mut judge = Judge::new(STALENESS_MAX);
        for object in objects {
            assert_eq!(broken(&mut judge, 0, Happening::Made, object), [""; 0], "{object}");
        }
        judge
    }

    #[test]
    fn an_object_without_metadata_is_none_of_its_kind() {
        let mut nothing = set("1", 1, 1);
        nothing["metadata"] = json!(7);
        assert!(Judge::new(STALENESS_MAX).see(at(1), Happening::Made, &nothing).is_err());
    }

    #[test]
    fn more_pods_than_the_surge_allows_are_seen_when_they_are_asked_for() {
        let mut judge = after(&[deployment(1, 1, json!({})), set("1", 4, 4), set("2", 1, 0)]);
        assert_eq!(broken(&mut judge, 1, Happening::Changed, &set("2", 2, 0)), ["INV-1"]);
        let mut judge = after(&[deployment(1, 1, json!({})), set("1", 4, 4)]);
        assert_eq!(broken(&mut judge, 1, Happening::Made, &set("2", 2, 0)), ["INV-1"]);
    }

    #[test]
    fn a_user_may_make_the_limits_narrower_than_reality() {
        let mut judge = after(&[deployment(1, 1, json!({})), set("1", 4, 4), set("2", 1, 0)]);
        let smaller = json!({"replicas": 1});
        assert_eq!(broken(&mut judge, 1, Happening::Changed, &deployment(2, 1, smaller.clone())), [""; 0]);
        assert_eq!(broken(&mut judge, 1, Happening::Changed, &set("1", 3, 4)), [""; 0], "less is no harm");
        assert_eq!(broken(&mut judge, 1, Happening::Changed, &set("1", 4, 4)), [""; 0], "as was right before");
        broken(&mut judge, 1, Happening::Changed, &deployment(2, 2, smaller));
        assert_eq!(broken(&mut judge, 2, Happening::Changed, &set("2", 2, 0)), ["INV-1"]);
    }

    #[test]
    fn an_available_pod_that_is_needed_stays() {
        let mut judge = after(&[deployment(1, 1, json!({})), set("1", 4, 4), set("2", 1, 0)]);
        assert_eq!(broken(&mut judge, 1, Happening::Changed, &set("1", 3, 4)), [""; 0]);
        assert_eq!(broken(&mut judge, 2, Happening::Changed, &set("1", 2, 4)), ["INV-2"]);
        let mut judge = after(&[deployment(1, 1, json!({})), set("1", 4, 2), set("2", 1, 0)]);
        assert_eq!(
            broken(&mut judge, 1, Happening::Changed, &set("1", 2, 2)),
            [""; 0],
            "only what does not serve goes"
        );
    }

    #[test]
    fn what_was_available_a_moment_ago_may_still_be_counted_on() {
        let mut judge = after(&[deployment(1, 1, json!({})), set("1", 3, 3), set("2", 1, 1)]);
        assert_eq!(broken(&mut judge, 20, Happening::Changed, &set("2", 1, 0)), [""; 0]);
        assert_eq!(broken(&mut judge, 21, Happening::Changed, &set("1", 2, 3)), [""; 0]);
        let mut judge = after(&[deployment(1, 1, json!({})), set("1", 3, 3), set("2", 1, 1)]);
        assert_eq!(broken(&mut judge, 20, Happening::Changed, &set("2", 1, 0)), [""; 0]);
        assert_eq!(broken(&mut judge, 40, Happening::Changed, &set("1", 2, 3)), ["INV-2"]);
    }

    #[test]
    fn what_is_gone_since_a_moment_may_still_be_counted_on() {
        let gone_at = |second| {
            let mut judge = after(&[deployment(1, 1, json!({})), set("1", 3, 3), set("2", 1, 1)]);
            broken(&mut judge, second, Happening::Gone, &set("2", 1, 1));
            judge
        };
        assert_eq!(broken(&mut gone_at(20), 21, Happening::Changed, &set("1", 2, 3)), [""; 0]);
        assert_eq!(broken(&mut gone_at(20), 21, Happening::Changed, &set("1", 1, 3)), ["INV-2"]);
        assert_eq!(broken(&mut gone_at(20), 40, Happening::Changed, &set("1", 2, 3)), ["INV-2"]);
        let mut judge = gone_at(20);
        assert_eq!(broken(&mut judge, 21, Happening::Made, &set("3", 2, 0)), [""; 0], "nothing is asked for it");
    }

    #[test]
    fn a_template_has_one_replica_set_and_a_revision_too() {
        let mut judge = after(&[deployment(1, 1, json!({})), set("1", 1, 0)]);
        let mut second = set("2", 1, 0);
        second["spec"]["template"]["metadata"]["labels"]["v"] = json!("1");
        assert_eq!(broken(&mut judge, 1, Happening::Made, &second), ["INV-3"]);
        let mut second = set("3", 1, 0);
        second["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = json!("1");
        assert_eq!(broken(&mut judge, 1, Happening::Made, &second), ["INV-7"]);
        second["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = json!("0");
        assert_eq!(broken(&mut judge, 1, Happening::Changed, &second), ["INV-7"]);
    }

    #[test]
    fn no_pod_is_made_beyond_the_size_of_its_replica_set() {
        let mut judge = after(&[deployment(1, 1, json!({})), set("1", 1, 0), pod("a", "1")]);
        assert_eq!(broken(&mut judge, 1, Happening::Made, &pod("b", "1")), ["INV-4"]);
        let mut going = pod("a", "1");
        going["metadata"]["deletionTimestamp"] = json!("1970-01-01T00:00:00Z");
        let mut judge = after(&[deployment(1, 1, json!({})), set("1", 1, 0), going]);
        assert_eq!(broken(&mut judge, 1, Happening::Made, &pod("b", "1")), [""; 0]);
    }

    #[test]
    fn nothing_is_made_for_an_owner_that_went_a_while_ago() {
        let mut judge = after(&[deployment(1, 1, json!({})), set("1", 1, 0)]);
        broken(&mut judge, 100, Happening::Gone, &deployment(1, 1, json!({})));
        broken(&mut judge, 100, Happening::Gone, &set("1", 1, 0));
        assert_eq!(broken(&mut judge, 105, Happening::Made, &set("2", 1, 0)), [""; 0], "it was under way");
        assert_eq!(broken(&mut judge, 120, Happening::Made, &set("3", 1, 0)), ["INV-5"]);
        assert_eq!(broken(&mut judge, 120, Happening::Made, &pod("a", "1")), ["INV-5"]);
        assert_eq!(broken(&mut judge, 120, Happening::Made, &pod("b", "unknown")), ["INV-5"]);
    }

    #[test]
    fn recreation_makes_no_pod_beside_one_of_another_template() {
        let recreate = json!({"strategy": {"type": "Recreate"}});
        let mut judge = after(&[deployment(1, 1, recreate.clone()), set("1", 1, 0), pod("a", "1"), set("2", 1, 0)]);
        assert_eq!(broken(&mut judge, 1, Happening::Made, &pod("b", "2")), ["INV-6"]);
        let mut over = pod("a", "1");
        over["status"] = json!({"phase": "Failed"});
        let mut judge = after(&[deployment(1, 1, recreate), set("1", 1, 0), over, set("2", 1, 0)]);
        assert_eq!(broken(&mut judge, 1, Happening::Made, &pod("b", "2")), [""; 0]);
    }

    #[test]
    fn what_is_settled_is_complete_and_says_so() {
        let mut judge = after(&[deployment(1, 1, json!({"replicas": 1})), set("1", 1, 1)]);
        assert!(judge.unsettled(at(1)).len() > 1);
        let mut complete = deployment(1, 1, json!({"replicas": 1}));
        complete["status"] = json!({"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1,
            "conditions": [{"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}]});
        broken(&mut judge, 1, Happening::Changed, &complete);
        let unsettled: Vec<String> = judge.unsettled(at(1)).into_iter().map(|wrong| wrong.message).collect();
        assert_eq!(unsettled, ["has 0 pods instead of 1"]);
        broken(&mut judge, 1, Happening::Made, &pod("a", "1"));
        assert_eq!(judge.unsettled(at(1)), []);
    }
}
