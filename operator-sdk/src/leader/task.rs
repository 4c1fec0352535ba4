//! The requests of the election: wait, take, renew, give up.

#![expect(clippy::disallowed_methods, reason = "the Lease is written with rules and time-outs of its own")]

use std::future::Future;

use futures::{StreamExt, TryStreamExt, future, stream::BoxStream};
use k8s_openapi::api::coordination::v1::Lease;
use kube::{
    Api,
    api::{PostParams, WatchEvent, WatchParams},
};
use tokio::sync::{oneshot, watch};
use tracing::{error, info, warn};

use super::{
    Heartbeat, Options, Phase,
    election::{Observation, Standing, Tenure},
    lease,
};
use crate::{
    client::Fence,
    clock::{BootTime, Clock},
};

pub(super) struct Task {
    pub(super) options: Options,
    pub(super) clock: Clock,
    pub(super) fence: Fence,
    pub(super) heartbeat: Heartbeat,
    pub(super) phase: watch::Sender<Phase>,
}

/// A held lease: the object as last written, and until when it is good.
struct Held {
    lease: Lease,
    tenure: Tenure,
}

type Changes = BoxStream<'static, kube::Result<WatchEvent<Lease>>>;

impl Task {
    pub(super) async fn run(self, mut release: oneshot::Receiver<()>) {
        let api = match self.options.connector.connect().await {
            Ok(client) => Api::<Lease>::namespaced(client, &self.options.namespace),
            Err(error) => {
                error!(%error, "leader election has no connection");
                self.phase.send_replace(Phase::Lost);
                return;
            }
        };
        let acquired = tokio::select! {
            biased;
            held = self.acquire(&api) => Some(held),
            _ = &mut release => None,
        };
        let Some(held) = acquired else { return };
        self.fence.extend(held.tenure.valid_until());
        self.phase.send_replace(Phase::Leading);
        info!(identity = %self.options.identity, "became the leader");
        let lost = tokio::select! {
            biased;
            reason = self.keep(&api, held) => Some(reason),
            _ = &mut release => None,
        };
        // The flag goes first, so that nothing new begins; then the outside world hears of it.
        self.fence.close();
        self.phase.send_replace(Phase::Lost);
        match lost {
            Some(reason) => error!(reason, "lost the leadership"),
            None => self.give_up(&api).await,
        }
    }

    /// Waits until the lease is free, and takes it.
    async fn acquire(&self, api: &Api<Lease>) -> Held {
        let mut observation = Observation::default();
        let mut changes: Option<Changes> = None;
        loop {
            let current = match self.timed(api.get_opt(&self.options.name)).await {
                Ok(current) => current,
                Err(error) => {
                    warn!(%error, "failed to read the lease");
                    self.pause().await;
                    continue;
                }
            };
            observation.observe(current.as_ref().map(lease::record), self.clock.boot());
            let is_ours = current.as_ref().is_some_and(|lease| lease::record(lease).holder == self.options.identity);
            match observation.standing(self.clock.boot()) {
                // Ours without our knowing: the answer to our own request was lost.
                Standing::Held(_) if is_ours => {}
                Standing::Free => {}
                Standing::Held(_) => {
                    if changes.is_none() {
                        let version = current.and_then(|lease| lease.metadata.resource_version);
                        changes = self.changes(api, version.as_deref().unwrap_or("0")).await;
                    }
                    self.wait_for_change(&mut changes, &mut observation).await;
                    continue;
                }
            }
            match self.write(api, current).await {
                Ok(held) => return held,
                Err(error) => {
                    info!(%error, "did not get the lease");
                    let jitter: f64 = rand::random();
                    tokio::time::sleep(self.options.timing.retry_period.mul_f64(jitter)).await;
                }
            }
        }
    }

    /// Follows the lease until it is free, or until the watch can say no more.
    async fn wait_for_change(&self, changes: &mut Option<Changes>, observation: &mut Observation) {
        while let Standing::Held(left) = observation.standing(self.clock.boot()) {
            let Some(stream) = changes else {
                // No watch to be had: look again after a while.
                return tokio::time::sleep(left.min(self.options.timing.retry_period)).await;
            };
            match tokio::time::timeout(left, stream.next()).await {
                Ok(Some(Ok(WatchEvent::Added(lease) | WatchEvent::Modified(lease)))) => {
                    observation.observe(Some(lease::record(&lease)), self.clock.boot());
                }
                Ok(Some(Ok(WatchEvent::Deleted(_)))) => observation.observe(None, self.clock.boot()),
                Ok(Some(Ok(WatchEvent::Bookmark(_)))) | Err(_) => {}
                Ok(_) => {
                    *changes = None;
                    return;
                }
            }
        }
    }

    async fn changes(&self, api: &Api<Lease>, version: &str) -> Option<Changes> {
        let params = WatchParams::default().fields(&format!("metadata.name={}", self.options.name));
        match self.timed(api.watch(&params, version)).await {
            Ok(stream) => Some(stream.into_stream().boxed()),
            Err(error) => {
                warn!(%error, "failed to watch the lease");
                None
            }
        }
    }

    /// Renews until that is no longer possible; returns why.
    async fn keep(&self, api: &Api<Lease>, mut held: Held) -> &'static str {
        loop {
            self.sleep_until(held.tenure.renew_at()).await;
            let renewed = tokio::select! {
                biased;
                renewed = self.renew(api, &held) => renewed,
                () = self.sleep_until(held.tenure.give_up_at()) => return "the lease could not be renewed in time",
            };
            match renewed {
                Some(renewed) => {
                    held = renewed;
                    self.fence.extend(held.tenure.valid_until());
                }
                None => return "another process holds the lease",
            }
        }
    }

    /// Renews the lease, trying until it succeeds; `None` if another process holds it.
    async fn renew(&self, api: &Api<Lease>, held: &Held) -> Option<Held> {
        let mut current = Some(held.lease.clone());
        loop {
            if self.heartbeat.age() >= self.options.timing.renew_deadline {
                warn!("the workers show no sign of life; not renewing the lease");
                future::pending::<()>().await;
            }
            match self.write(api, current).await {
                Ok(held) => return Some(held),
                Err(error) => warn!(%error, "failed to renew the lease"),
            }
            current = loop {
                match self.timed(api.get_opt(&self.options.name)).await {
                    Ok(Some(lease)) if lease::record(&lease).holder == self.options.identity => break Some(lease),
                    Ok(_) => return None,
                    Err(error) => {
                        warn!(%error, "failed to read the lease");
                        self.pause().await;
                    }
                }
            };
        }
    }

    /// Writes the lease as ours; it counts from before the request.
    async fn write(&self, api: &Api<Lease>, current: Option<Lease>) -> Result<Held, String> {
        let is_new = current.is_none();
        let lease = lease::held(&self.options, current, self.clock.wall());
        let sent = self.clock.boot();
        let parameters = PostParams::default();
        let lease = if is_new {
            self.timed(api.create(&parameters, &lease)).await?
        } else {
            self.timed(api.replace(&self.options.name, &parameters, &lease)).await?
        };
        Ok(Held { lease, tenure: Tenure::since(self.options.timing, sent) })
    }

    /// Empties the lease if it is still ours, so that the next leader need not wait.
    async fn give_up(&self, api: &Api<Lease>) {
        let given_up = async {
            match self.timed(api.get_opt(&self.options.name)).await? {
                Some(lease) if lease::record(&lease).holder == self.options.identity => {
                    let lease = lease::released(lease, self.clock.wall());
                    self.timed(api.replace(&self.options.name, &PostParams::default(), &lease)).await?;
                    info!("released the lease");
                }
                _ => info!("the lease has another holder already"),
            }
            Ok::<_, String>(())
        };
        if let Err(error) = given_up.await {
            warn!(%error, "failed to release the lease; the next leader has to wait until it expires");
        }
    }

    async fn timed<T>(&self, request: impl Future<Output = kube::Result<T>>) -> Result<T, String> {
        match tokio::time::timeout(self.options.timing.request_timeout(), request).await {
            Ok(answer) => answer.map_err(|error| error.to_string()),
            Err(_) => Err("no answer in time".to_owned()),
        }
    }

    async fn pause(&self) {
        tokio::time::sleep(self.options.timing.retry_period).await;
    }

    /// Sleeps by the boot clock, looking again after each wake: a timer may not count the time a machine slept.
    async fn sleep_until(&self, wake: BootTime) {
        while let Some(left) = wake.checked_sub(self.clock.boot()).filter(|left| !left.is_zero()) {
            tokio::time::sleep(left).await;
        }
    }
}
