//! Who led when, and who wrote when: from the record of a run alone.

use jiff::{SignedDuration, Timestamp};
use operator_testkit::record::{Record, Requested};
use serde_json::Value;

/// How long a lease is good, and a request may take, by our defaults.
const LEASE: SignedDuration = SignedDuration::from_secs(15);
const REQUEST: SignedDuration = SignedDuration::from_secs(5);

/// What came of a run.
pub(crate) struct Judged {
    /// Writes that were sent by one while the Lease named another.
    pub(crate) overlaps: usize,
    /// From one process to another.
    pub(crate) hand_overs: u64,
    /// How far the work has come.
    pub(crate) number: u64,
    /// What must not be.
    pub(crate) broken: Vec<String>,
}

/// The Lease, from one write of it to the next.
struct Hold {
    since: Timestamp,
    /// The process; empty: nobody.
    holder: String,
    /// When the holder sent this write; `None`: somebody else made it.
    sent: Option<Timestamp>,
}

impl Judged {
    pub(crate) fn of(record: &Record) -> Self {
        let holds = holds(record);
        let mut judged = Self { overlaps: 0, hand_overs: 0, number: 0, broken: Vec::new() };
        judged.see_hand_overs(&holds);
        for write in record.requests.iter().filter(|request| request.counted.write.is_some()) {
            judged.see_write(write, &holds);
        }
        judged.see_work(record);
        judged
    }

    /// Nobody takes the lease of another before it has run out, counted from when its last renewal was sent.
    fn see_hand_overs(&mut self, holds: &[Hold]) {
        for pair in holds.windows(2) {
            let [former, next] = pair else { continue };
            let (Some(sent), Some(_)) = (former.sent, next.sent) else { continue };
            if former.holder == next.holder || next.holder.is_empty() {
                continue;
            }
            self.hand_overs += 1;
            let left = (sent + LEASE).duration_since(next.since);
            if !former.holder.is_empty() && left.is_positive() {
                let Hold { holder, since, .. } = next;
                self.broken
                    .push(format!("{since}: {holder} takes the lease {left:#} before that of {} ends", former.holder));
            }
        }
    }

    fn see_write(&mut self, write: &Requested, holds: &[Hold]) {
        let own = |hold: &&Hold| *hold.holder == *write.process;
        let until_now = || holds.iter().take_while(|hold| hold.since <= write.sent);
        let last_own = until_now().enumerate().filter(|(_, hold)| own(hold) && hold.sent.is_some()).last();
        let Some(latest) = until_now().last() else {
            return self.broken.push(format!("nobody leads yet: {write}"));
        };
        let renewed = until_now().filter(own).filter_map(|hold| hold.sent).max();
        match renewed {
            None => self.broken.push(format!("it never led: {write}")),
            Some(renewed) if write.sent.duration_since(renewed) > LEASE - REQUEST => {
                self.broken.push(format!("its lease was renewed at {renewed} last: {write}"));
            }
            Some(_) => {}
        }
        // After a stranger has written or deleted it, the Lease says nothing of what its holder knows.
        let is_meddled_with = until_now().skip(last_own.map_or(0, |(index, _)| index)).any(|hold| hold.sent.is_none());
        if !own(&latest) && !latest.holder.is_empty() && !is_meddled_with {
            self.overlaps += 1;
            self.broken.push(format!("{} leads since {}: {write}", latest.holder, latest.since));
        }
    }

    /// Each change raises the number by one: what was decided on old news never came through.
    fn see_work(&mut self, record: &Record) {
        for commit in record.commits.iter().filter(|commit| commit.key.name() == "work") {
            let number =
                commit.after.value()["data"]["number"].as_str().and_then(|text| text.parse().ok()).unwrap_or(0);
            if number > 0 && number != self.number + 1 {
                self.broken.push(format!("{}: {} became {number}", commit.time, self.number));
            }
            self.number = number;
        }
    }
}

fn holds(record: &Record) -> Vec<Hold> {
    let leases = record.commits.iter().filter(|commit| *commit.collection.plural == *"leases");
    let hold = |commit: &std::sync::Arc<operator_testkit::store::Commit>| {
        let request = record.requests.iter().find(|request| request.id == commit.request);
        let holder = match &commit.after.value()["spec"]["holderIdentity"] {
            Value::String(identity) => identity.split('_').next().unwrap_or_default().to_owned(),
            _ => String::new(),
        };
        let is_own = request.is_some_and(|request| *request.process == *holder || holder.is_empty());
        Hold { since: commit.time, holder, sent: request.filter(|_| is_own).map(|request| request.sent) }
    };
    leases.map(hold).collect()
}
