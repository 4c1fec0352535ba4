//! `kubectl logs`, `exec` and `port-forward` from the user's own shell, with nothing but the kubeconfig.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result};
use e2e::wait::{self, Seen};
use e2e::{namespace, node, pod};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

#[tokio::test]
async fn kubectl_logs_shows_what_a_pod_wrote() -> Result<()> {
    namespace::with_namespace("logs", async |cluster, namespace| {
        let workers = node::workers(&cluster).await?;
        pod::start_web(&cluster, &namespace, "web", &workers[0]).await?;
        let log = cluster.run_kubectl(&["-n", &namespace, "logs", "web"]).await?;
        assert!(log.contains("Started HTTP server on port 8080"), "{log}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn kubectl_exec_runs_a_program_in_a_pod_on_every_node() -> Result<()> {
    namespace::with_namespace("exec", async |cluster, namespace| {
        for (number, node) in node::workers(&cluster).await?.iter().enumerate() {
            let name = format!("web-{number}");
            pod::start_web(&cluster, &namespace, &name, node).await?;
            // agnhost's `connect` says nothing and ends with 0 if the port is open, here on the pod's own loopback.
            pod::exec(&cluster, &namespace, &name, &["/agnhost", "connect", "127.0.0.1:8080", "--timeout=3s"]).await?;
            let closed =
                pod::exec(&cluster, &namespace, &name, &["/agnhost", "connect", "127.0.0.1:1", "--timeout=3s"]).await;
            assert!(closed.is_err(), "exec does not give back the program's exit status");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn kubectl_port_forward_reaches_a_pod() -> Result<()> {
    namespace::with_namespace("forward", async |cluster, namespace| {
        let workers = node::workers(&cluster).await?;
        pod::start_web(&cluster, &namespace, "web", &workers[2]).await?;
        let mut forwarder = cluster
            .kubectl()
            .args(["-n", &namespace, "port-forward", "pod/web", ":8080", "--address=127.0.0.1"])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let output = forwarder.stdout.take().context("no output of kubectl")?;
        // It chooses a free port itself and says which: "Forwarding from 127.0.0.1:PORT -> 8080".
        // Read to the end of the test: kubectl writes a line for each connection, and a closed pipe would end it.
        let mut lines = BufReader::new(output).lines();
        let line = tokio::time::timeout(Duration::from_secs(20), lines.next_line()).await??;
        let line = line.context("kubectl port-forward ended without a word")?;
        let address =
            line.split_whitespace().find(|word| word.starts_with("127.0.0.1:")).context(line.clone())?.to_owned();
        let answer = wait::until("an answer through the forwarded port", Duration::from_secs(20), async || {
            let mut connection = TcpStream::connect(&address).await?;
            connection.write_all(b"GET /hostname HTTP/1.0\r\n\r\n").await?;
            let mut answer = String::new();
            connection.read_to_string(&mut answer).await?;
            Ok(if answer.contains("200 OK") { Seen::Done(answer) } else { Seen::NotYet(answer) })
        })
        .await?;
        assert!(answer.ends_with("web"), "{answer}");
        forwarder.kill().await?;
        Ok(())
    })
    .await
}
