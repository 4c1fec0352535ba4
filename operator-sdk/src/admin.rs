//! The process's own HTTP: `/livez`, `/readyz` (with `?verbose`) and `/metrics`.

use std::{fmt, net::SocketAddr, sync::Arc};

use axum::{
    Router,
    extract::{RawQuery, State},
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use tokio::net::TcpListener;

/// A question with a name: `Ok` if all is well, else what is wrong.
pub struct Check {
    name: String,
    ask: Box<dyn Fn() -> Result<(), String> + Send + Sync>,
}

impl Check {
    /// A check that asks `ask` each time it is looked at.
    pub fn new(name: impl Into<String>, ask: impl Fn() -> Result<(), String> + Send + Sync + 'static) -> Self {
        Self { name: name.into(), ask: Box::new(ask) }
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Check").field(&self.name).finish()
    }
}

/// What the server shows.
pub struct Admin {
    /// All must pass, or the process is to be restarted.
    pub live: Vec<Check>,
    /// All must pass before the process counts as ready.
    pub ready: Vec<Check>,
    /// The text behind `/metrics`.
    pub metrics: Box<dyn Fn() -> Result<String, fmt::Error> + Send + Sync>,
}

impl fmt::Debug for Admin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Admin").field("live", &self.live).field("ready", &self.ready).finish_non_exhaustive()
    }
}

/// The port is taken, or may not be used.
#[derive(Debug, thiserror::Error)]
#[error("failed to listen on {address}: {source}; choose another --admin-address")]
pub struct ListenError {
    address: SocketAddr,
    source: std::io::Error,
}

/// Opens the port.
///
/// # Errors
/// If the address cannot be listened on.
pub async fn listen(address: SocketAddr) -> Result<TcpListener, ListenError> {
    TcpListener::bind(address).await.map_err(|source| ListenError { address, source })
}

/// Serves until the future is dropped.
pub async fn serve(listener: TcpListener, admin: Admin) -> std::io::Result<()> {
    let router = Router::new()
        .route("/livez", get(live))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(Arc::new(admin));
    axum::serve(listener, router).await
}

async fn live(State(admin): State<Arc<Admin>>, RawQuery(query): RawQuery) -> impl IntoResponse {
    answer(&admin.live, query.as_deref())
}

async fn ready(State(admin): State<Arc<Admin>>, RawQuery(query): RawQuery) -> impl IntoResponse {
    answer(&admin.ready, query.as_deref())
}

async fn metrics(State(admin): State<Arc<Admin>>) -> impl IntoResponse {
    let content_type = [(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")];
    match (admin.metrics)() {
        Ok(text) => (StatusCode::OK, content_type, text),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, content_type, error.to_string()),
    }
}

/// `ok`, or each check on a line of its own, in the form of the API server's own probes.
fn answer(checks: &[Check], query: Option<&str>) -> (StatusCode, String) {
    let is_verbose = query.is_some_and(|query| query.split('&').any(|part| part.starts_with("verbose")));
    let mut text = String::new();
    let mut status = StatusCode::OK;
    for check in checks {
        match (check.ask)() {
            Ok(()) => text.push_str(&format!("[+]{} ok\n", check.name)),
            Err(problem) => {
                status = StatusCode::SERVICE_UNAVAILABLE;
                text.push_str(&format!("[-]{} failed: {problem}\n", check.name));
            }
        }
    }
    if status == StatusCode::OK && !is_verbose {
        text = "ok".to_owned();
    }
    (status, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_check_is_named_and_a_passing_probe_is_short() {
        let good = || Check::new("good", || Ok(()));
        let bad = Check::new("watch pods", || Err("not synced".to_owned()));
        assert_eq!(answer(&[good()], None), (StatusCode::OK, "ok".to_owned()));
        assert_eq!(answer(&[good()], Some("verbose")), (StatusCode::OK, "[+]good ok\n".to_owned()));
        let (status, text) = answer(&[good(), bad], None);
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(text, "[+]good ok\n[-]watch pods failed: not synced\n");
    }
}
