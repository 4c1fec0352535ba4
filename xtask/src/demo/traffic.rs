//! Requests to the example while it is changed: the request counter as a pod, its sums, and its certain end.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use serde_json::json;

use super::NAMESPACE;
use super::view::{Line, Sums};
use super::watch::{SharedView, look};
use crate::cluster::Cluster;
use crate::images::REQUEST_COUNTER;
use crate::{manifests, process};

const NAME: &str = "request-counter";
const START_LIMIT: Duration = Duration::from_secs(90);
/// A demo takes two minutes; after this time the counter ends whatever happens to everything else.
const LIFE_SECONDS: u32 = 1800;

/// Waits for the end of whoever holds the other end of its input, then removes the pod unless that was done already.
/// A process group of its own keeps a Ctrl-C from it.
const JANITOR: &str = r#"
read -r word
[ "$word" = done ] && exit 0
"$@" delete pod request-counter --ignore-not-found --wait=false > /dev/null 2>&1
echo "The demo was broken off. Its client is removed; the cluster stays up: $STATUS" >&2
"#;

/// The client under way.
pub struct Traffic {
    logs: Child,
    reader: JoinHandle<Option<Sums>>,
    janitor: Janitor,
    delete: Command,
}

/// Removes the client's pod when this process ends without having done so, even by SIGKILL.
struct Janitor {
    process: Child,
    input: ChildStdin,
}

impl Traffic {
    /// Starts it and begins to read its sums into the view.
    pub fn start(cluster: &Cluster, view: SharedView) -> Result<Self> {
        let janitor = Janitor::start(cluster)?;
        let pod = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": NAME, "namespace": NAMESPACE},
            "spec": {
                "restartPolicy": "Never",
                "activeDeadlineSeconds": LIFE_SECONDS,
                "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
                "containers": [{
                    "name": NAME,
                    "image": REQUEST_COUNTER,
                    "args": ["--rate=120", format!("http://web.{NAMESPACE}.svc/hostname")],
                    "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
                }],
            },
        });
        manifests::install::apply(cluster, "start the request counter", &pod.to_string())?;
        let kubectl = |arguments: &[&str]| {
            let mut command = cluster.kubectl();
            command.args(["--namespace", NAMESPACE]).args(arguments);
            command
        };
        let limit = format!("--timeout={}s", START_LIMIT.as_secs());
        let mut wait = kubectl(&["wait", "--for=condition=Ready", &limit, "pod/request-counter"]);
        process::output("wait for the request counter", &mut wait, START_LIMIT + Duration::from_secs(10))?;
        let mut logs = kubectl(&["logs", "--follow", NAME])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("failed to start kubectl to follow the request counter")?;
        let output = logs.stdout.take().context("failed to read what the request counter says")?;
        let reader = thread::spawn(move || {
            let mut last_word = None;
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                match serde_json::from_str(&line) {
                    Ok(Line::Progress(sums)) => look(&view).sums = Some(sums),
                    Ok(Line::Summary(sums)) => last_word = Some(sums),
                    Err(_) => {}
                }
            }
            last_word
        });
        let delete = kubectl(&["delete", "pod", NAME, "--wait=true", "--timeout=60s"]);
        Ok(Self { logs, reader, janitor, delete })
    }

    /// Ends the client and gives its sums: it says them while its pod is being deleted.
    pub fn finish(mut self) -> Result<Sums> {
        process::output("end the request counter", &mut self.delete, Duration::from_secs(70))?;
        self.janitor.dismiss();
        let sums = self.reader.join().map_err(|_| anyhow!("failed to read the request counter's sums"))?;
        let _ = self.logs.wait();
        sums.context("the request counter ended without its sums")
    }
}

impl Janitor {
    fn start(cluster: &Cluster) -> Result<Self> {
        let kubectl = cluster.kubectl();
        let mut command = Command::new("sh");
        command.env("STATUS", cluster.line("cluster", "status"));
        command.args(["-c", JANITOR, "sh"]).arg(kubectl.get_program()).args(kubectl.get_args());
        command.args(["--namespace", NAMESPACE]);
        for (name, value) in kubectl.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .process_group(0)
            .spawn()
            .context("failed to start the process that cleans up after the demo")?;
        let input = process.stdin.take().context("failed to talk to the process that cleans up after the demo")?;
        Ok(Self { process, input })
    }

    fn dismiss(mut self) {
        // If it is gone already there is nobody to dismiss.
        let _ = self.input.write_all(b"done\n");
        let _ = self.process.wait();
    }
}
