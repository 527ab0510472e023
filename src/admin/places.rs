//! Places among the connections of the admin API, and the choice of the one to give up.
//!
//! A connection is busy while a request is answered or events are sent, and silent otherwise. If
//! all places are taken, the one that has been silent longest makes room: an orchestrator's probe
//! must get through even if others connect and send nothing.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::{
    task::{AbortHandle, Id},
    time::Instant,
};

use super::body::Body;

/// Activity of a connection.
#[derive(Debug)]
pub(super) struct Activity {
    exchanges: AtomicUsize,
    begun: AtomicBool,
    silent_since: Mutex<Instant>,
}

/// An exchange under way; dropped when its answer begins to be handed over.
pub(super) struct Busy(Arc<Activity>);

/// The body of an answer. Events keep their connection busy; while another answer is handed over, each
/// piece that the client takes breaks the silence.
pub(super) struct HeldBody {
    body: Body,
    busy: Option<Busy>,
    activity: Arc<Activity>,
}

/// The connections by their tasks.
#[derive(Debug, Default)]
pub(super) struct Places(HashMap<Id, (Arc<Activity>, AbortHandle)>);

impl Activity {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            exchanges: AtomicUsize::new(0),
            begun: AtomicBool::new(false),
            silent_since: Mutex::new(Instant::now()),
        })
    }

    /// Begins an exchange.
    pub(super) fn begin(self: &Arc<Self>) -> Busy {
        self.begun.store(true, Ordering::Release);
        self.exchanges.fetch_add(1, Ordering::AcqRel);
        Busy(Arc::clone(self))
    }

    /// Returns true if anything has been asked.
    pub(super) fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Acquire)
    }

    fn break_silence(&self) {
        let since = self.silent_since.lock();
        *since.unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn silent_since(&self) -> Option<Instant> {
        let is_silent = self.exchanges.load(Ordering::Acquire) == 0;
        let since = self.silent_since.lock();
        is_silent.then(|| *since.unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.break_silence();
        self.0.exchanges.fetch_sub(1, Ordering::AcqRel);
    }
}

impl HeldBody {
    pub(super) fn new(body: Body, busy: Busy) -> Self {
        Self {
            body,
            activity: Arc::clone(&busy.0),
            busy: Some(busy),
        }
    }
}

impl Places {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn take(&mut self, activity: Arc<Activity>, task: AbortHandle) {
        self.0.insert(task.id(), (activity, task));
    }

    pub(super) fn give_back(&mut self, task: Id) {
        self.0.remove(&task);
    }

    /// Returns true if there is a connection that could make room.
    pub(super) fn has_silent(&self) -> bool {
        let mut all = self.0.values();
        all.any(|(activity, _)| activity.silent_since().is_some())
    }

    /// Ends the connection that has been silent longest, if there is one.
    pub(super) fn make_room(&mut self) {
        let silent = self.0.iter().filter_map(|(id, (activity, _))| {
            let since = activity.silent_since()?;
            Some((since, *id))
        });
        let longest = silent.min_by_key(|(since, _)| *since).map(|(_, id)| id);
        if let Some((_, task)) = longest.and_then(|id| self.0.remove(&id)) {
            task.abort();
        }
    }

    /// Ends connections that have been silent for too long, including those whose clients do not
    /// read their answers.
    pub(super) fn sweep(&mut self, now: Instant) {
        self.0.retain(|_, (activity, task)| {
            let since = activity.silent_since();
            let stays = since.is_none_or(|since| now < since + SILENT_MAX);
            if !stays {
                task.abort();
            }
            stays
        });
    }
}

impl http_body::Body for HeldBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.get_mut();
        match this.body {
            Body::Whole(_) if this.busy.take().is_none() => this.activity.break_silence(),
            Body::Whole(_) | Body::Events(_) => {}
        }
        Pin::new(&mut this.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Maximum silence of a connection; a late request head ends it earlier.
const SILENT_MAX: Duration = Duration::from_secs(30);
