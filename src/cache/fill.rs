//! An answer that is being fetched, for the one who fetches it and for those who wait for it.
//!
//! Its lock is held for a few instructions, never over I/O.

use std::{
    collections::HashMap,
    future::poll_fn,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
};

use bytes::Bytes;

use super::{Content, Meta};
use crate::{failure::Failure, semantics::Headers};

/// An answer on its way into the cache.
#[derive(Debug, Default)]
pub(crate) struct Fill {
    state: Mutex<State>,
    readers: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    head: Option<Head>,
    /// Pieces that have arrived, until the whole is there.
    pieces: Vec<Bytes>,
    end: Option<End>,
    waiting: HashMap<u64, Waker>,
}

/// The head of an answer that arrives.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) meta: Arc<Meta>,
    /// Length of the body, if it is known.
    pub(crate) length: Option<u64>,
}

/// End of a fetch.
#[derive(Clone, Debug)]
enum End {
    /// The answer is there, and stored unless a change has overtaken it.
    Whole(Arc<Content>),
    /// The body was cut short.
    Failed(Failure),
    /// The body is too long to be stored; whoever fetches it reads on by himself.
    Spilled,
    /// The one who fetched has left before there was an answer.
    Left,
    /// The answer is for nobody else.
    Alone,
}

/// Next step of a request that waits for a fetch.
#[derive(Clone, Debug)]
pub(crate) enum Progress {
    /// The answer arrives, and may be for this request, too.
    Arriving(Head),
    /// Look into the store again: the answer is there, or somebody else must fetch it.
    Again,
    /// Fetch alone.
    Alone,
}

/// Result of reading a body that arrives.
#[derive(Debug)]
pub(crate) enum Read {
    /// Some bytes.
    Piece(Bytes),
    /// The end.
    End(Arc<Content>),
    /// The body was cut short.
    Failed(Failure),
    /// The rest is not kept.
    Spilled,
}

/// Place of a reader in the body.
#[derive(Debug)]
pub(crate) struct Place {
    id: u64,
    piece: usize,
    /// Number of bytes read.
    pub(crate) read: u64,
}

impl Fill {
    /// Makes a place at the beginning of the body.
    pub(crate) fn place(&self) -> Place {
        Place {
            id: self.readers.fetch_add(1, Ordering::Relaxed),
            piece: 0,
            read: 0,
        }
    }

    /// Waits until it is known whether the answer is for others.
    pub(crate) async fn progress(&self) -> Progress {
        let id = self.readers.fetch_add(1, Ordering::Relaxed);
        poll_fn(|cx| {
            let mut state = self.state();
            let progress = match (&state.end, &state.head) {
                (Some(End::Whole(_) | End::Left), _) => Some(Progress::Again),
                (Some(End::Failed(_) | End::Spilled | End::Alone), _) => Some(Progress::Alone),
                // Of unknown length it may still become too long.
                (None, Some(head)) if head.length.is_some() => {
                    Some(Progress::Arriving(head.clone()))
                }
                (None, _) => None,
            };
            match progress {
                Some(progress) => Poll::Ready(progress),
                None => {
                    state.waiting.insert(id, cx.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// Reads the next piece of the body.
    pub(crate) fn poll_read(&self, place: &mut Place, cx: &mut Context<'_>) -> Poll<Read> {
        let mut state = self.state();
        if let Some(End::Whole(content)) = &state.end {
            let piece = content.piece(&(place.read..content.length()));
            place.read += piece.len() as u64;
            return Poll::Ready(match piece.is_empty() {
                true => Read::End(Arc::clone(content)),
                false => Read::Piece(piece),
            });
        }
        if let Some(piece) = state.pieces.get(place.piece) {
            place.piece += 1;
            place.read += piece.len() as u64;
            return Poll::Ready(Read::Piece(piece.clone()));
        }
        match &state.end {
            Some(End::Failed(failure)) => Poll::Ready(Read::Failed(*failure)),
            Some(End::Spilled) => Poll::Ready(Read::Spilled),
            Some(End::Left | End::Alone | End::Whole(_)) => {
                Poll::Ready(Read::Failed(Failure::ResponseIncomplete))
            }
            None => {
                state.waiting.insert(place.id, cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// The head has arrived, and the answer may be stored.
    pub(super) fn begin(&self, head: Head) {
        let mut state = self.state();
        state.head = Some(head);
        state.wake();
    }

    /// A piece of the body has arrived.
    pub(crate) fn push(&self, piece: Bytes) {
        let mut state = self.state();
        state.pieces.push(piece);
        state.wake();
    }

    /// Returns the content of what has arrived.
    pub(crate) fn content(&self, trailers: Option<Headers>) -> Content {
        // Pieces share their bytes; the copy is made without the lock.
        let pieces = self.state().pieces.clone();
        Content::new(&pieces, trailers)
    }

    pub(super) fn whole(&self, content: Arc<Content>) {
        self.end(End::Whole(content));
    }

    pub(super) fn fail(&self, failure: Failure) {
        self.end(End::Failed(failure));
    }

    pub(super) fn spill(&self) {
        self.end(End::Spilled);
    }

    pub(super) fn alone(&self) {
        self.end(End::Alone);
    }

    /// The one who fetches has gone.
    pub(super) fn leave(&self) {
        let begun = self.state().head.is_some();
        self.end(match begun {
            true => End::Failed(Failure::ResponseIncomplete),
            false => End::Left,
        });
    }

    /// Ends it, if it has not ended.
    fn end(&self, end: End) {
        let mut state = self.state();
        if state.end.is_none() {
            let whole = matches!(end, End::Whole(_));
            let read = match whole {
                true => std::mem::take(&mut state.pieces),
                false => Vec::new(),
            };
            state.end = Some(end);
            state.wake();
            drop(state);
            drop(read);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn wake(&mut self) {
        for (_, waker) in self.waiting.drain() {
            waker.wake();
        }
    }
}
