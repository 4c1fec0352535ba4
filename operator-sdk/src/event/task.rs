//! The requests: one after the other, each with a time-out, none of them twice.

#![expect(clippy::disallowed_methods, reason = "Events are written with rules of their own, and noted nowhere")]

use std::sync::{Arc, atomic::Ordering};

use k8s_openapi::api::events::v1::Event;
use kube::{
    Api,
    api::{Patch, PatchParams, PostParams},
};
use tokio::sync::mpsc;
use tracing::{debug, warn};

use super::{
    Counts, Reporter,
    aggregator::{Aggregator, Verdict},
    occurrence::Occurrence,
};
use crate::{
    client::{Fence, REQUEST_TIMEOUT},
    clock::Clock,
    error::RequestError,
    permission::{Permission, Verb},
};

pub(super) struct Task {
    pub(super) client: kube::Client,
    pub(super) fence: Fence,
    pub(super) clock: Clock,
    pub(super) reporter: Reporter,
    pub(super) counts: Arc<Counts>,
    pub(super) aggregator: Aggregator,
}

impl Task {
    pub(super) async fn run(mut self, mut occurrences: mpsc::Receiver<Occurrence>) {
        while let Some(occurrence) = occurrences.recv().await {
            let (object, reason) = (&occurrence.key, occurrence.happening.reason);
            let count = match self.tell(&occurrence).await {
                Ok(true) => &self.counts.sent,
                Ok(false) => {
                    debug!(%object, reason, problem = "the object has had too many", "event dropped");
                    &self.counts.dropped
                }
                Err(error @ RequestError::Fenced { .. }) => {
                    debug!(%object, reason, problem = %error, "event dropped");
                    &self.counts.dropped
                }
                Err(error) => {
                    warn!(%object, reason, %error, "failed to send an event");
                    &self.counts.dropped
                }
            };
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Sends an occurrence; false if it is not to be sent.
    async fn tell(&mut self, occurrence: &Occurrence) -> Result<bool, RequestError> {
        let new_name = occurrence.event_name(rand::random());
        match self.aggregator.decide(&occurrence.happening, &new_name, self.clock.boot()) {
            Verdict::Drop => return Ok(false),
            Verdict::Begin => self.create(occurrence, new_name).await?,
            Verdict::Repeat { name, count } => match self.repeat(occurrence, &name, count).await {
                // It was deleted, or has expired.
                Err(error) if error.is_not_found() => {
                    self.aggregator.begin(&occurrence.happening, &new_name, self.clock.boot());
                    self.create(occurrence, new_name).await?;
                }
                repeated => repeated?,
            },
        }
        Ok(true)
    }

    async fn create(&mut self, occurrence: &Occurrence, name: String) -> Result<(), RequestError> {
        let event = occurrence.event(name, &self.reporter);
        let (api, parameters) = (self.api(occurrence), PostParams::default());
        let created = self.send(Verb::Create, occurrence, api.create(&parameters, &event)).await;
        if created.is_err() {
            self.aggregator.forget(&occurrence.happening, self.clock.boot());
        }
        created
    }

    async fn repeat(&self, occurrence: &Occurrence, name: &str, count: i32) -> Result<(), RequestError> {
        let patch = Patch::Merge(occurrence.series_patch(count));
        let (api, parameters) = (self.api(occurrence), PatchParams::default());
        self.send(Verb::Patch, occurrence, api.patch(name, &parameters, &patch)).await
    }

    fn api(&self, occurrence: &Occurrence) -> Api<Event> {
        Api::namespaced(self.client.clone(), occurrence.namespace())
    }

    async fn send(
        &self,
        verb: Verb,
        occurrence: &Occurrence,
        request: impl Future<Output = kube::Result<Event>>,
    ) -> Result<(), RequestError> {
        let (permission, key) = (Permission::of::<Event>(verb), occurrence.key.clone());
        if !self.fence.allows_request_of(REQUEST_TIMEOUT) {
            return Err(RequestError::Fenced { permission, key });
        }
        match tokio::time::timeout(REQUEST_TIMEOUT, request).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(source)) => Err(RequestError::Failed { permission, key, source: Box::new(source) }),
            Err(_) => Err(RequestError::TimedOut { permission, key, timeout: REQUEST_TIMEOUT }),
        }
    }
}
