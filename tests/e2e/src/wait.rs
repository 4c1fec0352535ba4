//! Waiting for a condition: poll it until it holds or a deadline passes. The error says what was waited for and what
//! was last seen, so that a failed test explains itself.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// What one look at the condition found.
#[derive(Debug)]
pub enum Seen<T> {
    /// The condition holds; the wait ends with this value.
    Done(T),
    /// It does not hold yet; the text says what was seen instead.
    NotYet(String),
}

impl Seen<()> {
    /// `Done` if `holds`, else `NotYet` with what was seen.
    pub fn when(holds: bool, otherwise: impl Into<String>) -> Self {
        if holds { Self::Done(()) } else { Self::NotYet(otherwise.into()) }
    }
}

/// Looks at a condition until it holds. An error of a look counts as "not yet": API servers restart in these tests.
///
/// # Errors
/// When `limit` has passed: what was waited for, for how long, and what was last seen.
pub async fn until<T>(what: &str, limit: Duration, mut look: impl AsyncFnMut() -> Result<Seen<T>>) -> Result<T> {
    let started = Instant::now();
    let mut last = String::from("nothing yet");
    loop {
        let left = limit.saturating_sub(started.elapsed());
        if left.is_zero() {
            bail!("waited {} s for {what}; last seen: {last}", limit.as_secs_f32());
        }
        // A look that hangs (a node that is paused, a server that is gone) must not outlive the deadline.
        match tokio::time::timeout(left, look()).await {
            Ok(Ok(Seen::Done(value))) => return Ok(value),
            Ok(Ok(Seen::NotYet(seen))) => last = seen,
            Ok(Err(error)) => last = format!("{error:#}"),
            Err(_) => last = format!("no answer within the deadline; before that: {last}"),
        }
        tokio::time::sleep(POLL_INTERVAL.min(limit.saturating_sub(started.elapsed()))).await;
    }
}

/// Checks that a condition holds at every look during `period`.
///
/// # Errors
/// The first look at which it does not hold, or that fails.
pub async fn throughout(what: &str, period: Duration, mut look: impl AsyncFnMut() -> Result<Seen<()>>) -> Result<()> {
    let started = Instant::now();
    while started.elapsed() < period {
        if let Seen::NotYet(seen) = look().await? {
            bail!("{what} did not hold after {} s: {seen}", started.elapsed().as_secs_f32());
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_condition_that_holds_later_ends_the_wait() {
        let mut looks = 0;
        let found = until("the third look", Duration::from_secs(5), async || {
            looks += 1;
            Ok(if looks == 3 { Seen::Done(looks) } else { Seen::NotYet(looks.to_string()) })
        })
        .await;
        assert_eq!(found.unwrap(), 3);
    }

    #[tokio::test]
    async fn the_error_says_what_was_last_seen() {
        let error =
            until::<()>("a miracle", Duration::from_millis(150), async || Ok(Seen::NotYet("2 of 3 pods ready".into())))
                .await
                .unwrap_err();
        let text = error.to_string();
        assert!(text.contains("a miracle") && text.contains("2 of 3 pods ready"), "{text}");
    }

    #[tokio::test]
    async fn a_look_that_hangs_does_not_outlive_the_deadline() {
        let started = Instant::now();
        let look = async || -> Result<Seen<()>> { std::future::pending().await };
        assert!(until("an answer", Duration::from_millis(100), look).await.is_err());
        assert!(started.elapsed() < Duration::from_secs(5));
    }

    #[tokio::test]
    async fn throughout_fails_at_the_first_look_that_does_not_hold() {
        let mut looks = 0;
        let result = throughout("calm", Duration::from_secs(5), async || {
            looks += 1;
            Ok(Seen::when(looks < 3, "storm"))
        })
        .await;
        assert!(result.unwrap_err().to_string().contains("storm"));
    }
}
