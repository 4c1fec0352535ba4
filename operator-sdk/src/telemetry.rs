//! Logs and metrics. Metric names are those of controller-runtime and client-go, so that existing dashboards work.

use std::{
    io::{IsTerminal, stderr},
    sync::atomic::AtomicU64,
};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};
use tracing_subscriber::{EnvFilter, layer::SubscriberExt, util::SubscriberInitExt};

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// Sends logs to standard error. `RUST_LOG` overrules `filter`. A second call changes nothing.
///
/// # Errors
/// If `filter` is not understood.
pub fn start_logs(format: LogFormat, filter: &str) -> Result<(), String> {
    let filter = match std::env::var("RUST_LOG") {
        Ok(filter) if !filter.is_empty() => filter,
        _ => filter.to_owned(),
    };
    let filter = EnvFilter::try_new(&filter).map_err(|error| format!("log filter {filter:?}: {error}"))?;
    let lines = tracing_subscriber::fmt::layer().with_writer(stderr).with_ansi(stderr().is_terminal());
    let registry = tracing_subscriber::registry().with(filter);
    let started = match format {
        LogFormat::Json => registry.with(lines.json().flatten_event(true)).try_init(),
        LogFormat::Text => registry.with(lines).try_init(),
    };
    // Only a second subscriber is refused, which tests start.
    drop(started);
    Ok(())
}

/// One controller.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ControllerLabel {
    /// The kind's plural name.
    pub controller: String,
}

/// How the runs of one controller ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ResultLabel {
    /// The kind's plural name.
    pub controller: String,
    /// `success`, `requeue_after` or `error`.
    pub result: &'static str,
}

/// One queue.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct NameLabel {
    /// The queue's controller, or the lease.
    pub name: String,
}

/// All metrics of a process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Runs by how they ended.
    pub reconciles: Family<ResultLabel, Counter>,
    /// Runs that failed.
    pub reconcile_errors: Family<ControllerLabel, Counter>,
    /// Runs that panicked.
    pub reconcile_panics: Family<ControllerLabel, Counter>,
    /// How long runs take, in seconds.
    pub reconcile_seconds: Family<ControllerLabel, Histogram>,
    /// Runs under way.
    pub active_workers: Family<ControllerLabel, Gauge>,
    /// Keys ready or running.
    pub queue_depth: Family<NameLabel, Gauge>,
    /// Runs put off because a cache did not show the last writes yet.
    pub held: Family<ControllerLabel, Counter>,
    /// 1 while this process leads.
    pub is_leader: Family<NameLabel, Gauge>,
    /// Restarts of watches.
    pub watch_restarts: Family<NameLabel, Gauge<i64, std::sync::atomic::AtomicI64>>,
    /// When the process started, seconds since 1970.
    pub start_time: Gauge<f64, AtomicU64>,
}

impl Default for Metrics {
    fn default() -> Self {
        let seconds = || Histogram::new(exponential_buckets(0.005, 2.0, 14));
        let mut metrics = Self {
            registry: Registry::default(),
            reconciles: Family::default(),
            reconcile_errors: Family::default(),
            reconcile_panics: Family::default(),
            reconcile_seconds: Family::new_with_constructor(seconds),
            active_workers: Family::default(),
            queue_depth: Family::default(),
            held: Family::default(),
            is_leader: Family::default(),
            watch_restarts: Family::default(),
            start_time: Gauge::default(),
        };
        let registry = &mut metrics.registry;
        registry.register("controller_runtime_reconcile", "Runs by how they ended", metrics.reconciles.clone());
        registry.register("controller_runtime_reconcile_errors", "Runs that failed", metrics.reconcile_errors.clone());
        registry.register(
            "controller_runtime_reconcile_panics",
            "Runs that panicked",
            metrics.reconcile_panics.clone(),
        );
        registry.register(
            "controller_runtime_reconcile_time_seconds",
            "How long runs take",
            metrics.reconcile_seconds.clone(),
        );
        registry.register("controller_runtime_active_workers", "Runs under way", metrics.active_workers.clone());
        registry.register("workqueue_depth", "Keys ready or running", metrics.queue_depth.clone());
        registry.register(
            "operator_sdk_reconcile_held",
            "Runs put off because a cache did not show the last writes yet",
            metrics.held.clone(),
        );
        registry.register("leader_election_master_status", "1 while this process leads", metrics.is_leader.clone());
        registry.register("operator_sdk_watch_restarts", "Restarts of watches", metrics.watch_restarts.clone());
        registry.register(
            "process_start_time_seconds",
            "Start of the process, seconds since 1970",
            metrics.start_time.clone(),
        );
        metrics
    }
}

impl Metrics {
    /// The OpenMetrics text of everything.
    ///
    /// # Errors
    /// If the text cannot be written, which only a full memory can cause.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }

    /// Makes all series of a controller visible from the start, with zeros.
    pub fn announce(&self, controller: &str) {
        let label = ControllerLabel { controller: controller.to_owned() };
        for result in ["success", "requeue_after", "error"] {
            let _ = self.reconciles.get_or_create(&ResultLabel { controller: controller.to_owned(), result });
        }
        let _ = self.reconcile_errors.get_or_create(&label);
        let _ = self.reconcile_panics.get_or_create(&label);
        let _ = self.reconcile_seconds.get_or_create(&label);
        let _ = self.active_workers.get_or_create(&label);
        let _ = self.held.get_or_create(&label);
        let _ = self.queue_depth.get_or_create(&NameLabel { name: controller.to_owned() });
    }
}
