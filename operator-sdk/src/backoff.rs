//! How long a failed key waits: exponential, bounded, jittered.

use std::time::Duration;

/// Per-key exponential back-off, after client-go's `ItemExponentialFailureRateLimiter`, with jitter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The delay after the first failure. Default 5 ms.
    pub base: Duration,
    /// No delay is longer. Default 1000 s.
    pub max: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { base: Duration::from_millis(5), max: Duration::from_secs(1000) }
    }
}

impl Backoff {
    /// The delay after `failures` failures in a row (at least 1): between a half and the whole of `base · 2^(failures−1)`,
    /// as `jitter` in 0..1 says.
    pub fn delay(&self, failures: u32, jitter: f64) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let whole = self.base.saturating_mul(1 << doublings).min(self.max);
        whole.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_maximum() {
        let backoff = Backoff::default();
        assert_eq!(backoff.delay(1, 1.0), Duration::from_millis(5));
        assert_eq!(backoff.delay(4, 1.0), Duration::from_millis(40));
        assert_eq!(backoff.delay(400, 1.0), Duration::from_secs(1000));
    }

    #[test]
    fn jitter_takes_away_at_most_half() {
        assert_eq!(Backoff::default().delay(2, 0.0), Duration::from_millis(5));
    }
}
