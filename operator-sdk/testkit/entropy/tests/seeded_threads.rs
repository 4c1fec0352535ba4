//! On a seeded thread all follows from the seed, in this process and in another; on every other thread nothing does.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::{
    collections::{HashMap, HashSet},
    env,
    process::Command,
};

use operator_testkit_entropy::run;
use rand::{TryRng, rngs::SysRng};

const CHILD: &str = "PRINT_WHAT_A_SEED_GIVES";

/// What code that takes chance unasked gets: the order of a hash map, and numbers.
fn chance() -> (Vec<u32>, [u64; 3]) {
    let map: HashMap<u32, ()> = (0..64).map(|number| (number, ())).collect();
    (map.into_keys().collect(), [rand::random(), rand::random(), fastrand::u64(..)])
}

/// The same after a draw of what all threads share, which a process makes once: on one of them, and on no other.
fn chance_after_a_shared_draw() -> (Vec<u32>, [u64; 3]) {
    SysRng.try_fill_bytes(&mut [0; 64]).unwrap();
    chance()
}

#[test]
fn a_seed_gives_the_same_order_of_hash_maps_and_the_same_numbers() {
    assert_eq!(run(7, chance), run(7, chance));
    let (one, other) = (run(7, chance), run(8, chance));
    assert_ne!(one.0, other.0);
    assert_ne!(one.1, other.1);
}

#[test]
fn who_comes_first_and_draws_what_all_share_gets_what_the_others_get() {
    assert_eq!(run(7, chance_after_a_shared_draw), run(7, chance));
}

#[test]
fn a_seed_gives_the_same_in_another_process() {
    let ours = format!("{:?}", run(7, chance));
    if env::var_os(CHILD).is_some() {
        println!("<{ours}>");
        return;
    }
    let child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "a_seed_gives_the_same_in_another_process", "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let printed = String::from_utf8(child.stdout).unwrap();
    assert!(printed.contains(&format!("<{ours}>")), "{printed}");
}

#[test]
fn other_threads_stay_random_while_a_seeded_one_runs() {
    let drawn: HashSet<_> = run(7, || (0..8).map(|_| std::thread::spawn(chance).join().unwrap()).collect());
    assert_eq!(drawn.len(), 8);
    assert!(!drawn.contains(&run(7, chance)));
    let after: HashSet<_> = (0..8).map(|_| std::thread::spawn(chance).join().unwrap()).collect();
    assert_eq!(after.len(), 8);
}

#[test]
fn a_panic_on_the_seeded_thread_is_the_callers() {
    let caught = std::panic::catch_unwind(|| run(7, || panic!("as said")));
    assert_eq!(caught.unwrap_err().downcast_ref::<&str>(), Some(&"as said"));
}
