//! What goes wrong in the world of a seed.

use operator_testkit::fault::{Effect, Fault, Loss, Moment, Outage, Plan, Refusal, Seconds, Seen, Step};
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};

/// Up to eight faults of all sorts. One storm of refused writes is enough: after two in a row the next attempt is due so
/// late that all seems settled before.
pub(crate) fn of(seed: u64) -> Plan {
    let mut chance = StdRng::seed_from_u64(seed);
    let count = chance.random_range(1..=8);
    let faults: Vec<Fault> = (0..count).map(|_| fault(&mut chance)).collect();
    let mut is_refused = false;
    let is_storm = |fault: &Fault| matches!((&fault.at, &fault.effect), (Moment::Write(_), Effect::Refuse(_)));
    Plan::of(faults.into_iter().filter(|fault| !is_storm(fault) || !std::mem::replace(&mut is_refused, true)))
}

/// Pauses, and renewals whose answers come late before the network goes away.
pub(crate) fn pauses_and_late_answers(seed: u64) -> Plan {
    let mut chance = StdRng::seed_from_u64(seed);
    let process = format!("worker-{}", chance.random_range(0..3));
    let number = chance.random_range(3..30);
    if chance.random_bool(0.5) {
        let pause = Effect::Freeze(Seconds { seconds: chance.random_range(14..25) });
        return Plan::of([Fault::new(Moment::election(process, number), pause)]);
    }
    let slow = Effect::Slow(Seconds { seconds: chance.random_range(6..10) });
    let lost = (1..20).map(|next| Fault::new(Moment::election(&*process, number + next), lost(false, Seen::Silence)));
    Plan::of([Fault::new(Moment::election(&*process, number), slow)].into_iter().chain(lost))
}

fn fault(chance: &mut StdRng) -> Fault {
    let process = format!("worker-{}", chance.random_range(0..3));
    let at = match chance.random_range(0..4) {
        0 => Moment::time(process, chance.random_range(0..150_000)),
        1 => Moment::write(process, chance.random_range(1..40)),
        _ => Moment::election(process, chance.random_range(1..60)),
    };
    let needs_request = !matches!(at, Moment::Time(_));
    let effect = effect(chance, needs_request);
    Fault::new(at, effect)
}

fn effect(chance: &mut impl Rng, needs_request: bool) -> Effect {
    let length = |chance: &mut dyn FnMut() -> u64| Seconds { seconds: chance() };
    let mut between = |from: u64, to: u64| chance.random_range(from..=to);
    let choice = if needs_request { between(0, 14) } else { between(0, 7) };
    match choice {
        0 | 1 => Effect::Freeze(length(&mut || between(1, 40))),
        2 | 3 => Effect::Partition(length(&mut || between(1, 60))),
        4 => Effect::ClockStep(Step { seconds: if between(0, 1) == 0 { 3600 } else { -3600 } }),
        5 => Effect::LeaseDelete,
        6 => Effect::LeaseEmpty,
        7 => Effect::LeaseSteal,
        8 => Effect::CrashAfter(Outage { down_seconds: between(0, 60) }),
        9 => Effect::Late(length(&mut || between(1, 30))),
        10 | 11 => Effect::Slow(length(&mut || between(1, 10))),
        12 => lost(between(0, 1) == 0, Seen::Silence),
        13 => refuse(409, "Conflict", between(1, 12)),
        _ => refuse(403, "Forbidden", between(1, 12)),
    }
}

fn lost(is_applied: bool, seen_as: Seen) -> Effect {
    Effect::Lost(Loss { is_applied, seen_as })
}

fn refuse(code: u16, reason: &str, times: u64) -> Effect {
    Effect::Refuse(Refusal {
        code,
        reason: reason.to_owned(),
        message: format!("the seed says {reason}"),
        retry_after_seconds: 0,
        times: u32::try_from(times).unwrap_or(1),
    })
}
