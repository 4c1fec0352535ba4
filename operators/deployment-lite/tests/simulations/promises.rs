//! The operator's own promises as a judge of a simulation, which knows who wrote what: people break no promise, and what
//! they make themselves cannot be known at once.

use std::collections::BTreeMap;

use deployment_lite::{
    api::Api,
    invariants::{Happening, Invariants, STALENESS_MAX, Violation},
};
use jiff::{SignedDuration, Timestamp};
use operator_testkit::{
    fault::{Effect, Plan},
    oracle::Judge,
    record::State,
    store::{Change, Commit},
};
use serde_json::Value;

const POD: &str = "Pod";
const REPLICA_SET: &str = "ReplicaSet";

type Uid = String;

pub(crate) struct Promises<A> {
    /// Twice as long if more than one thing that takes time goes wrong.
    staleness_max: SignedDuration,
    invariants: Invariants<A>,
    /// The Deployment of each ReplicaSet.
    deployments: BTreeMap<Uid, Uid>,
    /// When people last made a pod or a ReplicaSet for an owner: that of the pod, and its Deployment.
    foreign: BTreeMap<(&'static str, Uid), Timestamp>,
}

impl<A> Default for Promises<A> {
    fn default() -> Self {
        Self {
            staleness_max: STALENESS_MAX,
            invariants: Invariants::new(STALENESS_MAX),
            deployments: BTreeMap::new(),
            foreign: BTreeMap::new(),
        }
    }
}

impl<A: Api> Judge for Promises<A> {
    fn begin(&mut self, plan: &Plan) {
        let delays = plan.faults.iter().filter(|fault| !matches!(fault.effect, Effect::Refuse(_)));
        self.staleness_max = if delays.count() > 1 { STALENESS_MAX * 2 } else { STALENESS_MAX };
        self.invariants = Invariants::new(self.staleness_max);
    }

    fn see(&mut self, commit: &Commit, _: &State) -> Vec<String> {
        let happening = match commit.change {
            Change::Created => Happening::Made,
            Change::Updated => Happening::Changed,
            Change::Deleted => Happening::Gone,
        };
        let object = commit.after.value();
        let found = match self.invariants.see(commit.time, happening, object) {
            Ok(found) => found,
            Err(error) => return vec![format!("{} {}: {error}", commit.collection.plural, commit.key)],
        };
        let owners = self.owners(object);
        if commit.request == 0 {
            if happening == Happening::Made {
                let made = owners.into_iter().map(|owner| ((kind(object), owner), commit.time));
                self.foreign.extend(made);
            }
            return Vec::new();
        }
        let counts = |violation: &Violation| !self.is_unknown(violation.invariant, &owners, commit.time);
        found.into_iter().filter(counts).map(told).collect()
    }

    fn settled(&mut self, now: Timestamp, _: &State) -> Vec<String> {
        self.invariants.unsettled(now).into_iter().map(told).collect()
    }
}

impl<A> Promises<A> {
    /// The uids of an object's controller, and of the controller's.
    fn owners(&mut self, object: &Value) -> Vec<Uid> {
        let Some(owner) = controller(object) else { return Vec::new() };
        if kind(object) == REPLICA_SET {
            let uid = object["metadata"]["uid"].as_str().unwrap_or_default();
            self.deployments.insert(uid.to_owned(), owner.clone());
        }
        let above = self.deployments.get(&owner).cloned();
        [owner].into_iter().chain(above).collect()
    }

    /// Whether people have just made something that this promise is about, for the same owner.
    fn is_unknown(&self, invariant: &str, owners: &[Uid], now: Timestamp) -> bool {
        let (kinds, owner): (&[&str], _) = match invariant {
            "INV-1" | "INV-7" => (&[REPLICA_SET], owners.last()),
            "INV-4" => (&[POD], owners.first()),
            "INV-6" => (&[POD, REPLICA_SET], owners.last()),
            _ => return false,
        };
        let mut of_owner = self.foreign.iter().filter(|((kind, of), _)| kinds.contains(kind) && Some(of) == owner);
        of_owner.any(|(_, made)| now.duration_since(*made) <= self.staleness_max)
    }
}

fn kind(object: &Value) -> &'static str {
    if object["kind"] == POD { POD } else { REPLICA_SET }
}

fn controller(object: &Value) -> Option<Uid> {
    let owners = object["metadata"]["ownerReferences"].as_array()?;
    let owner = owners.iter().find(|owner| owner["controller"] == true)?;
    owner["uid"].as_str().map(str::to_owned)
}

fn told(Violation { invariant, object, message }: Violation) -> String {
    format!("{invariant} {object}: {message}")
}

#[cfg(test)]
mod tests {
    use deployment_lite::api::BuiltIn;
    use operator_testkit::{
        object::Object,
        store::{Collection, Key},
    };
    use serde_json::json;

    use super::*;

    #[test]
    fn what_people_make_excuses_the_operator_for_the_same_owner_alone() {
        let owner = |kind: &str, uid: &str| json!({"apiVersion": "apps/v1", "kind": kind, "name": uid, "uid": uid, "controller": true});
        let set = |name: &str, revision: &str| {
            json!({
                "apiVersion": "apps/v1", "kind": "ReplicaSet",
                "metadata": {
                    "name": name, "uid": name, "annotations": {"deployment.kubernetes.io/revision": revision},
                    "ownerReferences": [owner("Deployment", &format!("of {name}"))],
                },
                "spec": {"replicas": 1, "selector": {}, "template": {"metadata": {"labels": {"set": name}}}},
            })
        };
        let pod = |set: &str| json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": set, "ownerReferences": [owner("ReplicaSet", set)]}});
        let (mut promises, mut revision) = (Promises::<BuiltIn>::default(), 0);
        let mut broken = |request: u64, change: Change, mut object: Value| -> Vec<String> {
            revision += 1;
            if object["kind"] == "Pod" {
                object["metadata"]["uid"] = revision.to_string().into();
            }
            let commit = Commit {
                revision,
                time: Timestamp::UNIX_EPOCH,
                collection: Collection::new("", ""),
                key: Key::new("default", "any"),
                change,
                before: None,
                after: Object::new(object),
                request,
            };
            let found = promises.see(&commit, &State::default());
            found.iter().map(|message| message.split(' ').next().unwrap().to_owned()).collect()
        };
        for name in ["a", "bb"] {
            broken(1, Change::Created, set(name, "2"));
            assert_eq!(broken(1, Change::Created, pod(name)), [""; 0]);
        }
        assert_eq!(broken(0, Change::Created, pod("a")), [""; 0], "people may");
        assert_eq!(broken(1, Change::Created, pod("a")), [""; 0], "it cannot know");
        assert_eq!(broken(1, Change::Created, pod("bb")), ["INV-4"], "nobody made any for this one");
        assert_eq!(broken(1, Change::Updated, set("a", "1")), ["INV-7"], "pods have no revisions");
    }
}
