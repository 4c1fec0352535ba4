//! The tasks of a process, which a host may hold still.
//!
//! A process that is stopped (a suspended machine, a debugger, a starved container) goes on later as if nothing had been,
//! while its lease ran out. A simulation shows what then happens: it runs an operator behind a [`Gate`], and every task
//! that the operator begins goes through the same gate. Without one, which is the rule, a task is what it is elsewhere.
//!
//! A simulated run is also to be repeated exactly, so every `select!` of this crate is `biased`: tokio draws the branch that
//! is looked at first from a generator that no program can seed.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures::future::Either;

/// What a task has to pass at each of its steps.
pub trait Gate: Send + Sync {
    /// Ready to let the task take a step; pending to hold it, and then the gate wakes it when it opens.
    fn poll_open(&self, context: &mut Context<'_>) -> Poll<()>;
}

tokio::task_local! {
    static GATE: Arc<dyn Gate>;
}

/// Runs `future`, and each task that the framework begins within it, behind `gate`.
pub fn behind<F: Future>(gate: Arc<dyn Gate>, future: F) -> impl Future<Output = F::Output> {
    let held = Arc::clone(&gate);
    let passing = async move {
        let mut future = pin!(future);
        poll_fn(|context| {
            ready!(held.poll_open(context));
            future.as_mut().poll(context)
        })
        .await
    };
    GATE.scope(gate, passing)
}

/// What a task of this process is to be spawned as: `future`, behind the gate of the task that begins it.
pub(crate) fn of_process<F: Future>(future: F) -> impl Future<Output = F::Output> {
    match GATE.try_with(Arc::clone) {
        Ok(gate) => Either::Left(behind(gate, future)),
        Err(_) => Either::Right(future),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    };
    use std::{task::Waker, time::Duration};

    use tokio::task::JoinSet;

    use super::*;

    #[derive(Default)]
    struct Door {
        is_shut: AtomicBool,
        waiting: Mutex<Vec<Waker>>,
    }

    impl Gate for Door {
        fn poll_open(&self, context: &mut Context<'_>) -> Poll<()> {
            if !self.is_shut.load(Ordering::SeqCst) {
                return Poll::Ready(());
            }
            self.waiting.lock().unwrap().push(context.waker().clone());
            Poll::Pending
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_gate_holds_the_task_and_those_that_it_began_and_they_go_on_when_it_opens() {
        let (door, steps) = (Arc::<Door>::default(), Arc::<AtomicU32>::default());
        let count = |steps: &Arc<AtomicU32>| {
            let steps = Arc::clone(steps);
            async move {
                loop {
                    steps.fetch_add(1, Ordering::SeqCst);
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        };
        let (own, childs) = (count(&steps), count(&steps));
        let process = async move {
            let mut tasks = JoinSet::new();
            tasks.spawn(of_process(async move {
                let mut below = JoinSet::new();
                below.spawn(of_process(childs));
                below.join_all().await
            }));
            own.await;
        };
        tokio::spawn(behind(door.clone(), process));
        tokio::time::sleep(Duration::from_millis(1500)).await;
        assert_eq!(steps.load(Ordering::SeqCst), 4);
        door.is_shut.store(true, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(steps.load(Ordering::SeqCst), 4);
        door.is_shut.store(false, Ordering::SeqCst);
        door.waiting.lock().unwrap().drain(..).for_each(Waker::wake);
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(steps.load(Ordering::SeqCst), 6, "what fell due meanwhile happens once, now");
    }
}
