//! The guard between a process that was the leader a moment ago and the cluster.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::clock::{BootTime, Clock};

/// Until when this process may write. Clones share it.
///
/// # Guarantees
/// No request is allowed that could still be under way when another process may hold the lease: the clock is read at
/// each request, so a process that was stopped for a minute finds the fence closed when it wakes.
#[derive(Clone, Debug)]
pub struct Fence {
    /// Nanoseconds on the boot clock; `u64::MAX` for no limit, 0 for closed.
    valid_until: Arc<AtomicU64>,
    clock: Clock,
}

impl Fence {
    /// Always open: for a process that shares its work with nobody.
    pub fn open(clock: Clock) -> Self {
        Self { valid_until: Arc::new(AtomicU64::new(u64::MAX)), clock }
    }

    /// Closed until [`extend`](Self::extend) is called.
    pub fn closed(clock: Clock) -> Self {
        let fence = Self::open(clock);
        fence.close();
        fence
    }

    /// Writes are safe until `valid_until`.
    pub fn extend(&self, valid_until: BootTime) {
        let nanoseconds = u64::try_from(valid_until.as_nanos()).unwrap_or(u64::MAX - 1);
        self.valid_until.store(nanoseconds, Ordering::SeqCst);
    }

    /// No further write.
    pub fn close(&self) {
        self.valid_until.store(0, Ordering::SeqCst);
    }

    /// True if a request that is given up after `timeout` cannot outlive the lease.
    pub fn allows_request_of(&self, timeout: Duration) -> bool {
        match self.valid_until.load(Ordering::SeqCst) {
            u64::MAX => true,
            nanoseconds => self.clock.boot() + timeout < Duration::from_nanos(nanoseconds),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    #[test]
    fn closes_a_request_time_out_before_the_lease_ends() {
        let time = ManualClock::default();
        let fence = Fence::closed(Clock::new(time.clone()));
        let timeout = Duration::from_secs(5);
        assert!(!fence.allows_request_of(timeout));
        fence.extend(Duration::from_secs(15));
        time.set(Duration::from_millis(9_999));
        assert!(fence.allows_request_of(timeout));
        time.set(Duration::from_secs(10));
        assert!(!fence.allows_request_of(timeout));
    }

    #[test]
    fn stays_closed_once_closed() {
        let fence = Fence::open(Clock::system());
        assert!(fence.allows_request_of(Duration::from_secs(5)));
        fence.close();
        assert!(!fence.allows_request_of(Duration::ZERO));
    }
}
