//! The loop that keeps a cache equal to the server: list, watch from there, begin again when told to.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures::{AsyncBufReadExt, Stream, StreamExt, pin_mut};
use http::{HeaderValue, header::ACCEPT_ENCODING};
use kube::api::{ListParams, ObjectList, Request, WatchParams};
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::{
    Shared, WentBack,
    event::{self, Event},
    list_revision,
    read::Read,
};
use crate::{
    backoff::Backoff,
    object::{Object, Revision},
};

/// Objects a page of a list. The server's own tools use the same.
const PAGE_SIZE: u32 = 500;
/// A watch is renewed after this long plus up to as much again, so that many watches do not fall due together. As in
/// client-go.
const WATCH_SECONDS_MIN: u32 = 300;
/// The server sends a bookmark every minute or so. A stream that says nothing for so long is dead, or stands at a
/// revision that the server has yet to reach, as after a restore; a list tells.
const SILENCE_LIMIT: Duration = Duration::from_secs(150);
const LIST_TIMEOUT: Duration = Duration::from_secs(60);
const BACKOFF: Backoff = Backoff { base: Duration::from_millis(250), max: Duration::from_secs(30) };

/// A watch that the server ends sooner than this counts as failed, lest a broken proxy keep us spinning.
const SHORTEST_WATCH: Duration = Duration::from_secs(1);

/// Lists are read from a quorum. So one that is older than what has been read means that the cluster's past has been put
/// back, from a backup; after so long, there is no other way to see it.
const OLDER_LISTS_LIMIT: Duration = Duration::from_secs(60);

/// Why a watch ended.
enum End {
    /// The server closed it, or nothing came; watch again from the same revision.
    Resume,
    /// The revision is gone, or somebody asked for a list.
    Relist,
    /// It failed, with a line for the log.
    Failed(String),
}

/// Why there is no list.
enum ListError {
    Failed(String),
    /// The list is at the first of these revisions, and the second has been read already.
    Older(Revision, Revision),
}

/// The requests of one kind, over all namespaces.
struct Api {
    client: kube::Client,
    request: Request,
}

impl Api {
    fn of<K: Object>(client: kube::Client) -> Self {
        Self { client, request: Request::new(K::url_path(&(), None)) }
    }

    async fn list<K: Object>(&self, params: &ListParams) -> kube::Result<ObjectList<Read<K>>> {
        let request = self.request.list(params).map_err(kube::Error::BuildRequest)?;
        self.client.request(request).await
    }

    /// The lines of a watch.
    async fn watch(
        &self,
        params: &WatchParams,
        from: &str,
    ) -> kube::Result<impl Stream<Item = std::io::Result<String>> + use<>> {
        let mut request = self.request.watch(params, from).map_err(kube::Error::BuildRequest)?;
        // Servers compress each event by itself, of which a client's layer, where it has one, undoes the first only.
        request.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        Ok(self.client.request_stream(request).await?.lines())
    }
}

/// Goes on until the server's history proves to have been put back.
pub(super) async fn run<K: Object>(shared: Arc<Shared<K>>, client: kube::Client) -> WentBack {
    let api = Api::of::<K>(client);
    let mut failures = 0;
    let mut resume: Option<String> = None;
    let mut older_since: Option<Instant> = None;
    loop {
        let from = match resume.take() {
            Some(resource_version) => Ok(resource_version),
            None => list(&api, &shared).await,
        };
        let started = Instant::now();
        let ended = match from {
            Ok(from) => {
                older_since = None;
                watch(&api, &shared, from, &mut resume, &mut failures).await
            }
            Err(ListError::Failed(message)) => End::Failed(message),
            Err(ListError::Older(listed, held)) => {
                if older_since.get_or_insert(started).elapsed() >= OLDER_LISTS_LIMIT {
                    return WentBack { resource: K::plural(&()).into_owned(), listed, held };
                }
                End::Failed(format!("the list is at revision {listed}, and {held} has been read already"))
            }
        };
        shared.restarts.fetch_add(1, Ordering::Relaxed);
        match ended {
            End::Resume if started.elapsed() >= SHORTEST_WATCH => debug!(resource = %K::plural(&()), "watch renewed"),
            End::Relist => resume = None,
            End::Resume => back_off(&shared, &mut failures, "the server closed the watch at once").await,
            End::Failed(error) => back_off(&shared, &mut failures, &error).await,
        }
    }
}

async fn back_off<K: Object>(shared: &Shared<K>, failures: &mut u32, error: &str) {
    *failures += 1;
    shared.note_failure(error);
    let delay = BACKOFF.delay(*failures, rand::random());
    warn!(resource = %K::plural(&()), %error, delay_seconds = delay.as_secs_f64(), "watch failed, trying again");
    tokio::time::sleep(delay).await;
}

/// One consistent list, in pages; returns the revision to watch from.
async fn list<K: Object>(api: &Api, shared: &Shared<K>) -> Result<String, ListError> {
    // Read before the request: a wish that comes while the list runs needs another one.
    let number = shared.lists_asked.load(Ordering::SeqCst);
    let mut params = ListParams::default().limit(PAGE_SIZE);
    let mut objects = Vec::new();
    let resource_version = loop {
        let request = tokio::time::timeout(LIST_TIMEOUT, api.list(&params));
        let page = match request.await {
            Ok(Ok(page)) => page,
            Ok(Err(error)) => return Err(ListError::Failed(format!("failed to list: {error}"))),
            Err(_) => return Err(ListError::Failed("failed to list: no answer in time".to_owned())),
        };
        objects.extend(page.items);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => break page.metadata.resource_version.unwrap_or_default(),
        }
    };
    let revision = list_revision(Some(&resource_version));
    let mut outcome = Ok(());
    shared.apply(|store| match store.replace_all(objects, revision) {
        Ok(changes) => changes,
        Err(held) => {
            outcome = Err(ListError::Older(revision, held));
            Vec::new()
        }
    });
    outcome?;
    shared.list_stored(number);
    Ok(resource_version)
}

async fn watch<K: Object>(
    api: &Api,
    shared: &Shared<K>,
    from: String,
    resume: &mut Option<String>,
    failures: &mut u32,
) -> End {
    let seconds = WATCH_SECONDS_MIN + rand::random_range(0..WATCH_SECONDS_MIN);
    let params = WatchParams::default().timeout(seconds);
    let opened = tokio::time::timeout(LIST_TIMEOUT, api.watch(&params, &from)).await;
    let lines = match opened {
        Ok(Ok(lines)) => lines,
        Ok(Err(error)) => return from_error(&error),
        Err(_) => return End::Failed("failed to open the watch: no answer in time".to_owned()),
    };
    *resume = Some(from);
    let settled = tokio::time::sleep(SHORTEST_WATCH);
    let silence = tokio::time::sleep(SILENCE_LIMIT);
    pin_mut!(lines, settled, silence);
    let mut is_settled = shared.failing().is_none();
    loop {
        let line = tokio::select! {
            biased;
            () = &mut settled, if !is_settled => {
                is_settled = true;
                shared.note_success();
                continue;
            }
            () = shared.relist.notified() => {
                if shared.lists_stored.load(Ordering::SeqCst) < shared.lists_asked.load(Ordering::SeqCst) {
                    return End::Relist;
                }
                continue;
            }
            line = lines.next() => line,
            () = &mut silence => {
                info!(resource = %K::plural(&()), "the watch is silent, listing anew");
                return End::Relist;
            }
        };
        // A connection that breaks, or an end within a line, is no worse than an end.
        let Some(Ok(line)) = line else { return End::Resume };
        if line.is_empty() {
            continue;
        }
        silence.as_mut().reset(Instant::now() + SILENCE_LIMIT);
        match Event::parse(&line) {
            Ok(Event::Is(read)) => {
                resume.clone_from(&read.meta().resource_version);
                shared.apply(|store| store.upsert(read));
            }
            Ok(Event::Gone(read)) => {
                resume.clone_from(&read.meta().resource_version);
                shared.apply(|store| store.remove(&read));
            }
            Ok(Event::Bookmark(resource_version)) => {
                let revision = list_revision(Some(&resource_version));
                shared.apply(|store| {
                    store.advance(Some(revision));
                    None
                });
                *resume = Some(resource_version);
            }
            Ok(Event::Error(status)) => {
                *resume = None;
                return from_error(&kube::Error::Api(status));
            }
            Err(error) if event::is_cut_off(&line, &error) => return End::Resume,
            Err(error) => {
                // The same event would come again and fail again: begin with a list instead.
                *resume = None;
                return End::Failed(format!("failed to read the watch: {error}"));
            }
        }
        *failures = 0;
        shared.note_success();
    }
}

/// What the server's refusal of a watch means.
fn from_error(error: &kube::Error) -> End {
    match error {
        kube::Error::Api(status) if status.code == 410 || is_from_the_future(status) => End::Relist,
        error => End::Failed(format!("failed to watch: {error}")),
    }
}

/// The server has not yet read the revision that another server gave us.
fn is_from_the_future(status: &kube::core::Status) -> bool {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes.into_iter().any(|cause| cause.reason == "ResourceVersionTooLarge")
}
