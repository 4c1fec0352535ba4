//! When a request is sent once more: a read whenever the server is not ready for it, a write only if the server says that
//! it has not looked at it (429). All other failures are left to the queue, which tries again on fresh data (H2).

use std::time::Duration;

use http::{Method, Request, Response, StatusCode, header::RETRY_AFTER};
use kube::client::Body;
use tokio::time::{Instant, sleep};

use super::{Fence, REQUEST_TIMEOUT};
use crate::backoff::Backoff;

const BACKOFF: Backoff = Backoff { base: Duration::from_millis(200), max: Duration::from_secs(2) };

/// The same client, with retries within [`REQUEST_TIMEOUT`]. A write is not sent again behind a closed fence.
pub(super) fn retrying(client: kube::Client, fence: Fence) -> kube::Client {
    let namespace = client.default_namespace().to_owned();
    kube::Client::new(tower::service_fn(move |request| send(client.clone(), fence.clone(), request)), namespace)
}

async fn send(client: kube::Client, fence: Fence, request: Request<Body>) -> kube::Result<Response<Body>> {
    let ends = Instant::now() + REQUEST_TIMEOUT;
    let (parts, body) = request.into_parts();
    for failures in 1.. {
        let Some(copy) = body.try_clone() else { break };
        let answer = client.send(Request::from_parts(parts.clone(), copy)).await?;
        let Some(pause) = pause(&parts.method, &answer, failures) else { return Ok(answer) };
        // An answer is worth more than a time-out, after which nobody knows what became of the request.
        if Instant::now() + pause >= ends {
            return Ok(answer);
        }
        sleep(pause).await;
        if parts.method != Method::GET && !fence.allows_request_of(REQUEST_TIMEOUT) {
            return Ok(answer);
        }
    }
    client.send(Request::from_parts(parts, body)).await
}

/// How long to wait before the request is sent again; `None` if it must not be.
fn pause(method: &Method, answer: &Response<Body>, failures: u32) -> Option<Duration> {
    let is_refused = match answer.status() {
        StatusCode::TOO_MANY_REQUESTS => true,
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => *method == Method::GET,
        _ => false,
    };
    let asked = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let asked = Duration::from_secs(asked.unwrap_or(0));
    is_refused.then(|| asked.saturating_add(BACKOFF.delay(failures, rand::random())))
}
