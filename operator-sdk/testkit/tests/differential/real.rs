//! The real server: started by `cargo xtask differential`, found by KUBECONFIG.

use std::collections::BTreeMap;

use futures::{StreamExt, stream};
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::Value;

use crate::{
    case::{Case, File},
    compare, normal,
    run::{self, Observed, Pace},
    transcript,
};

/// How many cases run at a time.
const CASES_AT_A_TIME: usize = 12;

#[tokio::test]
async fn the_real_server_answers_as_recorded() {
    let is_recording = std::env::var_os("DIFFERENTIAL_RECORD").is_some();
    let client = client().await;
    let mut failures = 0;
    for file in File::load_all() {
        let (answered, wrong) = run_file(&client, &file).await;
        failures += wrong.len();
        wrong.iter().for_each(|wrong| println!("{}: not the code that the case says: {wrong}", file.name));
        if is_recording {
            transcript::save(&file.name, &answered);
            continue;
        }
        let recorded = transcript::load(&file.name);
        for (case, answers) in &answered {
            let expected = recorded.get(case).unwrap_or(&Value::Null);
            for difference in compare::differences(expected, answers) {
                println!("{}: {case}: recorded as real, answered as simulated:\n    {difference}", file.name);
                failures += 1;
            }
        }
    }
    assert_eq!(failures, 0, "the real server answers otherwise than recorded");
}

/// A client of the real server.
pub async fn client() -> Client {
    let path =
        std::env::var_os("KUBECONFIG").expect("KUBECONFIG names a control plane; see `cargo xtask differential`");
    let kubeconfig = Kubeconfig::read_from(path).expect("a kubeconfig");
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
    let mut config = config.expect("a kubeconfig");
    // A refusal is an answer, too.
    config.default_retry = false;
    Client::try_from(config).expect("a client")
}

/// The answers to each case, and where the code is not the one that the case says.
async fn run_file(client: &Client, file: &File) -> (BTreeMap<String, Value>, Vec<String>) {
    run::prepare(client, file).await;
    let cases = file.cases.iter().enumerate();
    let ran: Vec<_> = stream::iter(cases)
        .map(|(number, case)| async move {
            let namespace =
                format!("{}-{number}", file.name.replace(|letter: char| !letter.is_ascii_alphanumeric(), "-"));
            let observed = run::run(client, &file.definitions, case, &namespace, Pace::Swift).await;
            let answers = (normal::normalise(&observed), wrong_codes(case, &observed));
            (case.name.clone(), answers)
        })
        .buffer_unordered(CASES_AT_A_TIME)
        .collect()
        .await;
    let mut answered = BTreeMap::new();
    let mut all_wrong = Vec::new();
    for (name, (answers, wrong)) in ran {
        answered.insert(name, answers);
        all_wrong.extend(wrong);
    }
    (answered, all_wrong)
}

/// What a case says about its answers has to be so.
fn wrong_codes(case: &Case, observed: &Observed) -> Vec<String> {
    let answers = case.steps.iter().zip(&observed.answers).enumerate();
    let wrong = answers.filter(|(_, (step, answer))| step.code.or(step.until).is_some_and(|code| code != answer.code));
    wrong
        .map(|(at, (_, answer))| format!("{:?}, step {}: {} {}", case.name, at + 1, answer.code, answer.body))
        .collect()
}
