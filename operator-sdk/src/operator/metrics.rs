//! All metrics of a process.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64},
    },
};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{family::Family, gauge::Gauge},
    registry::Registry,
};

use crate::{cache::AnyWatch, controller::ControllerMetrics};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct NameLabel {
    name: String,
}

#[derive(Debug)]
pub(super) struct Metrics {
    registry: Registry,
    pub(super) controllers: ControllerMetrics,
    is_leader: Family<NameLabel, Gauge>,
    watch_restarts: Family<NameLabel, Gauge<i64, AtomicI64>>,
    unreadable: Family<NameLabel, Gauge>,
}

impl Metrics {
    /// Metrics of a process that started at this time, in seconds since 1970.
    pub(super) fn new(start_seconds: f64) -> Self {
        let mut registry = Registry::default();
        let controllers = ControllerMetrics::new(&mut registry);
        let is_leader = Family::default();
        let watch_restarts = Family::default();
        let unreadable = Family::default();
        let start = Gauge::<f64, AtomicU64>::default();
        start.set(start_seconds);
        registry.register("leader_election_master_status", "1 while this process leads", is_leader.clone());
        registry.register("operator_sdk_watch_restarts", "Restarts of watches", watch_restarts.clone());
        registry.register("operator_sdk_unreadable_objects", "Objects that do not fit their type", unreadable.clone());
        registry.register("process_start_time_seconds", "Start of the process, seconds since 1970", start);
        Self { registry, controllers, is_leader, watch_restarts, unreadable }
    }

    /// Says whether this process holds the lease of this name.
    pub(super) fn set_leader(&self, lease: &str, is_leader: bool) {
        self.is_leader.get_or_create(&NameLabel { name: lease.to_owned() }).set(is_leader.into());
    }

    /// Everything, and what these watches count, as OpenMetrics text.
    pub(super) fn text(&self, watches: &[Arc<dyn AnyWatch>]) -> Result<String, fmt::Error> {
        for watch in watches {
            let label = NameLabel { name: watch.resource() };
            let health = watch.health();
            let restarts = i64::try_from(health.restarts).unwrap_or(i64::MAX);
            self.watch_restarts.get_or_create(&label).set(restarts);
            self.unreadable.get_or_create(&label).set(i64::try_from(health.unreadable).unwrap_or(i64::MAX));
        }
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}
