//! Time, as an input that tests can replace.
//!
//! Two readings, never mixed: the wall clock stamps objects, the boot clock measures intervals. The boot clock runs on
//! while the machine sleeps, so a lease is as old after a suspend as it is for everybody else.

use std::{fmt, sync::Arc, time::Duration};

use jiff::Timestamp;

/// A point on the boot clock: time since the machine started, suspends included.
pub type BootTime = Duration;

/// Where time comes from.
pub trait Source: Send + Sync {
    /// The wall clock; may step in either direction.
    fn wall(&self) -> Timestamp;
    /// The boot clock; never steps back.
    fn boot(&self) -> BootTime;
}

/// A shared source of time; [`Clock::system`] unless a test says otherwise.
#[derive(Clone)]
pub struct Clock(Arc<dyn Source>);

impl Clock {
    /// The machine's own clocks.
    pub fn system() -> Self {
        Self::new(System)
    }

    /// A clock that reads `source`.
    pub fn new(source: impl Source + 'static) -> Self {
        Self(Arc::new(source))
    }

    /// The wall clock, for time stamps in objects.
    pub fn wall(&self) -> Timestamp {
        self.0.wall()
    }

    /// The boot clock, for intervals.
    pub fn boot(&self) -> BootTime {
        self.0.boot()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Clock").finish()
    }
}

struct System;

impl Source for System {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
    fn wall(&self) -> Timestamp {
        Timestamp::now()
    }

    fn boot(&self) -> BootTime {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
        let nanoseconds = u32::try_from(now.tv_nsec).unwrap_or(0);
        Duration::new(seconds, nanoseconds)
    }
}

/// A clock that stands still until a test moves it.
#[cfg(test)]
#[derive(Clone, Debug, Default)]
pub(crate) struct ManualClock(Arc<std::sync::atomic::AtomicU64>);

#[cfg(test)]
impl ManualClock {
    pub(crate) fn set(&self, now: BootTime) {
        let nanoseconds = u64::try_from(now.as_nanos()).unwrap();
        self.0.store(nanoseconds, std::sync::atomic::Ordering::SeqCst);
    }
}

#[cfg(test)]
impl Source for ManualClock {
    fn wall(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    fn boot(&self) -> BootTime {
        Duration::from_nanos(self.0.load(std::sync::atomic::Ordering::SeqCst))
    }
}
