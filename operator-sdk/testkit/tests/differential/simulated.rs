//! The simulated server, asked by the same client through its in-process face.

use std::time::Duration;

use kube::{Client, client::Body};
use operator_testkit::{request::User, server::Server, service::Network, view::ViewId};
use serde_json::{Value, json};
use tower::Service;

use crate::{
    case::{Case, File},
    normal,
    run::{self, Observed, Pace},
};

/// The header by which the administrator of a real server speaks for others.
const FOR_USER: &str = "impersonate-user";

/// The normalised answers to a case, from a server of its own in its own time.
pub fn run(file: &File, case: &Case, pace: Pace<'_>) -> Value {
    std::thread::scope(|scope| {
        let run = scope.spawn(|| normal::normalise(&in_own_time(observe(file, case, pace))));
        run.join().unwrap_or_else(|_| json!("the simulated server panicked"))
    })
}

async fn observe(file: &File, case: &Case, pace: Pace<'_>) -> Observed {
    let mut server = Server::new(1);
    server.enforce_permissions(true);
    let network = Network::new(server);
    let client = client(&network);
    run::prepare(&client, file).await;
    let part = u64::try_from(network.now().subsec_nanosecond()).unwrap_or_default();
    tokio::time::sleep(Duration::from_secs(1) - Duration::from_nanos(part)).await;
    run::run(&client, &file.definitions, case, "simulated", pace).await
}

/// A client that may speak for others, as on the real server.
fn client(network: &Network) -> Client {
    let network = network.clone();
    Client::new(
        tower::service_fn(move |request: http::Request<Body>| {
            let name = request.headers().get(FOR_USER).and_then(|name| name.to_str().ok());
            let mut connection = network.connect(name.map_or_else(User::administrator, user), ViewId::default());
            Service::call(&mut connection, request)
        }),
        "default",
    )
}

fn user(name: &str) -> User {
    match name.strip_prefix("system:serviceaccount:").and_then(|account| account.split_once(':')) {
        Some((namespace, name)) => User::service_account(namespace, name),
        None => User { name: name.into(), groups: vec!["system:authenticated".into()], extra: Vec::new() },
    }
}

fn in_own_time<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(future)
}
