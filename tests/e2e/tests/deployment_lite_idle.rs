//! Where there is nothing to do, deployment-lite does nothing.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::audit::{self, Request};
use e2e::wait::{self, Seen};
use e2e::{lite_deployment, namespace, operator};
use k8s_openapi::jiff::SignedDuration;
use serde_json::json;

const COUNT: usize = 50;
const START_LIMIT: Duration = Duration::from_secs(300);
const REST_LIMIT: Duration = Duration::from_secs(60);
/// Without a write for so long it has come to rest.
const REST: SignedDuration = SignedDuration::from_secs(10);
const IDLE: Duration = Duration::from_secs(120);
/// The lease is renewed every 2 s.
const FEWEST_RENEWALS: usize = 40;

#[tokio::test]
async fn fifty_complete_lite_deployments_cause_no_write_in_two_minutes() -> Result<()> {
    namespace::with_namespace("idle", async |cluster, namespace| {
        operator::wait_for_two_ready(&cluster).await?;
        let begun = audit::now();
        for number in 0..COUNT {
            let mut small = lite_deployment::web(&format!("small-{number:02}"), 1);
            small["spec"]["template"]["spec"] = json!({
                "containers": [{"name": "pause", "image": "registry.k8s.io/pause:3.10.2"}],
                "terminationGracePeriodSeconds": 1,
            });
            lite_deployment::create(&cluster, &namespace, &small).await?;
        }
        lite_deployment::wait_all_complete(&cluster, &namespace, COUNT, START_LIMIT).await?;
        let complete = audit::now();
        wait::until("the last writes", REST_LIMIT, async || {
            let late = writes(audit::requests_since(&cluster, audit::now() - REST).await?);
            Ok(Seen::when(late.is_empty(), format!("{} writes just now", late.len())))
        })
        .await?;
        let mut needed = writes(audit::requests_since(&cluster, begun).await?);
        needed.retain(|request| request.namespace.as_deref() == Some(&namespace));
        let created = needed.iter().filter(|request| request.verb == "create" && request.has_succeeded()).count();
        ensure!(created >= COUNT * 2, "only {created} creates are in the log, so it shows nothing");
        eprintln!("{COUNT} complete after {:.1}, by {:?}", complete.duration_since(begun), audit::count(&needed));

        let idle = audit::now();
        // The two minutes are the promise itself.
        tokio::time::sleep(IDLE).await;
        let requests = audit::requests_since(&cluster, idle).await?;
        let renewals = requests.iter().filter(|request| request.is_about_lease() && request.is_write()).count();
        ensure!(renewals >= FEWEST_RENEWALS, "only {renewals} renewals are in the log, so it shows nothing");
        eprintln!("in {} s: {:?}", IDLE.as_secs(), audit::count(&requests));
        let writes: Vec<String> = writes(requests).iter().map(Request::describe).collect();
        ensure!(writes.is_empty(), "{} writes with nothing to do:\n{}", writes.len(), writes.join("\n"));
        Ok(())
    })
    .await
}

fn writes(requests: Vec<Request>) -> Vec<Request> {
    requests.into_iter().filter(|request| request.is_write() && !request.is_about_lease()).collect()
}
