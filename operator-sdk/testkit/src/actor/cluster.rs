//! Everybody who lives in every cluster, in one word.

use super::{GarbageCollector, NamespaceDeleter, Nodes, Scheduler};
use crate::simulation::Simulation;

impl Simulation {
    /// With what every cluster has: a garbage collector, a namespace deleter, a scheduler, and these nodes.
    #[must_use]
    pub fn in_cluster(self, nodes: Nodes) -> Self {
        self.actor(GarbageCollector::default())
            .actor(NamespaceDeleter::default())
            .actor(Scheduler::default())
            .actor(nodes)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::{
        fault::{Effect, Fault, Moment, Outage, Plan},
        oracle::canonical::{Canonical, Mask},
        record::Record,
        simulation::{Limits, Manifest, delete},
    };

    fn pod() -> Manifest {
        Manifest::from(json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "a" },
            "spec": { "containers": [{ "name": "main", "image": "app" }] } }))
    }

    #[test]
    fn a_seed_decides_all_that_its_inhabitants_do() {
        let world = Simulation::new().in_cluster(Nodes::new(3)).with(pod()).then(delete(pod()));
        let digest = |seed| world.run(seed).digest();
        assert_eq!(digest(1), digest(1));
        assert_ne!(digest(1), digest(2));
    }

    #[test]
    fn where_a_pod_runs_makes_no_difference_between_runs() {
        let mut pods = pod();
        pods = pods
            .objects()
            .iter()
            .cloned()
            .map(|mut pod| {
                pod["spec"]["automountServiceAccountToken"] = false.into();
                pod
            })
            .collect();
        let world = Simulation::new().in_cluster(Nodes::new(3)).with(pods);
        let ends: Vec<_> = (1..6).map(|seed| world.run(seed)).collect();
        let place = |record: &Record| {
            record.settled[0].state.get("", "pods", "default", "a").unwrap()["spec"]["nodeName"].clone()
        };
        assert!(ends.iter().any(|end| place(end) != place(&ends[0])));
        let canonical = |record: &Record| Canonical::of(&record.settled[0].state, record.base);
        for end in &ends {
            assert_eq!(canonical(end).differences(&canonical(&ends[0]), &Mask::new()), [""; 0]);
        }
    }

    #[test]
    fn they_do_their_work_whatever_befalls_them() {
        let world = Simulation::new().in_cluster(Nodes::new(2)).with(pod()).then(delete(pod()));
        for name in ["garbage-collector", "namespace-deleter", "scheduler", "nodes"] {
            for number in [1, 3, 5] {
                let strikes = [
                    Fault::new(Moment::request(name, number), Effect::CrashAfter(Outage { down_seconds: 3 })),
                    Fault::new(Moment::notification(name, number), Effect::WatchClose),
                ];
                for fault in strikes {
                    let record = world.run_with(1, &Plan::of([fault.clone()]));
                    let was_ready = record.settled[0].state.get("", "pods", "default", "a");
                    let phase = was_ready.map(|pod| pod["status"]["phase"].clone());
                    assert_eq!((record.violations.as_slice(), phase), (&[][..], Some(json!("Running"))), "{fault:?}");
                    assert_eq!(record.settled[1].state.list("", "pods").count(), 0, "{fault:?}");
                }
            }
        }
    }

    #[test]
    fn nothing_happens_on_an_idle_day() {
        let limits = Limits { stays_quiet_for: Duration::from_secs(24 * 3600), ..Limits::default() };
        let record = Simulation::new().in_cluster(Nodes::new(3)).with(pod()).limits(limits).run(1);
        assert_eq!(record.violations, []);
    }
}
