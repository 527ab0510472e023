//! Events as they happen: server-sent events (WHATWG HTML, section 9.2), or a list.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::ACCEPT;
use http::{Method, StatusCode};
use serde_json::json;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, broadcast, watch};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};

use super::super::body::Body;
use super::super::operations::BoxFuture;
use super::super::reply::{self, Reply};
use super::{ApiCall, ApiState, overview};
use crate::telemetry::events::Event;

/// `GET /events`: with `Last-Event-ID` from after that event on, else from the `last` ones.
pub(super) fn watch(call: &ApiCall) -> Reply {
    let last = match call.last() {
        Ok(last) => last,
        Err(sentence) => return reply::error(StatusCode::BAD_REQUEST, sentence),
    };
    let headers = call.request.headers();
    let accepted = headers.get(ACCEPT).map(|value| value.as_bytes());
    if accepted == Some(b"application/json") {
        let events = call.shared.events.last(last);
        let events: Vec<&Event> = events.iter().map(|event| &**event).collect();
        return reply::json(StatusCode::OK, &events);
    }
    let every = match overview_interval(call) {
        Ok(every) => every,
        Err(sentence) => return reply::error(StatusCode::BAD_REQUEST, sentence),
    };
    let seen = headers.get("last-event-id");
    let seen = seen.and_then(|id| id.to_str().ok()?.trim().parse::<u64>().ok());
    if call.request.method() == Method::HEAD {
        return reply::text(EVENT_STREAM, String::new());
    }
    let Ok(place) = Arc::clone(&call.shared.watchers).try_acquire_owned() else {
        let sentence = "too many clients watch events already";
        return reply::error(StatusCode::SERVICE_UNAVAILABLE, sentence);
    };
    let (mut backlog, receiver) = call.shared.events.watch_after(seen.unwrap_or_default());
    if seen.is_none() {
        let surplus = backlog.len().saturating_sub(last);
        backlog.drain(..surplus);
    }
    let source = Source {
        receiver,
        stopped: call.shared.stopped.clone(),
        samples: every.map(|every| Samples::new(every, Arc::clone(&call.shared))),
    };
    // The comment makes the head and a first byte go out at once.
    let mut waiting = VecDeque::from([Bytes::from_static(b": events of sluicegate\n\n")]);
    waiting.extend(backlog.iter().map(|event| frame(event)));
    let stream = EventStream {
        waiting,
        next: Box::pin(next(source)),
        _place: place,
    };
    reply::with(StatusCode::OK, EVENT_STREAM, Body::Events(stream))
}

/// The frames of one watcher; releases its place on drop.
pub(in super::super) struct EventStream {
    waiting: VecDeque<Bytes>,
    next: BoxFuture<'static, Option<(Bytes, Source)>>,
    _place: OwnedSemaphorePermit,
}

struct Source {
    receiver: broadcast::Receiver<Arc<Event>>,
    stopped: watch::Receiver<bool>,
    /// Due times of the overview, for a watcher that asked for it.
    samples: Option<Samples>,
}

struct Samples {
    due: tokio::time::Interval,
    shared: Arc<ApiState>,
    /// The one being made: an event that comes meanwhile is shown first, and does not end it.
    pending: Option<Pin<Box<dyn Future<Output = Bytes> + Send>>>,
}

impl Samples {
    /// The first is due at once; a watcher that reads slowly gets fewer.
    fn new(every: Duration, shared: Arc<ApiState>) -> Self {
        let mut due = interval_at(Instant::now(), every);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            due,
            shared,
            pending: None,
        }
    }

    async fn next(samples: &mut Option<Self>) -> Bytes {
        let Some(samples) = samples else {
            return std::future::pending().await;
        };
        if samples.pending.is_none() {
            samples.due.tick().await;
        }
        let shared = &samples.shared;
        let pending = samples.pending.get_or_insert_with(|| {
            let shared = Arc::clone(shared);
            Box::pin(async move { overview::frame(&shared).await })
        });
        let frame = pending.await;
        samples.pending = None;
        frame
    }
}

/// Returns the interval of `?overview=1s`, or a message about its fault.
fn overview_interval(call: &ApiCall) -> Result<Option<Duration>, String> {
    let Some(text) = call.query("overview") else {
        return Ok(None);
    };
    let every = humantime::parse_duration(text).ok();
    let allowed = Duration::from_secs(1)..=Duration::from_secs(60);
    match every.filter(|every| allowed.contains(every)) {
        Some(every) => Ok(Some(every)),
        None => Err("overview must be a time from 1s to 60s".to_owned()),
    }
}

impl EventStream {
    /// Returns the next frame; none when the server ends.
    pub(in super::super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if let Some(bytes) = self.waiting.pop_front() {
            return Poll::Ready(Some(bytes));
        }
        let Some((bytes, source)) = ready!(Pin::new(&mut self.next).poll(context)) else {
            // Polled again, it is still the end.
            self.next = Box::pin(std::future::ready(None));
            return Poll::Ready(None);
        };
        self.next = Box::pin(next(source));
        Poll::Ready(Some(bytes))
    }
}

/// Waits for a frame: an event, a note that some were missed, or a keep-alive, without which a
/// client that has left would never be noticed.
async fn next(mut source: Source) -> Option<(Bytes, Source)> {
    let bytes = tokio::select! {
        biased;
        _ = source.stopped.wait_for(|stopped| *stopped) => return None,
        event = source.receiver.recv() => match event {
            Ok(event) => frame(&event),
            Err(RecvError::Lagged(missed)) => Bytes::from(format!(": {missed} events missed\n\n")),
            Err(RecvError::Closed) => return None,
        },
        sample = Samples::next(&mut source.samples) => sample,
        () = sleep(SIGN_OF_LIFE) => Bytes::from_static(b": still here\n\n"),
    };
    Some((bytes, source))
}

fn frame(event: &Event) -> Bytes {
    // A line feed in the kind would begin another field.
    let kind: String = event.kind.chars().filter(|c| !c.is_control()).collect();
    let data = json!(event);
    Bytes::from(format!("id: {}\nevent: {kind}\ndata: {data}\n\n", event.id))
}

const EVENT_STREAM: &str = "text/event-stream";

const SIGN_OF_LIFE: Duration = Duration::from_secs(15);
