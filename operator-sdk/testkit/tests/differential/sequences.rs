//! Generated sequences on both servers; what differs is made as short as it can be, and printed as a case.

use std::{collections::BTreeSet, time::Duration};

use futures::{StreamExt, stream};
use kube::Client;
use serde_json::Value;

use crate::{
    case::{Case, File},
    compare::{self, Difference},
    excuse::Excuses,
    generate, normal, real,
    run::{self, Pace},
    simulated,
};

/// How many run at a time.
const AT_A_TIME: usize = 16;
/// One in so many takes its time, so that seconds pass between its requests.
const SLOW_EVERY: u64 = 8;
const PAUSE: Duration = Duration::from_millis(150);
/// How many differences are made short and shown.
const SHOWN: usize = 12;

#[tokio::test]
async fn generated_sequences_are_answered_alike() {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let (count, first) = (number("DIFFERENTIAL_SEQUENCES").unwrap_or(0), number("DIFFERENTIAL_SEED").unwrap_or(1));
    let both = &Both::new().await;
    let seeds = (0..count).map(|number| first.wrapping_add(number));
    let mut ran = stream::iter(seeds)
        .map(|seed| async move {
            let case = generate::sequence(seed);
            let pace = if seed % SLOW_EVERY == 0 { Pace::Slow(PAUSE) } else { Pace::Swift };
            let found = both.differences(&case, &format!("sequence-{seed}"), pace).await;
            (case, pace, found)
        })
        .buffer_unordered(AT_A_TIME);
    let (mut requests, mut differing, mut seen) = (0, 0, BTreeSet::new());
    while let Some((case, pace, found)) = ran.next().await {
        requests += case.steps.len();
        differing += usize::from(!found.is_empty());
        // Of many differences alike one is enough.
        let is_new = found.first().is_some_and(|first| seen.insert(kind_of(&case, first)));
        if is_new && seen.len() <= SHOWN {
            let (case, found) = both.shorten(case, pace, found).await;
            show(&case, &found);
        }
    }
    println!("{count} sequences of {requests} requests from seed {first}: {differing} differ");
    assert_eq!(differing, 0, "sequences are answered otherwise than by the real server");
}

struct Both {
    client: Client,
    file: File,
}

impl Both {
    async fn new() -> Self {
        let client = real::client().await;
        let file = File::with_definitions("sequences", &["widgets"]);
        run::prepare(&client, &file).await;
        Self { client, file }
    }

    async fn differences(&self, case: &Case, namespace: &str, pace: Pace<'_>) -> Vec<Difference> {
        let observed = run::run(&self.client, &self.file.definitions, case, namespace, pace).await;
        let real = normal::normalise(&observed);
        let mut found = Vec::new();
        // In which second the real server took a request is known but where one ends meanwhile.
        for times in [observed.answered, observed.sent] {
            let (file, copy) = (self.file.clone(), case.clone());
            let simulated = tokio::task::spawn_blocking(move || simulated::run(&file, &copy, Pace::At(&times))).await;
            found = compare::differences(&real, &simulated.unwrap_or(Value::Null));
            let mut excuses = Excuses::load();
            found.retain(|found| !excuses.covers("", found));
            if found.is_empty() {
                break;
            }
        }
        found
    }

    /// Drops requests as long as a difference of the same kind stays.
    async fn shorten(&self, mut case: Case, pace: Pace<'_>, mut found: Vec<Difference>) -> (Case, Vec<Difference>) {
        let Some(kind) = found.first().map(|first| kind_of(&case, first)) else { return (case, found) };
        let mut attempt = 0;
        let mut chunk = case.steps.len() / 2;
        while chunk > 0 {
            let mut at = 0;
            while at < case.steps.len() {
                attempt += 1;
                let mut shorter = case.clone();
                shorter.steps.drain(at..(at + chunk).min(case.steps.len()));
                let namespace = format!("{}-shorter-{attempt}", case.name.replace(' ', "-"));
                let left = self.differences(&shorter, &namespace, pace).await;
                if left.iter().any(|difference| kind_of(&shorter, difference) == kind) {
                    (case, found) = (shorter, left);
                } else {
                    at += chunk;
                }
            }
            chunk /= 2;
        }
        (case, found)
    }
}

/// What a difference is about: the kind of request, and the field without the places in lists.
fn kind_of(case: &Case, difference: &Difference) -> String {
    let mut parts = difference.path.split('.');
    let group = parts.next().unwrap_or_default();
    let place = parts.next().unwrap_or_default();
    let step = place.parse::<usize>().ok().and_then(|at| case.steps.get(at));
    let request = match (group, step) {
        ("answers", Some(step)) => {
            let path = step.request.split(['/', '?']).next().unwrap_or_default();
            format!("{path} {}", step.content.as_deref().unwrap_or_default())
        }
        _ => group.to_owned(),
    };
    let field: Vec<&str> = parts.filter(|part| part.parse::<usize>().is_err()).collect();
    let codes = |value: &Option<Value>| value.as_ref().and_then(|value| value["code"].as_u64());
    format!("{request} {} {:?} {:?}", field.join("."), codes(&difference.real), codes(&difference.simulated))
}

fn show(case: &Case, found: &[Difference]) {
    println!("- name: {}\n  items: [1]\n  steps:", case.name);
    for step in &case.steps {
        println!("  - {}", serde_json::to_string(step).unwrap_or_default());
    }
    for difference in found.iter().take(4) {
        println!("    # {}", difference.to_string().replace('\n', "\n    # "));
    }
}
