//! Watches the example's pods by `kubectl get --watch` and folds what it says into the view.

use std::io::BufReader;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::NAMESPACE;
use super::screen::Screen;
use super::view::View;
use crate::cluster::Cluster;

const POLL: Duration = Duration::from_millis(100);

/// The view, shared by those who fill it and those who show it.
pub type SharedView = Arc<Mutex<View>>;

/// The view at this moment.
pub fn look(view: &SharedView) -> MutexGuard<'_, View> {
    // A thread that panicked while it changed the view has left it whole: every change is a single insertion.
    view.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A watch under way; it ends when this is dropped.
pub struct Watch {
    view: SharedView,
    kubectl: Child,
    /// What the user can type to see more.
    look_line: String,
}

impl Watch {
    /// Starts to watch.
    pub fn start(cluster: &Cluster) -> Result<Self> {
        let mut command = cluster.kubectl();
        command.args(["--namespace", NAMESPACE, "get", "pods", "--selector=app=web", "--watch"]);
        command.args(["--output-watch-events", "--output=json"]);
        let mut kubectl = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("failed to start kubectl to watch the pods")?;
        let output = kubectl.stdout.take().context("failed to read what kubectl watches")?;
        let view = SharedView::default();
        let filled = Arc::clone(&view);
        thread::spawn(move || {
            let events = serde_json::Deserializer::from_reader(BufReader::new(output)).into_iter::<Value>();
            for event in events.map_while(Result::ok) {
                look(&filled).take(&event);
            }
        });
        let look_line = cluster.line("kubectl", &format!("-n {NAMESPACE} get ldeploy,lrs,pods,events"));
        Ok(Self { view, kubectl, look_line })
    }

    /// What is seen.
    #[must_use]
    pub fn view(&self) -> SharedView {
        Arc::clone(&self.view)
    }

    /// Shows the view until a condition holds; gives how long that took.
    pub fn wait_for(
        &self,
        screen: &mut Screen,
        what: &str,
        limit: Duration,
        mut holds: impl FnMut(&View) -> Result<bool>,
    ) -> Result<Duration> {
        let started = Instant::now();
        loop {
            let view = look(&self.view).clone();
            screen.draw(what);
            if holds(&view)? {
                screen.flush(what);
                return Ok(started.elapsed());
            }
            if started.elapsed() > limit {
                screen.end();
                bail!(
                    "waited {} s until {what}; last seen: {}; look by `{}`",
                    limit.as_secs(),
                    view.line(),
                    self.look_line
                );
            }
            thread::sleep(POLL);
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        let _ = self.kubectl.kill();
        let _ = self.kubectl.wait();
    }
}
