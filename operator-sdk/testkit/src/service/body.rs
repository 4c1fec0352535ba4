//! A watch as a client sees it: events as they come, until it ends.

use std::{
    collections::VecDeque,
    future, mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::{
    Stream, StreamExt,
    stream::{self, BoxStream},
};
use http_body::Frame;

use super::{Broken, Delivery, End, Interceptor, Network};
use crate::{request::Request, server::WatchId, watch::WatchEvent};

/// A watch under way: a stream of lines. Dropping it ends the watch.
pub struct Watching(BoxStream<'static, Result<Line, Broken>>);

/// What a client gets of a watch.
#[derive(Debug)]
pub enum Line {
    /// An event.
    Event(WatchEvent),
    /// Bytes that an interceptor put in the place of one.
    Garbled(Bytes),
}

/// The body of a reply: all at once, or the lines of a watch.
pub enum ReplyBody {
    /// All at once.
    Whole(Option<Bytes>),
    /// The lines of a watch.
    Lines(Watching),
}

struct State {
    network: Network,
    watch: WatchId,
    request: Request,
    interceptor: Option<Arc<dyn Interceptor>>,
    events: VecDeque<WatchEvent>,
    ready: VecDeque<Line>,
    end: Option<End>,
}

impl Line {
    /// The line as bytes.
    pub fn bytes(&self) -> Bytes {
        match self {
            Self::Event(event) => event.line(),
            Self::Garbled(bytes) => bytes.clone(),
        }
    }
}

impl Watching {
    pub(super) fn new(
        network: Network,
        watch: WatchId,
        request: Request,
        interceptor: Option<Arc<dyn Interceptor>>,
    ) -> Self {
        let (events, ready) = (VecDeque::new(), VecDeque::new());
        let state = Box::new(State { network, watch, request, interceptor, events, ready, end: None });
        Self(stream::unfold(state, State::next).boxed())
    }
}

impl Stream for Watching {
    type Item = Result<Line, Broken>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_next_unpin(context)
    }
}

impl http_body::Body for ReplyBody {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        match &mut *self {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Lines(lines) => lines.poll_next_unpin(context).map_ok(|line| Frame::data(line.bytes())),
        }
    }
}

impl State {
    async fn next(mut self: Box<Self>) -> Option<(Result<Line, Broken>, Box<Self>)> {
        loop {
            if let Some(line) = self.ready.pop_front() {
                return Some((Ok(line), self));
            }
            match self.end {
                Some(End::Close) => return None,
                Some(End::Hang) => future::pending().await,
                Some(End::Break) => {
                    self.end = Some(End::Close);
                    return Some((Err(Broken), self));
                }
                Some(End::Expired) => {
                    self.end = Some(End::Close);
                    self.ready.push_back(Line::Event(WatchEvent::expired()));
                }
                None => match self.events.pop_front() {
                    Some(event) => self.deliver(event).await,
                    None => self.wait().await,
                },
            }
        }
    }

    async fn deliver(&mut self, event: WatchEvent) {
        let delivery = match &self.interceptor {
            Some(interceptor) => interceptor.event(&self.request, &event).await,
            None => Delivery::Pass,
        };
        match delivery {
            Delivery::Pass => self.ready.push_back(Line::Event(event)),
            Delivery::Drop => {}
            Delivery::Twice => self.ready.extend([Line::Event(event.clone()), Line::Event(event)]),
            Delivery::Garble(bytes) => self.ready.push_back(Line::Garbled(bytes)),
            Delivery::Last(end) => {
                self.ready.push_back(Line::Event(event));
                self.end = Some(end);
            }
            Delivery::End(end) => self.end = Some(end),
        }
    }

    /// Until there are events, or the watch ends.
    async fn wait(&mut self) {
        let pulled = self.network.pull(self.watch).await;
        self.events.extend(pulled.events);
        self.end = pulled.is_ended.then_some(End::Close).filter(|_| self.events.is_empty());
    }
}

impl Drop for State {
    fn drop(&mut self) {
        let watch = mem::take(&mut self.watch);
        self.network.with(|server, _| server.end_watch(watch));
    }
}
