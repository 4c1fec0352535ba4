//! The server in this process: under `kube::Client` as a tower service, and for actors without one.
//!
//! Time is tokio's, so it passes at once in a paused runtime; nothing of the server runs between requests.

mod body;
mod intercept;

use std::{
    collections::BTreeMap,
    future::{self, Future},
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::{BufMut, Bytes, BytesMut};
use futures::future::BoxFuture;
use http::Response;
use jiff::Timestamp;
use kube::client::Body as RequestBody;
use serde_json::Value;
use tokio::time::Instant;

pub use self::body::{Line, ReplyBody, Watching};
pub use self::intercept::{Delivery, End, Interceptor, Passage};
use crate::{
    request::{Answer, Reply, Request, User},
    server::{Server, WatchId},
    view::ViewId,
    watch::Pulled,
};

/// When the time of a server begins: 2026-01-01T00:00:00Z.
pub const START: Timestamp = Timestamp::constant(1_767_225_600, 0);

/// A running server; clones are the same one.
#[derive(Clone)]
pub struct Network {
    shared: Arc<Mutex<Shared>>,
    start: Instant,
}

struct Shared {
    server: Server,
    /// Who waits for events of a watch.
    watching: BTreeMap<WatchId, Waker>,
    /// Who waits for a view.
    waiting: Vec<Waker>,
    next_request: u64,
}

/// One client's way to the server.
#[derive(Clone)]
pub struct Connection {
    network: Network,
    user: User,
    view: ViewId,
    user_agent: String,
    interceptor: Option<Arc<dyn Interceptor>>,
}

/// The connection broke: what kube-client sees of a server that is gone.
#[derive(Debug, thiserror::Error)]
#[error("connection reset by the simulated network")]
pub struct Broken;

/// What came of a request.
pub enum Called {
    /// A reply.
    Reply(Reply),
    /// A watch under way.
    Watch(Watching),
}

impl Network {
    /// Runs a server from now on, in tokio's time.
    pub fn new(server: Server) -> Self {
        let shared = Shared { server, watching: BTreeMap::new(), waiting: Vec::new(), next_request: 1 };
        Self { shared: Arc::new(Mutex::new(shared)), start: Instant::now() }
    }

    /// The server's time.
    pub fn now(&self) -> Timestamp {
        // Not by an addition, which works out more than this and is asked for at every step.
        let elapsed = self.start.elapsed();
        let second = START.as_second().saturating_add_unsigned(elapsed.as_secs());
        Timestamp::new(second, elapsed.subsec_nanos().cast_signed()).unwrap_or(Timestamp::MAX)
    }

    /// A way to the server for a client.
    pub fn connect(&self, user: User, view: ViewId) -> Connection {
        Connection { network: self.clone(), user, view, user_agent: "operator-testkit".to_owned(), interceptor: None }
    }

    /// Looks at the server, or changes what is not asked by requests (views, rights); who waits for it is woken.
    pub fn with<T>(&self, act: impl FnOnce(&mut Server, Timestamp) -> T) -> T {
        let now = self.now();
        let (result, wakers) = {
            let mut shared = self.lock();
            (act(&mut shared.server, now), shared.take_wakers())
        };
        wakers.into_iter().for_each(Waker::wake);
        result
    }

    pub(crate) fn next_request(&self) -> u64 {
        let mut shared = self.lock();
        shared.next_request += 1;
        shared.next_request - 1
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn handle(&self, request: &mut Request) -> Answer {
        request.received = self.now();
        loop {
            let answer = self.with(|server, now| server.handle(now, request));
            let Answer::Wait { view, revision, until } = answer else { return answer };
            self.wait_for(view, revision, until).await;
        }
    }

    async fn wait_for(&self, view: ViewId, revision: u64, until: Timestamp) {
        self.poll_until(|waker| {
            let now = self.now();
            let mut shared = self.lock();
            shared.server.advance(now);
            if now >= until || shared.server.view(view).is_none_or(|view| view.revision >= revision) {
                return Ok(());
            }
            shared.waiting.push(waker.clone());
            Err(Some(shared.server.view_due(view).map_or(until, |due| due.min(until))))
        })
        .await;
    }

    /// Asks until there is an answer: whenever woken, and at the time that was named last.
    async fn poll_until<T>(&self, mut ask: impl FnMut(&Waker) -> Result<T, Option<Timestamp>>) -> T {
        let mut sleep = pin!(tokio::time::sleep(Duration::ZERO));
        future::poll_fn(move |context| {
            loop {
                match ask(context.waker()) {
                    Ok(answer) => return Poll::Ready(answer),
                    Err(None) => return Poll::Pending,
                    Err(Some(due)) => sleep.as_mut().reset(Instant::now() + self.until(due)),
                }
                if sleep.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
            }
        })
        .await
    }

    /// Sleeps until a watch has something to say, or its time is over.
    async fn pull(&self, watch: WatchId) -> Pulled {
        self.poll_until(|waker| {
            let now = self.now();
            let mut shared = self.lock();
            let pulled = shared.server.next_events(watch, now);
            if pulled.is_ended || !pulled.events.is_empty() {
                return Ok(pulled);
            }
            shared.watching.insert(watch, waker.clone());
            Err(shared.server.watch_due(watch))
        })
        .await
    }

    fn until(&self, time: Timestamp) -> Duration {
        Duration::try_from(time.duration_since(self.now())).unwrap_or_default()
    }
}

impl Connection {
    /// The same with somebody in between.
    #[must_use]
    pub fn with_interceptor(mut self, interceptor: Arc<dyn Interceptor>) -> Self {
        self.interceptor = Some(interceptor);
        self
    }

    /// The same under another User-Agent, which names the writer of fields if the request does not.
    #[must_use]
    pub fn with_user_agent(mut self, user_agent: &str) -> Self {
        self.user_agent = user_agent.to_owned();
        self
    }

    /// A client of kube. Its worker is a task of the current runtime.
    pub fn client(&self, default_namespace: &str) -> kube::Client {
        kube::Client::new(self.clone(), default_namespace)
    }

    /// Sends a request and takes the reply or the watch, without the cost of a client.
    pub async fn send(&self, mut request: Request) -> Result<Called, Broken> {
        request.user = self.user.clone();
        request.view = self.view;
        request.id = self.network.next_request();
        if request.user_agent.is_empty() {
            request.user_agent.clone_from(&self.user_agent);
        }
        if let Some(interceptor) = &self.interceptor {
            let passage = interceptor.request(&mut request).await;
            if let Some(reply) = passage.stop().await? {
                return Ok(Called::Reply(reply));
            }
        }
        let (mut reply, watch) = match self.network.handle(&mut request).await {
            Answer::Reply(reply) => (reply, None),
            Answer::Watch(watch) => (Reply::text(200, ""), Some(watch)),
            Answer::Wait { .. } => return Err(Broken),
        };
        let watching =
            watch.map(|watch| Watching::new(self.network.clone(), watch, request.clone(), self.interceptor.clone()));
        if let Some(interceptor) = &self.interceptor {
            let passage = interceptor.reply(&request, &mut reply).await;
            if let Some(reply) = passage.stop().await? {
                return Ok(Called::Reply(reply));
            }
        }
        Ok(watching.map_or(Called::Reply(reply), Called::Watch))
    }

    /// Sends a request that is no watch.
    pub async fn call(&self, request: Request) -> Result<Reply, Broken> {
        match self.send(request).await? {
            Called::Reply(reply) => Ok(reply),
            Called::Watch(_) => Err(Broken),
        }
    }

    /// Begins a watch.
    pub async fn watch(&self, request: Request) -> Result<Result<Watching, Reply>, Broken> {
        Ok(match self.send(request.with_query("watch", "true")).await? {
            Called::Watch(watching) => Ok(watching),
            Called::Reply(reply) => Err(reply),
        })
    }
}

impl tower::Service<http::Request<RequestBody>> for Connection {
    type Response = Response<ReplyBody>;
    type Error = Broken;
    type Future = BoxFuture<'static, Result<Self::Response, Broken>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<RequestBody>) -> Self::Future {
        let connection = self.clone();
        Box::pin(async move {
            let request = read(request).await?;
            let (reply, body) = match connection.send(request).await? {
                Called::Reply(reply) => {
                    let bytes = if reply.is_json() { with_line_end(&reply.bytes()) } else { reply.bytes() };
                    (reply, ReplyBody::Whole(Some(bytes)))
                }
                Called::Watch(watching) => (Reply::value(200, Value::Null), ReplyBody::Lines(watching)),
            };
            let mut response = Response::builder().status(reply.code).header("content-type", reply.content_type());
            for (name, value) in &reply.headers {
                response = response.header(*name, value);
            }
            response.body(body).map_err(|_| Broken)
        })
    }
}

impl Passage {
    /// What the client gets instead; `None`: all goes on.
    async fn stop(self) -> Result<Option<Reply>, Broken> {
        match self {
            Self::Pass => Ok(None),
            Self::Answer(reply) => Ok(Some(reply)),
            Self::Break => Err(Broken),
            Self::Hang => future::pending().await,
        }
    }
}

impl Shared {
    /// Those who are to be woken, once the lock is let go.
    fn take_wakers(&mut self) -> Vec<Waker> {
        let woken = self.server.take_woken();
        let mut wakers: Vec<Waker> = woken.iter().filter_map(|watch| self.watching.remove(watch)).collect();
        wakers.append(&mut self.waiting);
        wakers
    }
}

/// The real server ends JSON with a line.
fn with_line_end(body: &Bytes) -> Bytes {
    let mut bytes = BytesMut::with_capacity(body.len() + 1);
    bytes.put_slice(body);
    bytes.put_u8(b'\n');
    bytes.freeze()
}

async fn read(request: http::Request<RequestBody>) -> Result<Request, Broken> {
    let (head, body) = request.into_parts();
    let header = |name: http::HeaderName| {
        head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    };
    let mut read = Request::new(head.method.clone(), Request::parse_path(head.uri.path()));
    read.query = Request::parse_query(head.uri.query().unwrap_or_default());
    read.content_type = header(http::header::CONTENT_TYPE);
    read.accept = header(http::header::ACCEPT);
    read.user_agent = header(http::header::USER_AGENT);
    read.body = body.collect_bytes().await.map_err(|_| Broken)?;
    Ok(read)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "the raw client is what is tested")]
mod tests {
    use futures::{StreamExt, TryStreamExt, pin_mut};
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::{
        Api, ResourceExt,
        api::{ListParams, PostParams, WatchEvent, WatchParams},
    };

    use super::*;

    fn network() -> Network {
        Network::new(Server::new(1))
    }

    fn config_map(name: &str) -> ConfigMap {
        let mut object = ConfigMap::default();
        object.metadata.name = Some(name.to_owned());
        object
    }

    #[tokio::test(start_paused = true)]
    async fn a_kube_client_creates_lists_and_watches() {
        let client = network().connect(User::administrator(), ViewId::default()).client("default");
        let maps: Api<ConfigMap> = Api::default_namespaced(client);
        let first = maps.create(&PostParams::default(), &config_map("a")).await.unwrap();
        assert_eq!(first.creation_timestamp().unwrap().0, START);
        let list = maps.list(&ListParams::default()).await.unwrap();
        assert_eq!(list.items, [first]);
        let events = maps.watch(&WatchParams::default(), &list.metadata.resource_version.unwrap()).await.unwrap();
        pin_mut!(events);
        maps.create(&PostParams::default(), &config_map("b")).await.unwrap();
        let event = events.try_next().await.unwrap();
        assert!(matches!(event, Some(WatchEvent::Added(map)) if map.name_any() == "b"));
        let error = maps.create(&PostParams::default(), &config_map("b")).await.unwrap_err();
        assert!(matches!(error, kube::Error::Api(status) if status.reason == "AlreadyExists"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_tells_bookmarks_each_minute_and_ends_at_its_time_out() {
        let network = network();
        let connection = network.connect(User::administrator(), ViewId::default());
        let request = Request::new(http::Method::GET, "/api/v1/configmaps")
            .with_query("timeoutSeconds", "200")
            .with_query("allowWatchBookmarks", "true");
        let lines: Vec<_> = connection.watch(request).await.unwrap().unwrap().collect().await;
        assert_eq!(lines.len(), 4);
        assert_eq!(network.now(), START + Duration::from_secs(200));
        assert!(String::from_utf8_lossy(&lines[0].as_ref().unwrap().bytes()).starts_with("{\"type\":\"BOOKMARK\""));
    }

    #[tokio::test(start_paused = true)]
    async fn a_lagging_view_tells_later_and_makes_a_read_wait() {
        let network = network();
        let view = network.with(|server, _| {
            let view = server.add_view();
            server.set_lag(view, Duration::from_secs(2));
            view
        });
        let connection = network.connect(User::administrator(), view);
        let watch = connection.watch(Request::new(http::Method::GET, "/api/v1/namespaces/default/configmaps"));
        let mut watch = watch.await.unwrap().unwrap();
        let path = "/api/v1/namespaces/default/configmaps";
        let body = serde_json::json!({ "metadata": { "name": "a" } });
        let created = connection.call(Request::new(http::Method::POST, path).with_body(&body)).await.unwrap();
        let version = created.to_value()["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
        let stale = Request::new(http::Method::GET, path).with_query("resourceVersion", "0");
        let items = connection.call(stale).await.unwrap().to_value()["items"].as_array().unwrap().len();
        assert_eq!((items, network.now()), (0, START));
        let fresh = Request::new(http::Method::GET, path).with_query("resourceVersion", version);
        let items = connection.call(fresh).await.unwrap().to_value()["items"].as_array().unwrap().len();
        assert_eq!((items, network.now()), (1, START + Duration::from_secs(2)));
        assert!(watch.next().await.is_some());
    }

    struct Cutter;

    impl Interceptor for Cutter {
        fn reply<'a>(&'a self, _: &'a Request, _: &'a mut Reply) -> BoxFuture<'a, Passage> {
            Box::pin(async {
                tokio::time::sleep(Duration::from_secs(5)).await;
                Passage::Break
            })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_interceptor_delays_and_cuts_what_the_server_has_done() {
        let network = network();
        let connection = network.connect(User::administrator(), ViewId::default());
        let cut = connection.clone().with_interceptor(Arc::new(Cutter));
        let path = "/api/v1/namespaces/default/configmaps";
        let body = serde_json::json!({ "metadata": { "name": "a" } });
        assert!(cut.call(Request::new(http::Method::POST, path).with_body(&body)).await.is_err());
        assert_eq!(network.now(), START + Duration::from_secs(5));
        let found = connection.call(Request::new(http::Method::GET, format!("{path}/a"))).await.unwrap();
        assert_eq!(found.code, 200);
    }
}
