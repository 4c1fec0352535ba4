//! A door that tasks wait at while it is shut.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker, ready},
};

use tokio::time::Instant;

/// Open unless it was shut more often than opened.
#[derive(Debug, Default)]
pub(crate) struct Latch(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    shut: usize,
    /// When it was shut, if it is.
    since: Option<Instant>,
    waiting: Vec<Waker>,
}

impl Latch {
    pub(crate) fn shut(&self) {
        let mut state = self.lock();
        state.shut += 1;
        state.since.get_or_insert_with(Instant::now);
    }

    /// Whether it was shut at an earlier instant than this, and still is.
    pub(crate) fn has_been_shut(&self) -> bool {
        self.lock().since.is_some_and(|since| since < Instant::now())
    }

    pub(crate) fn open(&self) {
        let waiting = {
            let mut state = self.lock();
            state.shut = state.shut.saturating_sub(1);
            if state.shut > 0 {
                return;
            }
            state.since = None;
            std::mem::take(&mut state.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn poll_open(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.shut == 0 {
            return Poll::Ready(());
        }
        if !state.waiting.iter().any(|waker| waker.will_wake(context.waker())) {
            state.waiting.push(context.waker().clone());
        }
        Poll::Pending
    }

    pub(crate) async fn opened(&self) {
        poll_fn(|context| self.poll_open(context)).await;
    }

    /// Runs a future, but takes no step of it while the latch is shut.
    pub(crate) async fn hold<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|context| {
            ready!(self.poll_open(context));
            future.as_mut().poll(context)
        })
        .await
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(feature = "sdk")]
impl operator_sdk::task::Gate for Latch {
    fn poll_open(&self, context: &mut Context<'_>) -> Poll<()> {
        Self::poll_open(self, context)
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_opens_when_it_was_opened_as_often_as_shut() {
        let latch = Arc::<Latch>::default();
        latch.shut();
        latch.shut();
        let through = tokio::spawn({
            let latch = Arc::clone(&latch);
            async move { latch.hold(async { 7 }).await }
        });
        latch.open();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!through.is_finished());
        latch.open();
        assert_eq!(through.await.unwrap(), 7);
    }
}
