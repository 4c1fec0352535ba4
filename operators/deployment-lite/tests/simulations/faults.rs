//! What faults do to each workload: nothing without one, and what the explorations (`explorations.rs`) have found once.

use std::sync::Arc;

use deployment_lite::api::{BuiltIn, Lite};
use operator_testkit::{
    fault::{Effect, Fault, Moment, Plan, Seconds},
    record::{Notified, Record},
    store::{Change, Commit},
};

use crate::workloads::{Mode, OPERATOR, assert_holds, recreation, replacement, return_of_a_name, rollout};

#[test]
fn what_a_fault_once_broke_holds() {
    recreation::<Lite>().replay_saved("tests/testdata/plans/recreation").assert_converges();
    rollout::<BuiltIn>().replay_saved("tests/testdata/plans/rollout").assert_converges();
}

#[test]
fn who_does_not_hear_that_a_deployment_is_gone_makes_its_replica_set_once_more_and_no_more() {
    fn made<M: Mode>(number: u32, effect: &Effect) -> usize {
        let plan = Plan::of([Fault::new(Moment::notification(OPERATOR, number), effect.clone())]);
        let record = return_of_a_name::<M>().run_with(1, &plan);
        assert_holds(&record, &[]);
        creations::<M>(&record)
    }
    let seconds = |seconds| Seconds { seconds };
    for effect in [Effect::WatchHang, Effect::WatchGap(seconds(30)), Effect::WatchDelay(seconds(10))] {
        for form in [made::<Lite>, made::<BuiltIn>] {
            let most = (27..33).map(|number| form(number, &effect)).max();
            assert_eq!(most, Some(3), "{effect:?}: one for each deployment, and one in vain");
        }
    }
}

#[test]
fn nor_does_who_does_not_hear_that_another_has_taken_its_place() {
    fn check<M: Mode>() {
        let workload = replacement::<M>();
        let record = workload.run(1);
        let is_deletion = |told: &&Notified| told.kind == "DELETED" && told.object.value()["kind"] == M::DEPLOYMENT.0;
        let mut of_operator = record.notifications.iter().filter(|told| &*told.process == OPERATOR);
        let number = of_operator.find(is_deletion).unwrap().number;
        let seconds = |seconds| Seconds { seconds };
        for effect in [Effect::WatchHang, Effect::WatchGap(seconds(30)), Effect::WatchDelay(seconds(10))] {
            let fault = Fault::new(Moment::notification(OPERATOR, number), effect.clone());
            let record = workload.run_with(1, &Plan::of([fault]));
            assert_holds(&record, &[]);
            let made = creations::<M>(&record);
            assert!((2..=3).contains(&made), "{effect:?}: one for each deployment, and one in vain, and not {made}");
        }
    }
    check::<Lite>();
    check::<BuiltIn>();
}

/// How many ReplicaSets were made.
fn creations<M: Mode>(record: &Record) -> usize {
    let is_set = |commit: &&Arc<Commit>| &*commit.collection.plural == M::REPLICA_SET.1;
    record.commits.iter().filter(is_set).filter(|commit| commit.change == Change::Created).count()
}
