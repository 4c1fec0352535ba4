//! Pods on different nodes reach each other by Service IP and by DNS name.

use std::time::Duration;

use anyhow::Result;
use e2e::requests::{self, RequestCounter};
use e2e::wait::{self, Seen};
use e2e::{namespace, node, pod, reach};

#[tokio::test]
async fn pods_on_three_nodes_reach_each_other_by_service_ip_and_dns_name() -> Result<()> {
    namespace::with_namespace("network", async |cluster, namespace| {
        let workers = node::workers(&cluster).await?;
        assert_eq!(workers.len(), 3, "the test needs three worker nodes, there are {workers:?}");
        let mut addresses = Vec::new();
        for (number, node) in workers.iter().enumerate() {
            let name = format!("web-{number}");
            pod::start_web(&cluster, &namespace, &name, node).await?;
            addresses.push(pod::expose(&cluster, &namespace, &name).await?);
        }
        for from in 0..workers.len() {
            for (to, address) in addresses.iter().enumerate() {
                let names = [address.clone(), format!("web-{to}"), format!("web-{to}.{namespace}.svc.cluster.local")];
                // A pod's own short name is its own address, not the Service's.
                for host in names.into_iter().filter(|host| *host != format!("web-{from}")) {
                    let answer = reach::from_pod(&cluster, &namespace, &format!("web-{from}"), &host, 80).await?;
                    assert_eq!(answer, format!("web-{to}"), "web-{from} asked {host}");
                }
            }
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_static_program_in_an_empty_image_resolves_a_name() -> Result<()> {
    namespace::with_namespace("static-dns", async |cluster, namespace| {
        let workers = node::workers(&cluster).await?;
        pod::start_web(&cluster, &namespace, "web", &workers[0]).await?;
        pod::expose(&cluster, &namespace, "web").await?;
        let counter = RequestCounter::start(&cluster, &namespace, &workers[1], "http://web/hostname", 20).await?;
        let sums = counter.finish(&cluster).await?;
        assert!(sums.succeeded > 0, "{sums:?}");
        // The image is what it claims to be: nothing in it but the program.
        let shell = pod::exec(&cluster, &namespace, requests::POD, &["/bin/sh", "-c", "true"]).await;
        assert!(shell.is_err(), "the image of the request counter has a shell");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_service_whose_pod_is_gone_refuses() -> Result<()> {
    // The other tests would pass as well if "reached" meant nothing.
    namespace::with_namespace("refuse", async |cluster, namespace| {
        let workers = node::workers(&cluster).await?;
        pod::start_web(&cluster, &namespace, "web", &workers[0]).await?;
        pod::start_web(&cluster, &namespace, "gone", &workers[1]).await?;
        pod::expose(&cluster, &namespace, "gone").await?;
        // A Service refuses for a moment after it was made, too: only one that was reached tells anything.
        assert_eq!(reach::from_pod(&cluster, &namespace, "web", "gone", 80).await?, "gone");
        pod::delete(&cluster, &namespace, "gone").await?;
        wait::until("the Service to refuse", Duration::from_secs(60), async || {
            let answer = reach::ask(&cluster, &namespace, "web", "gone", 80).await?;
            Ok(Seen::when(answer.contains("errors") && !answer.contains("responses"), answer))
        })
        .await
    })
    .await
}
