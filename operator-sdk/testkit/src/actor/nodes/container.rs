//! One container over all its runs.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::behaviour::Behaviour;
use crate::actor::{agenda::pause, condition::seconds};

/// A container that ends again and again is started after so long, then after twice as long each time.
const BACK_OFF_MIN: Duration = Duration::from_secs(10);
const BACK_OFF_MAX: Duration = Duration::from_secs(300);
/// One that has run for so long is started at once when it ends.
const BACK_OFF_FORGOTTEN: Duration = Duration::from_secs(600);

#[derive(Clone, Debug)]
pub(super) struct Container {
    pub(super) name: String,
    pub(super) image: String,
    behaviour: Behaviour,
    pub(super) state: State,
    pub(super) restarts: u32,
    last: Option<Exit>,
    back_off: Option<Duration>,
}

#[derive(Clone, Debug)]
pub(super) enum State {
    Creating { until: Timestamp },
    PullFailing,
    Running { since: Timestamp, ready_at: Option<Timestamp>, is_ready: bool, ends_at: Option<Timestamp> },
    BackingOff { until: Timestamp, wait: Duration },
    Ended(Exit),
}

/// How a run ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exit {
    pub(super) code: i32,
    since: Timestamp,
    at: Timestamp,
}

impl Container {
    pub(super) fn new(spec: &Value, behaviour: Behaviour, starts_at: Timestamp) -> Self {
        let text = |field: &str| spec[field].as_str().unwrap_or_default().to_owned();
        let state = State::Creating { until: starts_at };
        let (name, image) = (text("name"), text("image"));
        Self { name, image, behaviour, state, restarts: 0, last: None, back_off: None }
    }

    /// The same as a former kubelet left it; after a reboot nothing runs any more and all is started again.
    pub(super) fn adopt(mut self, status: &Value, is_rebooted: bool, now: Timestamp) -> Self {
        self.restarts = status["restartCount"].as_u64().and_then(|count| count.try_into().ok()).unwrap_or_default();
        let time = |value: &Value| value.as_str().and_then(|time| time.parse::<Timestamp>().ok());
        let state = &status["state"];
        if let Some(since) = time(&state["running"]["startedAt"]) {
            if is_rebooted {
                self.last = Some(Exit { code: 255, since, at: now });
                self.restarts += 1;
                return self;
            }
            self.start(since);
            if let State::Running { is_ready, .. } = &mut self.state {
                *is_ready = status["ready"] == true;
            }
        } else if state["terminated"].is_object() {
            let (since, at) = (time(&state["terminated"]["startedAt"]), time(&state["terminated"]["finishedAt"]));
            let code = state["terminated"]["exitCode"].as_i64().and_then(|code| code.try_into().ok());
            self.end(Exit { code: code.unwrap_or_default(), since: since.unwrap_or(now), at: at.unwrap_or(now) });
        }
        self
    }

    /// Goes on as far as time has; ends are followed by new starts if `restarts` says so for the code.
    pub(super) fn advance(&mut self, now: Timestamp, restarts: impl Fn(i32) -> bool) {
        while self.next_due().is_some_and(|due| due <= now) {
            match &mut self.state {
                State::Creating { until } if self.behaviour.is_pullable => {
                    let until = *until;
                    self.start(until);
                }
                State::Creating { .. } => self.state = State::PullFailing,
                State::BackingOff { until, .. } => {
                    let until = *until;
                    self.restarts += 1;
                    self.start(until);
                }
                State::Running { since, ends_at: Some(ends_at), .. } if *ends_at <= now => {
                    let code = self.behaviour.exits.map_or(0, |(_, code)| code);
                    let exit = Exit { code, since: *since, at: *ends_at };
                    if restarts(code) { self.restart_after(exit) } else { self.end(exit) }
                }
                State::Running { is_ready, .. } => *is_ready = true,
                State::PullFailing | State::Ended(_) => return,
            }
        }
    }

    /// When it goes on by itself.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        match &self.state {
            State::Creating { until } | State::BackingOff { until, .. } => Some(*until),
            State::Running { ready_at, is_ready, ends_at, .. } => {
                ready_at.filter(|_| !is_ready).into_iter().chain(*ends_at).min()
            }
            State::PullFailing | State::Ended(_) => None,
        }
    }

    pub(super) fn is_ready(&self) -> bool {
        matches!(self.state, State::Running { is_ready: true, .. })
    }

    /// Ends with this code, if it runs.
    pub(super) fn stop(&mut self, code: i32, now: Timestamp) {
        let since = match &self.state {
            State::Running { since, .. } => *since,
            State::Ended(_) => return,
            _ => now,
        };
        self.end(Exit { code, since, at: now });
    }

    /// What it has run to if it does not run: the code of its last end.
    pub(super) fn code(&self) -> Option<i32> {
        match &self.state {
            State::Ended(exit) => Some(exit.code),
            State::BackingOff { .. } => self.last.map(|exit| exit.code),
            _ => None,
        }
    }

    pub(super) fn status(&self, pod: &str) -> Value {
        let is_running = matches!(self.state, State::Running { .. });
        let last = self.last.map_or_else(|| json!({}), |exit| json!({ "terminated": exit.status(self.restarts) }));
        let is_pulled = !matches!(self.state, State::Creating { .. } | State::PullFailing);
        let mut status = json!({
            "name": self.name,
            "image": self.image,
            "imageID": if is_pulled { format!("{}@sha256:{:064}", self.image, 0) } else { String::new() },
            "restartCount": self.restarts,
            "ready": self.is_ready(),
            "started": is_running,
            "state": self.state_status(pod),
            "lastState": last,
        });
        if is_pulled {
            status["containerID"] = format!("containerd://{}-{}", self.name, self.restarts).into();
        }
        status
    }

    fn state_status(&self, pod: &str) -> Value {
        let waiting = |reason: &str, message: String| json!({ "waiting": { "reason": reason, "message": message } });
        match &self.state {
            State::Creating { .. } => json!({ "waiting": { "reason": "ContainerCreating" } }),
            State::PullFailing => {
                waiting("ImagePullBackOff", format!("Back-off pulling image {:?}: not found", self.image))
            }
            State::Running { since, .. } => json!({ "running": { "startedAt": seconds(*since) } }),
            State::BackingOff { wait, .. } => {
                let (wait, name) = (go_duration(*wait), &self.name);
                waiting("CrashLoopBackOff", format!("back-off {wait} restarting failed container={name} pod={pod}"))
            }
            State::Ended(exit) => json!({ "terminated": exit.status(self.restarts) }),
        }
    }

    fn start(&mut self, at: Timestamp) {
        let ready_at = self.behaviour.readies.as_ref().map(|span| at + pause(span));
        let ends_at = self.behaviour.exits.map(|(runs, _)| at + runs);
        self.state = State::Running { since: at, ready_at, is_ready: ready_at == Some(at), ends_at };
    }

    /// The first time at once.
    fn restart_after(&mut self, exit: Exit) {
        self.last = Some(exit);
        let ran = Duration::try_from(exit.at - exit.since).unwrap_or_default();
        match self.back_off.filter(|_| ran < BACK_OFF_FORGOTTEN) {
            None => {
                self.back_off = Some(BACK_OFF_MIN);
                self.restarts += 1;
                self.start(exit.at);
            }
            Some(wait) => {
                self.back_off = Some((wait * 2).min(BACK_OFF_MAX));
                self.state = State::BackingOff { until: exit.at + wait, wait };
            }
        }
    }

    fn end(&mut self, exit: Exit) {
        self.state = State::Ended(exit);
    }
}

impl Exit {
    fn status(&self, run: u32) -> Value {
        let reason = match self.code {
            0 => "Completed",
            255 => "Unknown",
            _ => "Error",
        };
        json!({
            "exitCode": self.code,
            "reason": reason,
            "startedAt": seconds(self.since),
            "finishedAt": seconds(self.at),
            "containerID": format!("containerd://{run}"),
        })
    }
}

/// As Go writes it, without fractions.
fn go_duration(wait: Duration) -> String {
    let (minutes, seconds) = (wait.as_secs() / 60, wait.as_secs() % 60);
    if minutes > 0 { format!("{minutes}m{seconds}s") } else { format!("{seconds}s") }
}
