//! How often and when a process lives, what it sees then, and how much it may ask.

use std::sync::{Arc, Mutex};

use super::*;

/// When a process did something, since the beginning.
type Times = Arc<Mutex<Vec<Duration>>>;

/// Seconds between one and the next.
fn gaps(times: &Times) -> Vec<u64> {
    times.lock().unwrap().windows(2).map(|pair| (pair[1] - pair[0]).as_secs()).collect()
}

/// The lengths of lives that follow each other, and how long it took from the beginning of each to that of the next.
fn starts_after_lives_of(seconds: &'static [u64]) -> Vec<u64> {
    let starts = Times::default();
    let noted = Arc::clone(&starts);
    let mortal = move |environment: Environment| {
        let noted = Arc::clone(&noted);
        async move {
            noted.lock().unwrap().push(environment.elapsed());
            let Some(length) = seconds.get(environment.restarts() as usize) else {
                return std::future::pending().await;
            };
            sleep(Duration::from_secs(*length)).await;
            Err("it had enough".to_owned())
        }
    };
    Simulation::new().process("mortal", User::administrator(), mortal).with(maps(&["a"])).run(1);
    gaps(&starts)
}

#[test]
fn a_process_that_ends_again_and_again_is_started_later_and_later() {
    assert_eq!(starts_after_lives_of(&[0; 9]), [1, 10, 20, 40, 80, 160, 300, 300, 300]);
}

#[test]
fn who_ran_for_ten_minutes_is_started_again_as_after_the_first_end() {
    assert_eq!(starts_after_lives_of(&[0, 0, 0, 600, 0]), [1, 10, 20, 601, 10]);
}

#[test]
fn who_travels_in_time_begins_anew_with_what_was_and_sees_what_is_half_a_minute_later() {
    let seen = Arc::<Mutex<Vec<(u32, u64, usize)>>>::default();
    let noted = Arc::clone(&seen);
    let reader = move |environment: Environment| {
        let noted = Arc::clone(&noted);
        async move {
            let maps = Api::<ConfigMap>::namespaced(environment.client(), "default");
            loop {
                let list = maps.list(&ListParams::default().match_any()).await.map_err(|error| error.to_string())?;
                let now = environment.elapsed().as_secs();
                noted.lock().unwrap().push((environment.restarts(), now, list.items.len()));
                sleep(Duration::from_secs(10)).await;
            }
        }
    };
    let world = Simulation::new().process("reader", User::administrator(), reader);
    let world = world.with(maps(&["a", "b"])).then(apply(maps(&["c"])));
    let travel = Effect::TimeTravel(Seconds { seconds: 200 });
    let record = world.run_with(1, &Plan::of([Fault::new(Moment::time("reader", 5000), travel)]));
    assert_eq!(record.struck.len(), 1);
    let (second_step, departure, arrival) = (120, 205, 235);
    for (life, now, count) in seen.lock().unwrap().iter() {
        let expected = if (departure..arrival).contains(now) || *now < second_step { 2 } else { 3 };
        assert_eq!((*life, *count), (u32::from(*now >= departure), expected), "after {now} s");
    }
}

#[test]
fn what_a_process_asks_for_in_vain_while_nothing_gets_through_is_noted_as_sent_and_changes_nothing() {
    let writer = |environment: Environment| async move {
        let secrets = Api::<Secret>::namespaced(environment.client(), "default");
        for number in 0..4 {
            let mut secret = Secret::default();
            secret.metadata.name = Some(format!("s{number}"));
            let _ = tokio::time::timeout(Duration::from_secs(5), secrets.create(&PostParams::default(), &secret)).await;
            sleep(Duration::from_secs(5)).await;
        }
        std::future::pending().await
    };
    let cut = Plan::of([Fault::new(Moment::time("writer", 0), Effect::Partition(Seconds { seconds: 12 }))]);
    let world = Simulation::new().process("writer", User::administrator(), writer).with(maps(&["a"]));
    let record = world.run_with(1, &cut);
    let told = |request: &crate::record::Requested| {
        let sent = request.sent.duration_since(crate::service::START).as_secs();
        (sent, request.counted.write, request.answer.as_ref().map(|answer| answer.code))
    };
    let told: Vec<_> = record.requests.iter().map(told).collect();
    let in_vain = [(0, Some(1), None)];
    let heard = [(10, Some(2), Some(201)), (17, Some(3), Some(201)), (22, Some(4), Some(201))];
    assert_eq!(told, [&in_vain[..], &heard[..]].concat());
    assert_eq!(secrets(&record), ["s1", "s2", "s3"]);
}

#[test]
fn who_reads_over_and_over_while_there_is_nothing_to_do_is_not_quiet() {
    let reads_every = |milliseconds| {
        let reader = move |environment: Environment| async move {
            let maps = Api::<ConfigMap>::namespaced(environment.client(), "default");
            loop {
                let _ = maps.get("a").await;
                sleep(Duration::from_millis(milliseconds)).await;
            }
        };
        let record = Simulation::new().process("reader", User::administrator(), reader).with(maps(&["a"])).run(1);
        record.broken().iter().map(|violation| violation.message.clone()).collect::<Vec<_>>()
    };
    assert_eq!(reads_every(3100), [""; 0], "fewer than 1200 an hour");
    let told = reads_every(2000);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("reader sent 17") && told[0].contains(" reads in 1h"), "{told:?}");
}
