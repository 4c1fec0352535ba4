//! Faults as data: what goes wrong, and when. A plan is a list of them, so it can be enumerated, shrunk, saved and replayed.
//!
//! Only what a correct API server and a real network can do counts against an operator. What they cannot, such as a watch
//! that leaves out an event and goes on, is [hostile](Effect::is_hostile): it tests robustness, and no exploration injects
//! it unasked.

pub(crate) mod injector;

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What goes wrong in a run; empty: nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// In no order: each says when.
    pub faults: Vec<Fault>,
}

/// One thing that goes wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// When.
    pub at: Moment,
    /// What.
    pub effect: Effect,
}

/// When a fault strikes. Numbers begin with 1 and go on over the restarts of a process.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Moment {
    /// At a request of a process that may change something, Leases, Events and reviews of rights aside.
    Write(Place),
    /// At a request of a process of any sort, Leases aside.
    Request(Place),
    /// At a request for a Lease.
    Election(Place),
    /// At an event of a watch, bookmarks and Leases aside.
    Notification(Place),
    /// At a time.
    Time(Time),
}

/// A time, as it concerns a process.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Time {
    /// The process's name; of effects that concern none, empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub process: String,
    /// Since the beginning of the workload.
    pub milliseconds: u64,
}

/// The how-many-eth of which process.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// The process's name.
    pub process: String,
    /// Counted from 1.
    pub number: u32,
}

/// What goes wrong. Those that need a request or an event do nothing elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Effect {
    /// The process dies; the request, if there is one, is not carried out.
    CrashBefore(Outage),
    /// The request is carried out, and the process dies without hearing of it.
    CrashAfter(Outage),
    /// The process is asked to end in good order, and is started again.
    Stop,
    /// The answer to a request gets lost.
    Lost(Loss),
    /// The server refuses a request.
    Refuse(Refusal),
    /// The answer comes, and is no good.
    Garbled(Garbling),
    /// Somebody else writes the object first, without changing what it says.
    Race(Times),
    /// A request arrives so much later, whether or not somebody still waits for it.
    Late(Seconds),
    /// The answer comes so much later.
    Slow(Seconds),
    /// Somebody changes the object that was just written.
    UserEdit(Edit),
    /// Somebody deletes the object that was just written.
    UserDelete,
    /// Somebody deletes the object that was just written, and creates it anew.
    UserRecreate,
    /// The process stands still, while the world goes on.
    Freeze(Seconds),
    /// Nothing gets through between the process and the server.
    Partition(Seconds),
    /// The process's wall clock steps, forth or back.
    ClockStep(Step),
    /// An API server's sight of the store stands still.
    FreezeView(Seconds),
    /// What the process asks from now on goes to a second API server, whose sight of the store has stood still since this
    /// moment; after this long it catches up.
    StaleView(Seconds),
    /// So much later the process dies, and its next life asks a second API server, whose sight of the store has stood still
    /// since this moment, and catches up half a minute after that.
    TimeTravel(Seconds),
    /// The watch ends as at its time-out.
    WatchClose,
    /// The connection of the watch breaks.
    WatchBreak,
    /// Nothing comes any more on this watch.
    WatchHang,
    /// The watch ends with an ERROR event 410.
    WatchExpired,
    /// A line that is no JSON.
    WatchGarbage,
    /// The event comes so much later, and with it all that follow on this watch.
    WatchDelay(Seconds),
    /// All events for so long do not come; then the watch ends with an ERROR event 410.
    WatchGap(Seconds),
    /// The event comes twice.
    WatchTwice,
    /// The event does not come.
    WatchDrop,
    /// Somebody takes the Lease.
    LeaseSteal,
    /// Somebody empties the Lease.
    LeaseEmpty,
    /// Somebody deletes the Lease.
    LeaseDelete,
}

/// How long a process stays down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outage {
    /// Until it is started again.
    pub down_seconds: u64,
}

/// A length of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seconds {
    /// That long.
    pub seconds: u64,
}

/// How far a clock steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Negative: back.
    pub seconds: i64,
}

/// What somebody changes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    /// A JSON merge patch.
    pub merge: String,
}

/// How often.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Times {
    /// At so many in a row.
    pub times: u32,
}

/// How an answer gets lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Loss {
    /// Whether the request is carried out.
    pub is_applied: bool,
    /// What the client sees instead.
    pub seen_as: Seen,
}

/// What a client sees of an answer that got lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Seen {
    /// Nothing, for ever.
    Silence,
    /// A connection that breaks.
    Reset,
    /// 504 `Timeout`, after the 34 seconds that the server allows itself.
    GatewayTimeout,
}

/// How the server refuses.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    /// The HTTP code.
    pub code: u16,
    /// The reason, as in `Conflict`.
    pub reason: String,
    /// In the server's words.
    pub message: String,
    /// `Retry-After`; 0: none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub retry_after_seconds: u32,
    /// At so many in a row.
    pub times: u32,
}

/// What is wrong with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Garbling {
    /// The second half is missing.
    Truncated,
    /// It is a page of HTML, as from a proxy.
    Page,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Plan {
    /// What goes wrong.
    pub fn of(faults: impl IntoIterator<Item = Fault>) -> Self {
        Self { faults: faults.into_iter().collect() }
    }
}

impl Fault {
    /// One thing that goes wrong.
    pub fn new(at: Moment, effect: Effect) -> Self {
        Self { at, effect }
    }
}

impl Moment {
    /// The how-many-eth write of a process.
    pub fn write(process: impl Into<String>, number: u32) -> Self {
        Self::Write(Place { process: process.into(), number })
    }

    /// The how-many-eth request of a process.
    pub fn request(process: impl Into<String>, number: u32) -> Self {
        Self::Request(Place { process: process.into(), number })
    }

    /// The how-many-eth request of a process for a Lease.
    pub fn election(process: impl Into<String>, number: u32) -> Self {
        Self::Election(Place { process: process.into(), number })
    }

    /// The how-many-eth event that a process is told of.
    pub fn notification(process: impl Into<String>, number: u32) -> Self {
        Self::Notification(Place { process: process.into(), number })
    }

    /// So long after the beginning of the workload.
    pub fn time(process: impl Into<String>, milliseconds: u64) -> Self {
        Self::Time(Time { process: process.into(), milliseconds })
    }

    /// Which process it concerns.
    pub fn process(&self) -> &str {
        match self {
            Self::Write(place) | Self::Request(place) | Self::Election(place) | Self::Notification(place) => {
                &place.process
            }
            Self::Time(time) => &time.process,
        }
    }

    /// The same with another number; `None`: it is a time.
    pub(crate) fn numbered(&self, number: u32) -> Option<Self> {
        let mut moment = self.clone();
        match &mut moment {
            Self::Write(place) | Self::Request(place) | Self::Election(place) | Self::Notification(place) => {
                place.number = number;
            }
            Self::Time(_) => return None,
        }
        Some(moment)
    }
}

impl Effect {
    /// The process dies, and is back after a second.
    pub fn crash(is_applied: bool) -> Self {
        let outage = Outage { down_seconds: 1 };
        if is_applied { Self::CrashAfter(outage) } else { Self::CrashBefore(outage) }
    }

    /// The server refuses once.
    pub fn refuse(code: u16, reason: &str, message: &str) -> Self {
        Self::Refuse(Refusal {
            code,
            reason: reason.to_owned(),
            message: message.to_owned(),
            retry_after_seconds: 0,
            times: 1,
        })
    }

    /// At how many in a row it strikes.
    pub fn times(&self) -> u32 {
        match self {
            Self::Refuse(refusal) => refusal.times,
            Self::Race(race) => race.times,
            _ => 1,
        }
    }

    /// Whether no correct server and no real network does it.
    pub fn is_hostile(&self) -> bool {
        matches!(self, Self::WatchDrop | Self::WatchTwice | Self::WatchGarbage)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} at {}", self.effect, self.at)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sort, Place { process, number }) = match self {
            Self::Write(place) => ("write", place),
            Self::Request(place) => ("request", place),
            Self::Election(place) => ("election", place),
            Self::Notification(place) => ("notification", place),
            Self::Time(Time { milliseconds, .. }) => return write!(formatter, "{milliseconds} ms"),
        };
        write!(formatter, "{sort} {number} of {process}")
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // In the words of saved plans.
        formatter.write_str(&words(&serde_json::to_value(self).unwrap_or_default()))
    }
}

/// As in `lost (is_applied true, seen_as silence)`.
fn words(value: &Value) -> String {
    let Value::Object(fields) = value else {
        return value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    };
    let field = |(name, value): (&String, &Value)| match value {
        Value::Object(_) => format!("{name} ({})", words(value)),
        value => format!("{name} {}", words(value)),
    };
    fields.iter().map(field).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_the_same_after_it_was_saved() {
        let plan = Plan::of([
            Fault::new(Moment::write("operator-0", 3), Effect::crash(true)),
            Fault::new(Moment::time("", 1500), Effect::LeaseSteal),
            Fault::new(Moment::request("operator-0", 9), Effect::refuse(409, "Conflict", "somebody: was \"first\"")),
            Fault::new(
                Moment::notification("operator-0", 2),
                Effect::Lost(Loss { is_applied: true, seen_as: Seen::GatewayTimeout }),
            ),
            Fault::new(Moment::election("operator-0", 2), Effect::ClockStep(Step { seconds: -3600 })),
            Fault::new(Moment::election("operator-0", 4), Effect::Garbled(Garbling::Page)),
        ]);
        let text = serde_saphyr::to_string(&plan).unwrap();
        assert_eq!(serde_saphyr::from_str::<Plan>(&text).unwrap(), plan, "{text}");
    }

    #[test]
    fn a_fault_is_told_in_the_words_of_plans() {
        let lost = Effect::Lost(Loss { is_applied: true, seen_as: Seen::GatewayTimeout });
        let told = Fault::new(Moment::write("web", 3), lost).to_string();
        assert_eq!(told, "lost (is_applied true, seen_as gateway_timeout) at write 3 of web");
        assert_eq!(Fault::new(Moment::time("", 1500), Effect::LeaseSteal).to_string(), "lease_steal at 1500 ms");
    }

    #[test]
    fn a_plan_with_a_field_that_does_not_exist_is_refused() {
        assert!(serde_saphyr::from_str::<Plan>("faults: []\nfault: []\n").is_err());
    }
}
