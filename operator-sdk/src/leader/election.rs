//! The rules of the election, without requests and without a clock.

use std::time::Duration;

use crate::{client::REQUEST_TIMEOUT, clock::BootTime};

/// How long everything takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// A lease unchanged for so long may be taken. Default 15 s.
    pub lease_duration: Duration,
    /// A leader that could not renew for so long gives up. Default 10 s.
    pub renew_deadline: Duration,
    /// Time between renewals, and between attempts after an error. Default 2 s.
    pub retry_period: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            lease_duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            retry_period: Duration::from_secs(2),
        }
    }
}

/// A choice of times that would let two processes lead, or one lose its lease for nothing.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimingError {
    /// A leader would go on after its lease has ended.
    #[error("--lease-duration-seconds must be greater than --renew-deadline-seconds")]
    LeaseTooShort,
    /// One failed renewal would end the leadership.
    #[error("--renew-deadline-seconds must be greater than 1.2 times --retry-period-seconds")]
    DeadlineTooShort,
    /// A write is sent only if it must have ended before the lease does.
    #[error("--lease-duration-seconds must be greater than --retry-period-seconds and the {} s of a request together", REQUEST_TIMEOUT.as_secs())]
    NoTimeToWrite,
    /// The lease's field holds whole seconds.
    #[error("--retry-period-seconds must be at least 1")]
    PeriodTooShort,
}

impl Timing {
    /// Checks that the times fit together.
    ///
    /// # Errors
    /// Names the flags that do not.
    pub fn check(self) -> Result<Self, TimingError> {
        if self.lease_duration <= self.renew_deadline {
            return Err(TimingError::LeaseTooShort);
        }
        if self.renew_deadline <= self.retry_period.mul_f64(1.2) {
            return Err(TimingError::DeadlineTooShort);
        }
        if self.retry_period < Duration::from_secs(1) {
            return Err(TimingError::PeriodTooShort);
        }
        if self.lease_duration <= self.retry_period + REQUEST_TIMEOUT {
            return Err(TimingError::NoTimeToWrite);
        }
        Ok(self)
    }

    /// Each request is given up after this long, so that a deadline leaves room for a second attempt.
    pub fn request_timeout(self) -> Duration {
        (self.renew_deadline / 2).clamp(Duration::from_secs(1), Duration::from_secs(5))
    }
}

/// What a Lease says, as far as it matters to the election.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Empty after a release.
    pub holder: String,
    /// How long the holder asks the others to wait.
    pub duration: Duration,
    /// The holder's own time stamp; only its changing matters.
    pub renewed: Option<jiff::Timestamp>,
    /// Changes of holder so far.
    pub transitions: i32,
}

/// What a standby may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nobody holds the lease, or its holder has let it lapse.
    Free,
    /// Somebody holds it for this much longer, unless it changes.
    Held(Duration),
}

/// A standby's view of a Lease: what it last said and since when, on the local clock.
#[derive(Clone, Debug, Default)]
pub struct Observation {
    last: Option<(Record, BootTime)>,
}

impl Observation {
    /// Takes in what the Lease says at `now`; `None` if there is no Lease. One that somebody deleted still runs its time
    /// out: its holder may not have noticed.
    pub fn observe(&mut self, record: Option<Record>, now: BootTime) {
        match record {
            Some(record) if self.last.as_ref().is_some_and(|(last, _)| *last == record) => {}
            Some(record) => self.last = Some((record, now)),
            None => {}
        }
    }

    /// Whether the lease may be taken at `now`.
    pub fn standing(&self, now: BootTime) -> Standing {
        match &self.last {
            Some((record, since)) if !record.holder.is_empty() => {
                let expires = *since + record.duration;
                if expires <= now { Standing::Free } else { Standing::Held(expires - now) }
            }
            _ => Standing::Free,
        }
    }
}

/// A leader's own lease.
#[derive(Clone, Copy, Debug)]
pub struct Tenure {
    timing: Timing,
    /// When the last request that succeeded was sent.
    sent: BootTime,
}

impl Tenure {
    /// Begins, or goes on, with a request that was sent at `sent` and succeeded.
    pub fn since(timing: Timing, sent: BootTime) -> Self {
        Self { timing, sent }
    }

    /// Nobody else takes the lease before this time: the others count from when they saw the write, which is later.
    pub fn valid_until(&self) -> BootTime {
        self.sent + self.timing.lease_duration
    }

    /// Not renewed by then, the leader gives up.
    pub fn give_up_at(&self) -> BootTime {
        self.sent + self.timing.renew_deadline
    }

    /// When to renew next.
    pub fn renew_at(&self) -> BootTime {
        self.sent + self.timing.retry_period
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> BootTime {
        Duration::from_secs(seconds)
    }

    fn record(holder: &str, transitions: i32) -> Record {
        Record { holder: holder.to_owned(), duration: at(15), renewed: None, transitions }
    }

    #[test]
    fn a_foreign_lease_expires_only_after_its_own_duration_unchanged_here() {
        let mut observation = Observation::default();
        observation.observe(Some(record("other", 0)), at(100));
        assert_eq!(observation.standing(at(114)), Standing::Held(at(1)));
        observation.observe(Some(record("other", 0)), at(114));
        assert_eq!(observation.standing(at(115)), Standing::Free, "seeing it again is no change");
    }

    #[test]
    fn every_change_starts_the_wait_anew_whatever_its_time_stamp_says() {
        let mut observation = Observation::default();
        let mut renewed = record("other", 0);
        observation.observe(Some(renewed.clone()), at(100));
        renewed.renewed = Some(jiff::Timestamp::UNIX_EPOCH);
        observation.observe(Some(renewed), at(110));
        assert_eq!(observation.standing(at(120)), Standing::Held(at(5)));
    }

    #[test]
    fn a_released_lease_is_free_at_once_and_a_deleted_one_runs_out() {
        let mut observation = Observation::default();
        assert_eq!(observation.standing(at(0)), Standing::Free);
        observation.observe(Some(record("", 3)), at(0));
        assert_eq!(observation.standing(at(0)), Standing::Free);
        observation.observe(Some(record("other", 4)), at(0));
        observation.observe(None, at(1));
        assert_eq!(observation.standing(at(14)), Standing::Held(at(1)));
        assert_eq!(observation.standing(at(15)), Standing::Free);
    }

    #[test]
    fn a_leader_stops_before_anybody_who_saw_its_last_renewal_can_begin() {
        // The request is sent at 10, arrives at any time later, and the standby sees it later still.
        let tenure = Tenure::since(Timing::default(), at(10));
        for seen in 10..30 {
            let mut observation = Observation::default();
            observation.observe(Some(record("me", 0)), at(seen));
            for now in 0..60 {
                if observation.standing(at(now)) == Standing::Free && now >= seen {
                    assert!(at(now) >= tenure.valid_until(), "overlap: seen {seen}, taken {now}");
                }
            }
        }
        assert!(tenure.give_up_at() < tenure.valid_until());
    }

    #[test]
    fn times_that_do_not_fit_are_refused_by_name() {
        let timing = Timing::default();
        let short_lease = Timing { lease_duration: at(10), ..timing };
        assert_eq!(short_lease.check(), Err(TimingError::LeaseTooShort));
        let short_deadline = Timing { renew_deadline: at(2), ..timing };
        assert_eq!(short_deadline.check(), Err(TimingError::DeadlineTooShort));
        let second = Duration::from_secs(1);
        let hasty = Timing { lease_duration: 5 * second, renew_deadline: 4 * second, retry_period: second };
        assert_eq!(hasty.check(), Err(TimingError::NoTimeToWrite));
        assert_eq!(timing.check(), Ok(timing));
    }
}
