//! A pod on its node, from its start to its end.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use serde_json::Value;

use super::{
    Settings,
    container::{Container, State},
};
use crate::{
    actor::{agenda::pause, condition::seconds},
    object::Object,
};

/// A container that does not end in time ends with this.
const KILLED: i32 = 137;

/// A pod on its node.
#[derive(Clone, Debug)]
pub(super) struct Running {
    /// As it was told or written last.
    pub(super) pod: Arc<Object>,
    pub(super) containers: Vec<Container>,
    pub(super) ip: String,
    pub(super) started: String,
    stop: Option<Stop>,
}

/// How a pod goes.
#[derive(Clone, Copy, Debug)]
struct Stop {
    told_at: Timestamp,
    takes: Duration,
    ends_at: Timestamp,
}

/// In what phase a pod is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Pending,
    Running,
    Succeeded,
    Failed,
}

impl Running {
    /// One that is new to this kubelet.
    pub(super) fn new(
        pod: Arc<Object>,
        settings: &Settings,
        new_ip: impl FnOnce() -> String,
        is_rebooted: bool,
        now: Timestamp,
    ) -> Self {
        let starts_at = now + pause(&settings.starts);
        let statuses = &pod["status"]["containerStatuses"];
        let made = |spec: &Value| {
            let behaviour = settings.behaviour(spec["image"].as_str().unwrap_or_default());
            let mut known = statuses.as_array().into_iter().flatten();
            let container = Container::new(spec, behaviour, starts_at);
            match known.find(|status| status["name"] == spec["name"]) {
                Some(status) => container.adopt(status, is_rebooted, now),
                None => container,
            }
        };
        let containers = pod["spec"]["containers"].as_array().into_iter().flatten().map(made).collect();
        let started = pod["status"]["startTime"].as_str().map_or_else(|| seconds(now), str::to_owned);
        let ip = pod["status"]["podIP"].as_str().filter(|ip| !ip.is_empty());
        Self { ip: ip.map_or_else(new_ip, str::to_owned), containers, started, stop: None, pod }
    }

    /// Ends it within its grace; less grace than before ends it sooner.
    pub(super) fn stop(&mut self, settings: &Settings, now: Timestamp) {
        let metadata = &self.pod["metadata"];
        if metadata["deletionTimestamp"].is_null() {
            return;
        }
        let grace = metadata["deletionGracePeriodSeconds"].as_u64().map(Duration::from_secs).unwrap_or_default();
        let (told_at, takes) = match self.stop {
            Some(stop) => (stop.told_at, stop.takes),
            None => (now, pause(&settings.stops)),
        };
        let ends_at = told_at + takes.min(grace);
        self.stop = Some(Stop { told_at, takes, ends_at: ends_at.max(now) });
    }

    pub(super) fn advance(&mut self, now: Timestamp) {
        if let Some(stop) = self.stop.filter(|stop| stop.ends_at <= now) {
            let code = if stop.told_at + stop.takes > stop.ends_at { KILLED } else { 0 };
            self.containers.iter_mut().for_each(|container| container.stop(code, stop.ends_at));
            return;
        }
        let policy = self.pod["spec"]["restartPolicy"].as_str().unwrap_or("Always").to_owned();
        let is_stopping = self.stop.is_some();
        let restarts = |code: i32| !is_stopping && (policy == "Always" || policy == "OnFailure" && code != 0);
        self.containers.iter_mut().for_each(|container| container.advance(now, restarts));
    }

    /// When something happens by itself.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        let dues = self.containers.iter().filter_map(Container::next_due);
        dues.chain(self.stop.filter(|_| !self.is_over()).map(|stop| stop.ends_at)).min()
    }

    /// Told to go, and nothing of it runs any more.
    pub(super) fn is_over(&self) -> bool {
        let has_ended = |container: &Container| matches!(container.state, State::Ended(_));
        self.stop.is_some() && self.containers.iter().all(has_ended)
    }

    pub(super) fn phase(&self) -> Phase {
        let is_waiting = |container: &Container| matches!(container.state, State::Creating { .. } | State::PullFailing);
        let codes: Vec<i32> = self.containers.iter().filter_map(Container::code).collect();
        let (is_running, is_failed) = (codes.len() < self.containers.len(), codes.iter().any(|code| *code != 0));
        let policy = self.pod["spec"]["restartPolicy"].as_str();
        match (self.is_over(), is_failed) {
            (true, true) => Phase::Failed,
            (true, false) => Phase::Succeeded,
            _ if self.containers.iter().any(is_waiting) => Phase::Pending,
            _ if is_running => Phase::Running,
            (_, false) if matches!(policy, Some("Never" | "OnFailure")) => Phase::Succeeded,
            (_, true) if policy == Some("Never") => Phase::Failed,
            _ => Phase::Running,
        }
    }
}

impl Phase {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Running => "Running",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
        }
    }
}
