//! Where faults stand: between a client and the server.

use futures::future::BoxFuture;

use crate::{
    request::{Reply, Request},
    watch::WatchEvent,
};

/// Sees every request and every watch event of the connections that it is given to, and may delay, change or drop them.
/// A future that takes its time is a delay; one that never ends is a hang. Events of one watch wait for each other, so that
/// their order holds.
pub trait Interceptor: Send + Sync + 'static {
    /// Before the server sees a request.
    fn request<'a>(&'a self, _request: &'a mut Request) -> BoxFuture<'a, Passage> {
        Box::pin(async { Passage::Pass })
    }

    /// After the server handled it (a watch: began it), before the client learns of it. A watch has no reply yet: its
    /// `reply` is a 200 without body.
    fn reply<'a>(&'a self, _request: &'a Request, _reply: &'a mut Reply) -> BoxFuture<'a, Passage> {
        Box::pin(async { Passage::Pass })
    }

    /// An event of a watch before the client gets it.
    fn event<'a>(&'a self, _request: &'a Request, _event: &'a WatchEvent) -> BoxFuture<'a, Delivery> {
        Box::pin(async { Delivery::Pass })
    }
}

/// What becomes of a request or of its reply.
#[derive(Debug)]
pub enum Passage {
    /// It goes on.
    Pass,
    /// The client gets this reply instead.
    Answer(Reply),
    /// The connection breaks: the client gets a transport error.
    Break,
    /// The client never hears of it.
    Hang,
}

/// What becomes of a watch event.
#[derive(Debug)]
pub enum Delivery {
    /// It goes on.
    Pass,
    /// The client does not get it. No correct server does that in one watch.
    Drop,
    /// The client gets it twice.
    Twice,
    /// The client gets these bytes instead, as they are.
    Garble(bytes::Bytes),
    /// The client gets it, and then the watch ends.
    Last(End),
    /// The client does not get it, and the watch ends.
    End(End),
}

/// How a watch ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// As at its time-out: cleanly.
    Close,
    /// The connection breaks.
    Break,
    /// Nothing comes any more, and the connection stays.
    Hang,
    /// With an ERROR event 410 Expired.
    Expired,
}
