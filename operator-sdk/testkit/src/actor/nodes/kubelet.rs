//! What looks after the pods of one node, while it has power.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Settings, running::Running, status};
use crate::{
    actor::{
        agenda::Agenda,
        condition::changes_nothing,
        hand::{Failed, Hand},
        kind::Kind,
        sight::{Seen, Sight},
    },
    object::Object,
    simulation::Environment,
};

/// After a failure it is tried again.
const RETRY: Duration = Duration::from_secs(1);

pub(super) struct Kubelet {
    environment: Environment,
    settings: Arc<Settings>,
    hand: Hand,
    sight: Sight,
    /// Pods to be looked at, by their uids.
    agenda: Agenda<String>,
    running: BTreeMap<String, Running>,
    pods: Kind,
    /// Which of the nodes this is.
    number: usize,
    addresses: usize,
    is_rebooted: bool,
}

impl Kubelet {
    pub(super) fn new(
        environment: &Environment,
        settings: &Arc<Settings>,
        hand: &Hand,
        (name, number): (&str, usize),
        is_rebooted: bool,
    ) -> Self {
        let pods = Kind::core("pods", true);
        let mut sight = Sight::of(hand, []);
        sight.follow(pods.clone(), "", &format!("spec.nodeName={name}"));
        Self {
            environment: environment.clone(),
            settings: settings.clone(),
            hand: hand.clone(),
            sight,
            agenda: Agenda::default(),
            running: BTreeMap::new(),
            pods,
            number,
            addresses: 0,
            is_rebooted,
        }
    }

    pub(super) async fn run(mut self) {
        self.sight.settle().await;
        loop {
            tokio::select! {
                biased;
                seen = self.sight.next() => self.see(&seen),
                uid = self.agenda.next() => self.look_after(&uid).await,
            }
        }
    }

    fn see(&mut self, seen: &Seen) {
        let now = self.now();
        let Some(pod) = &seen.after else {
            let gone = seen.before.as_ref().map(|pod| pod.uid()).unwrap_or_default();
            self.running.remove(gone);
            self.agenda.forget(&gone.to_owned());
            return;
        };
        let uid = pod.uid().to_owned();
        match self.running.get_mut(&uid) {
            Some(running) if running.pod.revision() < pod.revision() => running.pod = pod.clone(),
            Some(_) => {}
            None if is_over(pod) && pod["metadata"]["deletionTimestamp"].is_null() => return,
            None => {
                self.addresses += 1;
                let ip = format!("10.244.{}.{}", self.number, self.addresses + 1);
                let running = Running::new(pod.clone(), &self.settings, || ip, self.is_rebooted, now);
                self.running.insert(uid.clone(), running);
            }
        }
        if let Some(running) = self.running.get_mut(&uid) {
            running.stop(&self.settings, now);
        }
        self.agenda.at(Instant::now(), uid);
    }

    async fn look_after(&mut self, uid: &str) {
        let now = self.now();
        let Some(running) = self.running.get_mut(uid) else { return };
        running.advance(now);
        let patch = status::patch(running, &host_ip(self.number), now);
        let (pod, is_over) = (running.pod.clone(), running.is_over());
        let due = running.next_due();
        let told = if changes_nothing(&patch, &pod) { Ok(pod.clone()) } else { self.tell(&pod, &patch).await };
        let done = match told {
            Ok(_) if is_over => self.let_go(&pod).await,
            Ok(pod) => self.keep(pod),
            Err(failed) => Err(failed),
        };
        match done {
            Err(failed) if !(failed.is_gone() || failed.is_conflict()) => {
                self.agenda.at(Instant::now() + RETRY, uid.to_owned());
            }
            _ => {}
        }
        if let Some(due) = due {
            let wait = Duration::try_from(due - self.now()).unwrap_or_default();
            self.agenda.at(Instant::now() + wait, uid.to_owned());
        }
    }

    async fn tell(&self, pod: &Object, patch: &Value) -> Result<Arc<Object>, Failed> {
        self.hand.merge(&self.pods, pod, "status", patch).await
    }

    fn keep(&mut self, pod: Arc<Object>) -> Result<(), Failed> {
        if let Some(running) = self.running.get_mut(pod.uid())
            && running.pod.revision() < pod.revision()
        {
            running.pod = pod;
        }
        Ok(())
    }

    /// The end of a pod that nothing runs of any more.
    async fn let_go(&self, pod: &Object) -> Result<(), Failed> {
        let is_marked = pod["metadata"]["deletionGracePeriodSeconds"] == 0;
        let is_held = pod["metadata"]["finalizers"].as_array().is_some_and(|finalizers| !finalizers.is_empty());
        if is_marked && is_held {
            return Ok(());
        }
        self.hand.delete(&self.pods, pod, json!({ "gracePeriodSeconds": 0 })).await.map(drop)
    }

    fn now(&self) -> Timestamp {
        self.environment.wall()
    }
}

/// The address of a node.
pub(super) fn host_ip(number: usize) -> String {
    format!("172.18.0.{}", number + 1)
}

fn is_over(pod: &Object) -> bool {
    matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
}
