//! A process's way to the server. What has left the process goes its way whatever becomes of the sender: each request is a task of the
//! world, and the process waits at its own end for the answer.

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::future::{BoxFuture, pending};
use kube::client::Body;
use tokio::sync::oneshot;
use tower::Service;

use super::{
    process::{Life, Process},
    tap::Tap,
    world::World,
};
use crate::{
    request::Request,
    service::{Broken, Called, Connection, ReplyBody},
};

/// A process's way to the server: a service for `kube::Client`, and for requests as they are.
#[derive(Clone)]
pub struct Wire {
    world: World,
    connection: Connection,
    process: Arc<Process>,
    life: Arc<Life>,
}

impl fmt::Debug for Wire {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Wire").field(self.process.name()).finish()
    }
}

impl Wire {
    pub(super) fn new(world: World, process: Arc<Process>, life: Arc<Life>) -> Self {
        let connection = world.network().connect(process.definition.user.clone(), process.view());
        Self { world, connection, process, life }
    }

    /// Sends a request.
    ///
    /// # Errors
    /// If the connection breaks before there is an answer.
    pub async fn send(&self, request: Request) -> Result<Called, Broken> {
        let (tap, connection) = self.tapped(Request { body: Bytes::new(), ..request.clone() });
        self.carry(tap, async move { connection.send(request).await }).await
    }

    /// A way for one request, of which this is the head.
    fn tapped(&self, head: Request) -> (Arc<Tap>, Connection) {
        let tap = Arc::new(Tap::new(self.world.clone(), Arc::clone(&self.process), Arc::clone(&self.life), head));
        (Arc::clone(&tap), self.connection.clone().with_interceptor(tap))
    }

    /// Lets `asking` run by itself, and waits for what comes of it: for ever, if this process is not there to hear of it.
    fn carry<T: Send + 'static, F: Future<Output = Result<T, Broken>> + Send + 'static>(
        &self,
        tap: Arc<Tap>,
        asking: F,
    ) -> impl Future<Output = Result<T, Broken>> + Send + use<T, F> {
        let (sender, answer) = oneshot::channel();
        let (process, life) = (Arc::clone(&self.process), Arc::clone(&self.life));
        if !life.is_dead() {
            // Not each task of a process is held still with it (kube spawns some), but what they send is: but for what has left
            // in the instant in which the process stopped.
            let is_held = life.gate.has_been_shut();
            if !is_held {
                tap.leave();
            }
            let life = Arc::clone(&life);
            tokio::spawn(async move {
                if is_held {
                    life.gate.opened().await;
                    tap.leave();
                }
                process.network.opened().await;
                // Given up while nothing got through: a closed connection sends nothing any more.
                if sender.is_closed() {
                    return tap.note_in_vain();
                }
                let answered = asking.await;
                process.network.opened().await;
                let _ = sender.send(answered);
            });
        }
        async move {
            match life.gate.hold(answer).await {
                Ok(answered) => answered,
                Err(_) => pending().await,
            }
        }
    }
}

impl Service<http::Request<Body>> for Wire {
    type Response = http::Response<ReplyBody>;
    type Error = Broken;
    type Future = BoxFuture<'static, Result<Self::Response, Broken>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let uri = request.uri();
        let mut head = Request::new(request.method().clone(), Request::parse_path(uri.path()));
        head.query = Request::parse_query(uri.query().unwrap_or_default());
        let (tap, mut connection) = self.tapped(head);
        Box::pin(self.carry(tap, async move { Service::call(&mut connection, request).await }))
    }
}
