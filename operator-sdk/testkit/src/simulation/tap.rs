//! Stands between a process and the server: counts and notes what passes, lets it take its time, and has faults strike.

use std::{
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures::future::BoxFuture;
use jiff::Timestamp;
use tokio::time::sleep;

use super::{
    place::sort,
    process::{Life, Process},
    user,
    world::World,
};
use crate::{
    fault::{
        Effect, Garbling, Loss, Refusal, Seen,
        injector::{Sort, Strike},
    },
    record::{Answered, Notified, Requested},
    request::{Reply, Request, encode_query},
    service::{Delivery, End, Interceptor, Passage},
    watch::{EventKind, WatchEvent},
};

/// A request takes up to so long, and so does its answer.
const LATENCY_MAX_MILLISECONDS: u64 = 8;
/// An event takes up to so long.
const EVENT_LATENCY_MAX_MILLISECONDS: u64 = 20;
/// What the server allows itself for a request.
const SERVER_TIMEOUT: Duration = Duration::from_secs(34);

/// On the way of one request of one life of a process.
pub(super) struct Tap {
    world: World,
    process: Arc<Process>,
    life: Arc<Life>,
    /// The request, without its body.
    head: Request,
    /// What it counts as in a plan.
    sort: Sort,
    /// When the request left the process, however long a partition holds it back.
    sent: OnceLock<Timestamp>,
    /// What strikes when the answer comes.
    later: Mutex<Vec<Strike>>,
}

impl Interceptor for Tap {
    fn request<'a>(&'a self, request: &'a mut Request) -> BoxFuture<'a, Passage> {
        Box::pin(self.before(request))
    }

    fn reply<'a>(&'a self, request: &'a Request, reply: &'a mut Reply) -> BoxFuture<'a, Passage> {
        Box::pin(self.after(request, reply))
    }

    fn event<'a>(&'a self, request: &'a Request, event: &'a WatchEvent) -> BoxFuture<'a, Delivery> {
        Box::pin(self.deliver(request, event))
    }
}

impl Tap {
    pub(super) fn new(world: World, process: Arc<Process>, life: Arc<Life>, head: Request) -> Self {
        let sort = sort(&head);
        Self { world, process, life, head, sort, sent: OnceLock::new(), later: Mutex::default() }
    }

    /// The request leaves the process now, unless it has; returns when.
    pub(super) fn leave(&self) -> Timestamp {
        *self.sent.get_or_init(|| self.world.now())
    }

    async fn before(&self, request: &mut Request) -> Passage {
        request.view = self.process.view();
        let strikes = self.note(request);
        for strike in &strikes {
            match &strike.1 {
                Effect::CrashBefore(_) => {
                    self.strike(request, strike, None);
                    return Passage::Hang;
                }
                Effect::Lost(Loss { is_applied: false, seen_as }) => {
                    self.struck(request, strike);
                    return lose(*seen_as).await;
                }
                Effect::Refuse(refusal) => {
                    self.struck(request, strike);
                    let reply = refuse(refusal);
                    self.answered(request, &reply, true);
                    self.world.latency(LATENCY_MAX_MILLISECONDS).await;
                    return Passage::Answer(reply);
                }
                Effect::Race(_) => {
                    if user::written_path(request, None).is_some_and(|path| user::touch(&self.world, &path)) {
                        self.struck(request, strike);
                    }
                }
                Effect::Late(pause) => {
                    self.struck(request, strike);
                    sleep(Duration::from_secs(pause.seconds)).await;
                }
                effect if strikes_later(effect) => {}
                _ => self.strike(request, strike, None),
            }
        }
        let later = strikes.into_iter().filter(|(_, effect)| strikes_later(effect));
        self.later.lock().unwrap_or_else(PoisonError::into_inner).extend(later);
        self.world.latency(LATENCY_MAX_MILLISECONDS).await;
        Passage::Pass
    }

    async fn after(&self, request: &Request, reply: &mut Reply) -> Passage {
        self.answered(request, reply, false);
        self.world.recorder().guarantees.begin(request, reply);
        let later = std::mem::take(&mut *self.later.lock().unwrap_or_else(PoisonError::into_inner));
        for strike in later {
            match &strike.1 {
                Effect::CrashAfter(_) => {
                    self.strike(request, &strike, None);
                    return Passage::Hang;
                }
                Effect::Lost(loss) => {
                    self.struck(request, &strike);
                    return lose(loss.seen_as).await;
                }
                Effect::Slow(pause) => {
                    self.struck(request, &strike);
                    sleep(Duration::from_secs(pause.seconds)).await;
                }
                Effect::Garbled(garbling) => {
                    self.struck(request, &strike);
                    return Passage::Answer(garble(*garbling, reply));
                }
                _ => self.strike(request, &strike, user::written_path(request, Some(reply)).as_deref()),
            }
        }
        self.world.latency(LATENCY_MAX_MILLISECONDS).await;
        Passage::Pass
    }

    async fn deliver(&self, request: &Request, event: &WatchEvent) -> Delivery {
        let strikes = self.note_event(request, event);
        let mut delivery = Delivery::Pass;
        for strike in strikes {
            self.struck(request, &strike);
            delivery = match &strike.1 {
                Effect::WatchClose => Delivery::End(End::Close),
                Effect::WatchBreak => Delivery::End(End::Break),
                Effect::WatchHang => Delivery::End(End::Hang),
                Effect::WatchExpired => Delivery::End(End::Expired),
                Effect::WatchGarbage => Delivery::Garble(Bytes::from_static(b"upstream connect error\n")),
                Effect::WatchTwice => Delivery::Twice,
                Effect::WatchDrop => Delivery::Drop,
                Effect::WatchDelay(pause) => {
                    sleep(Duration::from_secs(pause.seconds)).await;
                    delivery
                }
                Effect::WatchGap(pause) => {
                    sleep(Duration::from_secs(pause.seconds)).await;
                    Delivery::End(End::Expired)
                }
                _ => {
                    self.strike(request, &strike, None);
                    delivery
                }
            };
        }
        // Most events come in a burst with others: one in four is late, and all behind it.
        if event.kind != EventKind::Bookmark && rand::random_range(0..4) == 0 {
            self.world.latency(EVENT_LATENCY_MAX_MILLISECONDS).await;
        }
        self.process.network.opened().await;
        delivery
    }

    /// Counts and notes a request; returns what strikes at it.
    fn note(&self, request: &Request) -> Vec<Strike> {
        let (counted, strikes) = self.world.injector().request(self.process.name(), self.sort);
        let query = if request.query.is_empty() { String::new() } else { format!("?{}", encode_query(&request.query)) };
        self.world.recorder().requested(Requested {
            id: request.id,
            sent: self.leave(),
            process: Arc::clone(self.process.name()),
            counted,
            method: request.method.to_string(),
            path: format!("{}{query}", request.path),
            answer: None,
            faults: Vec::new(),
        });
        strikes
    }

    /// Counts and notes a request that never got through, which no fault strikes at any more.
    pub(super) fn note_in_vain(&self) {
        let request = Request { id: self.world.network().next_request(), ..self.head.clone() };
        self.note(&request);
        self.world.recorder().fault(request.id, "given up while nothing got through".to_owned());
    }

    fn note_event(&self, request: &Request, event: &WatchEvent) -> Vec<Strike> {
        let now = self.world.now();
        let is_counted = self.sort != Sort::Election && !matches!(event.kind, EventKind::Bookmark | EventKind::Error);
        let strikes = if is_counted { Some(self.world.injector().notification(self.process.name())) } else { None };
        let mut recorder = self.world.recorder();
        recorder.check_event(request, event, now);
        let Some((number, strikes)) = strikes else { return Vec::new() };
        recorder.notified(Notified {
            time: now,
            process: Arc::clone(self.process.name()),
            number,
            request: request.id,
            kind: event.kind.as_str(),
            object: Arc::clone(&event.object),
        });
        strikes
    }

    fn answered(&self, request: &Request, reply: &Reply, is_fault: bool) {
        let message = match reply.is_success() {
            true => String::new(),
            false => reply.to_value()["message"].as_str().unwrap_or_default().to_owned(),
        };
        let answered =
            Answered { code: reply.code, reason: reply.reason().to_owned(), message, is_effective: false, is_fault };
        self.world.recorder().answered(request.id, answered);
    }

    /// Has a process or the world struck, as this life's fault.
    fn strike(&self, request: &Request, strike: &Strike, target: Option<&str>) {
        // What was sent by a former life does not end the present one.
        if !self.life.is_dead() && self.world.strike(self.process.name(), strike, target) {
            self.world.recorder().fault(request.id, strike.1.to_string());
        }
    }

    fn struck(&self, request: &Request, (index, effect): &Strike) {
        let now = self.world.now();
        let mut recorder = self.world.recorder();
        recorder.struck(*index, now);
        recorder.fault(request.id, effect.to_string());
    }
}

/// Whether an effect waits for what the server makes of the request.
fn strikes_later(effect: &Effect) -> bool {
    matches!(
        effect,
        Effect::CrashAfter(_)
            | Effect::Lost(Loss { is_applied: true, .. })
            | Effect::Garbled(_)
            | Effect::Slow(_)
            | Effect::UserEdit(_)
            | Effect::UserDelete
            | Effect::UserRecreate
    )
}

async fn lose(seen_as: Seen) -> Passage {
    match seen_as {
        Seen::Silence => Passage::Hang,
        Seen::Reset => Passage::Break,
        Seen::GatewayTimeout => {
            sleep(SERVER_TIMEOUT).await;
            Passage::Answer(refuse(&Refusal {
                code: 504,
                reason: "Timeout".to_owned(),
                message: "Timeout: request did not complete within the allotted timeout".to_owned(),
                retry_after_seconds: 0,
                times: 1,
            }))
        }
    }
}

fn refuse(refusal: &Refusal) -> Reply {
    let Refusal { code, reason, message, retry_after_seconds, .. } = refusal;
    let mut status = serde_json::json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code,
    });
    if message.starts_with("Too large resource version") {
        let cause = serde_json::json!({"reason": "ResourceVersionTooLarge", "message": "Too large resource version"});
        status["details"] = serde_json::json!({"causes": [cause]});
    }
    let mut headers = Vec::new();
    if *retry_after_seconds > 0 {
        status["details"] = serde_json::json!({"retryAfterSeconds": retry_after_seconds});
        headers.push(("retry-after", retry_after_seconds.to_string()));
    }
    Reply { headers, ..Reply::value(*code, status) }
}

fn garble(garbling: Garbling, reply: &Reply) -> Reply {
    let bytes = match garbling {
        Garbling::Truncated => {
            let whole = reply.bytes();
            whole.slice(..whole.len() / 2)
        }
        Garbling::Page => Bytes::from_static(b"<html><body>502 Bad Gateway</body></html>\n"),
    };
    Reply::text(reply.code, bytes)
}
