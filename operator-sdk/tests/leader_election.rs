//! At most one process of an operator writes at a time, whatever happens to its network, its clock and its Lease.
//!
//! Three replicas raise a number in a ConfigMap, one by one, while faults of a seed strike. The same worlds with the rule of
//! client-go in the place of ours show that the judge would see an overlap if there were one.

#![allow(missing_docs, reason = "a test")]

#[path = "leader_election/judge.rs"]
mod judge;
#[path = "leader_election/rival.rs"]
mod rival;
#[path = "leader_election/tally.rs"]
mod tally;
#[path = "leader_election/weather.rs"]
mod weather;
#[path = "leader_election/worker.rs"]
mod worker;

use std::env;

use operator_testkit::{
    fault::{Effect, Fault, Moment, Plan, Refusal, Seconds, Step},
    record::Record,
    simulation::Simulation,
};

use self::{judge::Judged, tally::Tally};

/// How many worlds of chance a test makes; `cargo xtask soak election` asks for more.
const SEEDS: u64 = 30;

fn ours() -> Simulation {
    worker::at(Simulation::of_replicas(3, worker::operator))
}

/// Runs our replicas in a world with these faults, which must end well.
fn survives(seed: u64, plan: &Plan) -> (Record, Judged) {
    let (record, judged, said) = run(seed, plan);
    assert_eq!(said, [""; 0], "seed {seed}, {plan:#?}");
    (record, judged)
}

/// Runs our replicas in a world with these faults; also returns what must not be.
fn run(seed: u64, plan: &Plan) -> (Record, Judged, Vec<String>) {
    let record = ours().run_with(seed, plan);
    let judged = Judged::of(&record);
    let mut said: Vec<String> = record.broken().iter().map(ToString::to_string).collect();
    said.extend_from_slice(&judged.broken);
    if judged.number != worker::GOAL {
        said.push(format!("the work was not done: {} of {}", judged.number, worker::GOAL));
    }
    (record, judged, said)
}

fn at_election(process: u32, number: u32, effect: Effect) -> Fault {
    Fault::new(Moment::election(format!("worker-{process}"), number), effect)
}

fn seconds(seconds: u64) -> Seconds {
    Seconds { seconds }
}

/// The same on each of the three, as the seed decides who leads.
fn on_all(number: u32, effect: &Effect) -> Plan {
    Plan::of((0..3).map(|process| at_election(process, number, effect.clone())))
}

#[test]
fn without_faults_one_leads_to_the_end() {
    let (_, judged) = survives(1, &Plan::default());
    assert_eq!(judged.hand_overs, 0);
}

#[test]
fn a_leader_that_stood_still_for_20_s_writes_nothing_when_it_goes_on() {
    let mut hand_overs = 0;
    for number in 6..26 {
        let freeze = Plan::of((0..3).map(|process| {
            Fault::new(Moment::write(format!("worker-{process}"), number), Effect::Freeze(seconds(20)))
        }));
        hand_overs += survives(number.into(), &freeze).1.hand_overs;
    }
    assert!(hand_overs >= 20, "each pause should cost the leadership; {hand_overs} did");
}

#[test]
fn a_leader_without_network_is_followed_by_another() {
    let (_, judged) = survives(3, &on_all(8, &Effect::Partition(seconds(40))));
    assert!(judged.hand_overs > 0);
}

#[test]
fn a_write_that_a_partition_holds_back_while_its_process_is_frozen_was_sent_in_time_and_harms_nobody() {
    let mut hand_overs = 0;
    for process in ["worker-0", "worker-1", "worker-2"] {
        let cut_off = Fault::new(Moment::time(process, 20_000), Effect::Partition(seconds(30)));
        let frozen = Fault::new(Moment::time(process, 23_000), Effect::Freeze(seconds(40)));
        hand_overs += survives(1, &Plan::of([cut_off, frozen])).1.hand_overs;
    }
    assert!(hand_overs > 0, "one of them led");
}

#[test]
fn an_answer_that_comes_ten_seconds_late_prolongs_nothing() {
    for number in 5..15 {
        let slow = Plan::of((0..3).flat_map(|process| {
            let late = [at_election(process, number, Effect::Slow(seconds(10)))];
            let lost = (number + 1..number + 4).map(move |next| at_election(process, next, Effect::Late(seconds(20))));
            late.into_iter().chain(lost)
        }));
        survives(number.into(), &slow);
    }
}

#[test]
fn a_storm_of_conflicts_on_the_lease_ends_in_one_leader() {
    let conflict = Effect::Refuse(Refusal {
        code: 409,
        reason: "Conflict".to_owned(),
        message: "the object has been modified".to_owned(),
        retry_after_seconds: 0,
        times: 12,
    });
    survives(5, &on_all(2, &conflict));
    survives(6, &on_all(9, &conflict));
}

#[test]
fn a_wall_clock_that_steps_by_an_hour_changes_nothing() {
    for step in [3600, -3600] {
        let step = Effect::ClockStep(Step { seconds: step });
        let (_, judged) = survives(7, &on_all(8, &step));
        assert_eq!(judged.hand_overs, 0, "nobody compares clocks of two machines");
    }
}

#[test]
fn a_lease_that_others_delete_empty_or_take_ends_in_one_leader_again() {
    for effect in [Effect::LeaseDelete, Effect::LeaseEmpty, Effect::LeaseSteal] {
        for number in [4, 7, 11] {
            survives(number.into(), &Plan::of([at_election(0, number, effect.clone())]));
        }
    }
}

#[test]
fn rights_that_are_taken_from_the_leader_for_a_while_end_in_one_leader() {
    let forbidden = Effect::Refuse(Refusal {
        code: 403,
        reason: "Forbidden".to_owned(),
        message: "leases.coordination.k8s.io is forbidden".to_owned(),
        retry_after_seconds: 0,
        times: 10,
    });
    survives(8, &on_all(6, &forbidden));
}

#[test]
fn whatever_a_seed_brings_at_most_one_writes_and_the_work_gets_done() {
    Tally::of(1..SEEDS + 1).assert_good();
}

/// Other seeds each time, unless the environment names them.
#[test]
fn so_it_is_in_worlds_that_nobody_has_seen_before() {
    let named = |name| env::var(name).ok().and_then(|text| text.parse().ok());
    let first = named("OPERATOR_LITE_SEED").unwrap_or_else(|| rand::random_range(0..1_000_000_000));
    let seeds = named("OPERATOR_LITE_SEEDS").unwrap_or(SEEDS);
    Tally::of(first..first + seeds).assert_good();
}

#[test]
fn the_rule_of_client_go_overlaps_in_worlds_where_ours_does_not() {
    let mut overlapping = Vec::new();
    for seed in 0..30 {
        let plan = weather::pauses_and_late_answers(seed);
        let record = worker::at(rival::replicas(3)).run_with(seed, &plan);
        if Judged::of(&record).overlaps > 0 {
            overlapping.push(seed);
            assert_eq!(survives(seed, &plan).1.overlaps, 0);
        }
    }
    println!("client-go's rule overlaps on {} of 30 seeds: {overlapping:?}", overlapping.len());
    assert!(!overlapping.is_empty(), "a judge that sees nothing proves nothing");
}
