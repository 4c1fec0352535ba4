//! The work queue: which key to reconcile next, and when to try a failed one again.
//!
//! [`State`] is the whole logic, a pure state machine that is told the time; [`Queue`] is the async shell that wakes
//! workers. Priorities, ageing and an overall rate limit are not here yet.

mod state;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

pub use state::{Next, Retry, State};
use tokio::sync::Notify;

use crate::{backoff::Backoff, client::Mark, clock::Clock, object::Key};

/// A shared queue of keys. Cheap to clone.
///
/// # Guarantees
/// Never two runners for a key; an [`add`](Self::add) while a key runs is followed by another run; delays never end early.
#[derive(Clone, Debug)]
pub struct Queue {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State<Key, Mark>>,
    changed: Notify,
    clock: Clock,
}

impl Queue {
    /// An empty queue.
    pub fn new(clock: Clock, backoff: Backoff) -> Self {
        Self { shared: Arc::new(Shared { state: Mutex::new(State::new(backoff)), changed: Notify::new(), clock }) }
    }

    /// Asks for a run of `key` as soon as a worker is free, because of an event of this mark.
    pub fn add(&self, key: Key, mark: Option<Mark>) {
        self.lock().add(key, mark);
        self.shared.changed.notify_one();
    }

    /// Waits for the next key that is due; `None` once the queue is shut down and empty.
    ///
    /// # Cancel safety
    /// A key is handed out only by the poll that completes: dropping the future before loses nothing.
    pub async fn get(&self) -> Option<Key> {
        loop {
            let next = self.lock().get(self.shared.clock.boot());
            match next {
                Next::Run(key) => return Some(key),
                Next::Ended => return None,
                Next::WaitFor(None) => self.shared.changed.notified().await,
                Next::WaitFor(Some(delay)) => {
                    // The timer counts from now, so it may fire late but never early.
                    let _ = tokio::time::timeout(delay, self.shared.changed.notified()).await;
                }
            }
        }
    }

    /// Ends the run of `key` that [`get`](Self::get) began, and says when it is to run again. Returns that delay.
    pub fn done(&self, key: &Key, retry: Retry<Mark>) -> Option<Duration> {
        let jitter = rand::random();
        let delay = self.lock().done(key, retry, self.shared.clock.boot(), jitter);
        self.shared.changed.notify_one();
        delay
    }

    /// How often in a row `key` has failed.
    pub fn failures(&self, key: &Key) -> u32 {
        self.lock().failures(key)
    }

    /// Keys that are ready or running, not those that wait for a time.
    pub fn depth(&self) -> usize {
        self.lock().depth()
    }

    /// Refuses further work, forgets what waits for a time, and lets [`get`](Self::get) hand out what is ready.
    pub fn shut_down(&self) {
        self.lock().shut_down();
        self.shared.changed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State<Key, Mark>> {
        // Every transition leaves the state whole, so a panic elsewhere does not spoil it.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
