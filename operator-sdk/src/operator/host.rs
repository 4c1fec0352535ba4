//! What a process runs on. The verb `run` makes it of a command line and the machine; a simulation makes its own.

use std::fmt;

use futures::future::BoxFuture;
use tokio::net::TcpListener;

use crate::{
    client::Connector,
    clock::Clock,
    leader::{Place, Timing},
};

/// What a process runs on.
pub struct Host {
    /// The way to the cluster.
    pub connector: Connector,
    /// The time.
    pub clock: Clock,
    /// The pod's name: part of the identity in the Lease and in Events.
    pub pod_name: String,
    /// `None`: the process shares its work with nobody.
    pub candidacy: Option<Candidacy>,
    /// Where probes and metrics are served; `None`: nowhere.
    pub listener: Option<TcpListener>,
    /// Completes, with the reason, when the process is to end in good order.
    pub stop: BoxFuture<'static, &'static str>,
}

impl fmt::Debug for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Host").field("pod_name", &self.pod_name).finish_non_exhaustive()
    }
}

/// How a process stands for election.
#[derive(Clone, Debug)]
pub struct Candidacy {
    /// The Lease's namespace.
    pub namespace: String,
    /// How long everything takes.
    pub timing: Timing,
    /// Where the election runs.
    pub place: Place,
}
