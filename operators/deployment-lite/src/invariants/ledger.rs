//! The objects, what they were, and what a change of one may do.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{
    api::{
        apps::v1::{Deployment, DeploymentSpec, ReplicaSet},
        core::v1::Pod,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

use super::{
    Happening, Violation,
    limits::{Limits, is_recreate},
};
use crate::api::HASH_LABEL;

const REVISION: &str = "deployment.kubernetes.io/revision";

type Uid = String;

/// All of it.
#[derive(Debug)]
pub(super) struct Ledger {
    staleness_max: SignedDuration,
    pub(super) deployments: BTreeMap<Uid, Owner<Deployment, DeploymentSpec>>,
    pub(super) sets: BTreeMap<Uid, Owner<ReplicaSet, i64>>,
    pub(super) pods: BTreeMap<Uid, Pod>,
    /// How many pods of a ReplicaSet were available, and since when it was as many; oldest first.
    available: BTreeMap<Uid, Vec<(Timestamp, i64)>>,
}

/// Something that has children, kept beyond its end.
#[derive(Debug)]
pub(super) struct Owner<K, S> {
    pub(super) object: K,
    /// What was asked for, by generation, as far as it may still be acted on.
    pub(super) asked: BTreeMap<i64, S>,
    /// Since when it is to go.
    pub(super) ends: Option<Timestamp>,
    pub(super) is_gone: bool,
}

impl<K, S> Owner<K, S> {
    fn see(&mut self, object: K, generation: i64, observed: i64, asked: S) {
        self.asked.insert(generation, asked);
        self.asked.retain(|number, _| *number >= observed.min(generation));
        self.object = object;
    }

    /// True if nothing may be made for it any more.
    fn has_ended(&self, horizon: Timestamp) -> bool {
        self.ends.is_some_and(|ends| ends < horizon)
    }
}

impl Ledger {
    pub(super) fn new(staleness_max: SignedDuration) -> Self {
        Self {
            staleness_max,
            deployments: BTreeMap::new(),
            sets: BTreeMap::new(),
            pods: BTreeMap::new(),
            available: BTreeMap::new(),
        }
    }

    /// What was so before may not be acted on any more.
    fn horizon(&self, now: Timestamp) -> Timestamp {
        now.checked_sub(self.staleness_max).unwrap_or(Timestamp::MIN)
    }

    pub(super) fn see_deployment(&mut self, now: Timestamp, happening: Happening, deployment: Deployment) {
        let metadata = deployment.metadata.clone();
        let generation = metadata.generation.unwrap_or(0);
        let observed = deployment.status.as_ref().and_then(|status| status.observed_generation).unwrap_or(0);
        let owner = self.deployments.entry(uid(&metadata)).or_insert_with(|| Owner {
            object: deployment.clone(),
            asked: BTreeMap::new(),
            ends: None,
            is_gone: false,
        });
        let spec = deployment.spec.clone();
        owner.see(deployment, generation, observed, spec);
        end(owner, now, happening, &metadata);
    }

    pub(super) fn see_replica_set(&mut self, now: Timestamp, happening: Happening, set: ReplicaSet) -> Vec<Violation> {
        let (id, owner_id) = (uid(&set.metadata), controller(&set.metadata).unwrap_or_default());
        let before = self.sets.get(&id).map(|owner| owner.object.clone());
        let was = Figures::of(self, &owner_id, now);
        self.put_set(now, happening, set.clone());
        if happening == Happening::Gone || owner_id.is_empty() {
            return Vec::new();
        }
        let is = Figures::of(self, &owner_id, now);
        let mut found = Vec::new();
        let mut tell = |invariant, message: String| {
            found.push(Violation { invariant, object: named("ReplicaSet", &set.metadata), message });
        };
        let grew = before.as_ref().is_none_or(|before| size(before) < size(&set)) && keeps_its_owner(&before, &set);
        let shrank = before.as_ref().is_some_and(|before| size(before) > size(&set));
        if happening == Happening::Made
            && let Some(message) = self.ended(&owner_id, now)
        {
            tell("INV-5", message);
        }
        if let Some(limits) = self.limits(&owner_id) {
            if grew && is.asked > was.asked && is.asked > limits.most {
                tell("INV-1", format!("{} pods are asked for in all; at most {} may be", is.asked, limits.most));
            }
            if shrank && is.kept < was.kept && is.kept < limits.least {
                let Figures { kept, .. } = is;
                tell(
                    "INV-2",
                    format!("only {kept} available pods are kept of {}; at least {} must be", was.kept, limits.least),
                );
            }
        }
        if happening == Happening::Made {
            for other in self.siblings(&set).filter(|other| template(other) == template(&set)) {
                let name = other.metadata.name.as_deref().unwrap_or_default();
                tell("INV-3", format!("ReplicaSet {name} has the same template"));
            }
        }
        self.judge_revision(before.as_ref(), &set, &mut tell);
        found
    }

    pub(super) fn see_pod(&mut self, now: Timestamp, happening: Happening, pod: Pod) -> Vec<Violation> {
        let owner_id = controller(&pod.metadata).unwrap_or_default();
        let former_owner = self.pods.get(&uid(&pod.metadata)).and_then(|pod| controller(&pod.metadata));
        match happening {
            Happening::Gone => drop(self.pods.remove(&uid(&pod.metadata))),
            _ => drop(self.pods.insert(uid(&pod.metadata), pod.clone())),
        }
        for id in former_owner.iter().chain([&owner_id]) {
            self.note_available(now, id);
        }
        let is_ours = pod.metadata.owner_references.iter().flatten().any(|owner| owner.kind.ends_with("ReplicaSet"));
        if happening != Happening::Made || !is_ours {
            return Vec::new();
        }
        let mut found = Vec::new();
        let mut tell =
            |invariant, message| found.push(Violation { invariant, object: named("Pod", &pod.metadata), message });
        let owner = self.sets.get(&owner_id);
        match owner {
            None => tell("INV-5", format!("its ReplicaSet of uid {owner_id} never was")),
            Some(owner) if owner.has_ended(self.horizon(now)) => tell("INV-5", ended_message(owner.ends)),
            Some(_) => {}
        }
        if let Some(owner) = owner {
            let active =
                i64::try_from(self.pods_of(&owner_id).filter(|pod| is_active(pod)).count()).unwrap_or(i64::MAX);
            let most = owner.asked.values().copied().max().unwrap_or(0);
            if active > most {
                tell("INV-4", format!("its ReplicaSet has {active} pods now; at most {most} were asked for"));
            }
            self.judge_recreate(&owner.object, &mut tell);
        }
        found
    }

    pub(super) fn pods_of(&self, set: &str) -> impl Iterator<Item = &Pod> {
        self.pods.values().filter(move |pod| controller(&pod.metadata).as_deref() == Some(set))
    }

    pub(super) fn sets_of(&self, deployment: &str) -> impl Iterator<Item = &ReplicaSet> {
        let sets = self.sets.values().filter(|owner| !owner.is_gone).map(|owner| &owner.object);
        sets.filter(move |set| controller(&set.metadata).as_deref() == Some(deployment))
    }

    fn siblings(&self, set: &ReplicaSet) -> impl Iterator<Item = &ReplicaSet> {
        let (owner, own) = (controller(&set.metadata).unwrap_or_default(), uid(&set.metadata));
        self.sets.values().filter(|owner| !owner.is_gone).map(|owner| &owner.object).filter(move |other| {
            controller(&other.metadata).as_ref() == Some(&owner)
                && uid(&other.metadata) != own
                && other.metadata.deletion_timestamp.is_none()
        })
    }

    fn put_set(&mut self, now: Timestamp, happening: Happening, set: ReplicaSet) {
        let (id, metadata) = (uid(&set.metadata), set.metadata.clone());
        let generation = metadata.generation.unwrap_or(0);
        let observed = set.status.as_ref().and_then(|status| status.observed_generation).unwrap_or(0);
        let asked = size(&set);
        let owner = self.sets.entry(id.clone()).or_insert_with(|| Owner {
            object: set.clone(),
            asked: BTreeMap::new(),
            ends: None,
            is_gone: false,
        });
        owner.see(set, generation, observed, asked);
        end(owner, now, happening, &metadata);
        self.note_available(now, &id);
    }

    fn note_available(&mut self, now: Timestamp, set: &str) {
        let Some(owner) = self.sets.get(set) else { return };
        let least_age = SignedDuration::from_secs(owner.object.spec.min_ready_seconds.unwrap_or(0).into());
        let counted = self.pods_of(set).filter(|pod| is_available(pod, least_age, now)).count();
        let told = owner.object.status.as_ref().and_then(|status| status.available_replicas).unwrap_or(0);
        let available = i64::try_from(counted).unwrap_or(i64::MAX).max(told.into());
        let horizon = self.horizon(now);
        let known = self.available.entry(set.to_owned()).or_default();
        if known.last().is_none_or(|(_, last)| *last != available) {
            known.push((now, available));
        }
        // The last one before the horizon still was true at it.
        let is_old = |(since, _): &&(Timestamp, i64)| *since < horizon;
        let old = known.iter().take_while(is_old).count();
        known.drain(..old.saturating_sub(1));
    }

    fn limits(&self, deployment: &str) -> Option<Limits> {
        Limits::widest(self.deployments.get(deployment)?.asked.values().map(Limits::of))
    }

    fn ended(&self, deployment: &str, now: Timestamp) -> Option<String> {
        match self.deployments.get(deployment) {
            None => Some(format!("its Deployment of uid {deployment} never was")),
            Some(owner) => owner.has_ended(self.horizon(now)).then(|| ended_message(owner.ends)),
        }
    }

    fn judge_revision(
        &self,
        before: Option<&ReplicaSet>,
        set: &ReplicaSet,
        tell: &mut impl FnMut(&'static str, String),
    ) {
        let (was, is) = (before.and_then(revision), revision(set));
        if was == is {
            return;
        }
        if let (Some(was), Some(is)) = (was, is)
            && is < was
        {
            tell("INV-7", format!("its revision went from {was} to {is}"));
        }
        for other in self.siblings(set).filter(|other| is.is_some() && revision(other) == is) {
            let name = other.metadata.name.as_deref().unwrap_or_default();
            tell("INV-7", format!("ReplicaSet {name} has the same revision {}", is.unwrap_or(0)));
        }
    }

    fn judge_recreate(&self, set: &ReplicaSet, tell: &mut impl FnMut(&'static str, String)) {
        let deployment = controller(&set.metadata).and_then(|id| self.deployments.get(&id));
        if !deployment.is_some_and(|owner| owner.asked.values().all(is_recreate)) {
            return;
        }
        for other in self.siblings(set).filter(|other| template(other) != template(set)) {
            if let Some(pod) = self.pods_of(&uid(&other.metadata)).find(|pod| !is_over(pod)) {
                let name = pod.metadata.name.as_deref().unwrap_or_default();
                tell("INV-6", format!("pod {name} of another template has not ended"));
            }
        }
    }
}

/// What a Deployment's ReplicaSets come to.
#[derive(Clone, Copy, Debug)]
struct Figures {
    /// The sum of their sizes.
    asked: i64,
    /// The available pods that they will not take away.
    kept: i64,
}

impl Figures {
    fn of(ledger: &Ledger, deployment: &str, now: Timestamp) -> Self {
        let (mut figures, horizon) = (Self { asked: 0, kept: 0 }, ledger.horizon(now));
        let is_its = |set: &ReplicaSet| controller(&set.metadata).as_deref() == Some(deployment);
        for owner in ledger.sets.values().filter(|owner| is_its(&owner.object)) {
            // One that is gone may still be counted on for a while, and nothing is asked for it.
            if owner.is_gone && owner.has_ended(horizon) {
                continue;
            }
            let set = &owner.object;
            let known = ledger.available.get(&uid(&set.metadata)).map(Vec::as_slice).unwrap_or_default();
            let recent = known.iter().rposition(|(since, _)| *since < horizon).unwrap_or(0);
            let available = known[recent..].iter().map(|(_, available)| *available).max().unwrap_or(0);
            figures.asked += if owner.is_gone { 0 } else { size(set) };
            figures.kept += size(set).min(available);
        }
        figures
    }
}

/// An adopted ReplicaSet had its size before.
fn keeps_its_owner(before: &Option<ReplicaSet>, set: &ReplicaSet) -> bool {
    before.as_ref().is_none_or(|before| controller(&before.metadata) == controller(&set.metadata))
}

fn end<K, S>(owner: &mut Owner<K, S>, now: Timestamp, happening: Happening, metadata: &ObjectMeta) {
    owner.is_gone = happening == Happening::Gone;
    if owner.is_gone || metadata.deletion_timestamp.is_some() {
        owner.ends.get_or_insert(now);
    }
}

fn ended_message(ends: Option<Timestamp>) -> String {
    format!("its owner is to go since {}", ends.unwrap_or_default())
}

pub(super) fn uid(metadata: &ObjectMeta) -> Uid {
    metadata.uid.clone().unwrap_or_default()
}

fn controller(metadata: &ObjectMeta) -> Option<Uid> {
    let mut owners = metadata.owner_references.iter().flatten();
    owners.find(|owner| owner.controller == Some(true)).map(|owner| owner.uid.clone())
}

pub(super) fn named(kind: &str, metadata: &ObjectMeta) -> String {
    let part = |part: &Option<String>| part.clone().unwrap_or_default();
    format!("{kind} {}/{}", part(&metadata.namespace), part(&metadata.name))
}

pub(super) fn size(set: &ReplicaSet) -> i64 {
    set.spec.replicas.unwrap_or(1).into()
}

fn revision(set: &ReplicaSet) -> Option<i64> {
    set.metadata.annotations.as_ref()?.get(REVISION)?.parse().ok()
}

/// The template as it is written, the hash aside.
fn template(set: &ReplicaSet) -> serde_json::Value {
    let mut template = serde_json::to_value(&set.spec.template).unwrap_or_default();
    if let Some(labels) = template.pointer_mut("/metadata/labels").and_then(serde_json::Value::as_object_mut) {
        labels.remove(HASH_LABEL);
    }
    template
}

fn is_over(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

pub(super) fn is_active(pod: &Pod) -> bool {
    !is_over(pod) && pod.metadata.deletion_timestamp.is_none()
}

fn is_available(pod: &Pod, least_age: SignedDuration, now: Timestamp) -> bool {
    let mut conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    is_active(pod)
        && conditions.any(|condition| {
            let age = condition.last_transition_time.as_ref().map(|since| now.duration_since(since.0));
            condition.type_ == "Ready"
                && condition.status == "True"
                && (least_age.is_zero() || age.is_some_and(|age| age >= least_age))
        })
}
