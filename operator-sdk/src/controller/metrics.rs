//! What controllers count, under the names of controller-runtime and client-go, so that existing dashboards work.

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Success,
    RequeueAfter,
    Error,
    Panic,
}

impl End {
    fn result(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::RequeueAfter => "requeue_after",
            Self::Error | Self::Panic => "error",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ControllerLabel {
    controller: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabel {
    controller: String,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct QueueLabel {
    name: String,
}

/// The series of all controllers of a process. Clones share them.
#[derive(Clone, Debug)]
pub struct ControllerMetrics {
    reconciles: Family<ResultLabel, Counter>,
    errors: Family<ControllerLabel, Counter>,
    panics: Family<ControllerLabel, Counter>,
    holds: Family<ControllerLabel, Counter>,
    seconds: Family<ControllerLabel, Histogram>,
    workers: Family<ControllerLabel, Gauge>,
    depth: Family<QueueLabel, Gauge>,
}

impl ControllerMetrics {
    /// Series that `registry` shows.
    pub fn new(registry: &mut Registry) -> Self {
        let metrics = Self {
            reconciles: Family::default(),
            errors: Family::default(),
            panics: Family::default(),
            holds: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.005, 2.0, 14))),
            workers: Family::default(),
            depth: Family::default(),
        };
        let mut counter = |name: &str, help: &str, family: &Family<ControllerLabel, Counter>| {
            registry.register(name, help, family.clone());
        };
        counter("controller_runtime_reconcile_errors", "Runs that failed", &metrics.errors);
        counter("controller_runtime_reconcile_panics", "Runs that panicked", &metrics.panics);
        counter("operator_sdk_reconcile_holds", "Runs put off until the caches show the last writes", &metrics.holds);
        registry.register("controller_runtime_reconcile", "Runs by how they ended", metrics.reconciles.clone());
        registry.register("controller_runtime_reconcile_time_seconds", "How long runs take", metrics.seconds.clone());
        registry.register("controller_runtime_active_workers", "Runs under way", metrics.workers.clone());
        registry.register("workqueue_depth", "Keys ready or running", metrics.depth.clone());
        metrics
    }

    /// Makes all series of a controller visible from the start, with zeros.
    pub fn announce(&self, controller: &str) {
        let label = label(controller);
        for end in [End::Success, End::RequeueAfter, End::Error] {
            drop(self.reconciles.get_or_create(&result(controller, end)));
        }
        for family in [&self.errors, &self.panics, &self.holds] {
            drop(family.get_or_create(&label));
        }
        drop(self.seconds.get_or_create(&label));
        self.show(controller, 0, 0);
    }

    pub(super) fn count_hold(&self, controller: &str) {
        self.holds.get_or_create(&label(controller)).inc();
    }

    pub(super) fn count_run(&self, controller: &str, end: End, took: Duration) {
        let label = label(controller);
        self.seconds.get_or_create(&label).observe(took.as_secs_f64());
        self.reconciles.get_or_create(&result(controller, end)).inc();
        match end {
            End::Success | End::RequeueAfter => {}
            End::Error => drop(self.errors.get_or_create(&label).inc()),
            End::Panic => drop(self.panics.get_or_create(&label).inc()),
        }
    }

    pub(super) fn show(&self, controller: &str, workers: usize, depth: usize) {
        let number = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        self.workers.get_or_create(&label(controller)).set(number(workers));
        self.depth.get_or_create(&QueueLabel { name: controller.to_owned() }).set(number(depth));
    }
}

fn label(controller: &str) -> ControllerLabel {
    ControllerLabel { controller: controller.to_owned() }
}

fn result(controller: &str, end: End) -> ResultLabel {
    ResultLabel { controller: controller.to_owned(), result: end.result() }
}
