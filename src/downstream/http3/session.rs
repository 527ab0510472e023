//! State shared by the streams of a connection: its bounds, and the reason why it ends.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
    task::{Context, Waker},
};

use quinn::VarInt;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

use super::meter::{Burden, Meter};
use crate::{http1::HeadLimits, http3::Code, timer, wake};

/// HTTP/3 state of one connection, shared by its tasks.
pub(crate) type SharedSession = Rc<Session>;

/// HTTP/3 state of one connection.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) connection: quinn::Connection,
    pub(crate) limits: HeadLimits,
    meter: RefCell<Meter>,
    flood: Cell<Option<Burden>>,
    /// Bytes of field blocks that may be kept incomplete, over all streams.
    blocks: Arc<Semaphore>,
    /// Body bytes that have been read from endpoints and wait for room.
    held: Cell<usize>,
    /// Bytes that QUIC has taken, over all streams.
    sent: Cell<u64>,
    /// Number of open exchanges.
    streams: Cell<usize>,
    /// The task of the connection.
    waker: RefCell<Option<Waker>>,
}

/// An open exchange of a connection, counted until it is dropped.
#[derive(Debug)]
pub(crate) struct StreamPlace(SharedSession);

impl Session {
    /// Begins a connection; `limits` are those of request heads.
    pub(crate) fn new(
        connection: quinn::Connection,
        limits: HeadLimits,
        since: Instant,
    ) -> SharedSession {
        Rc::new(Self {
            connection,
            limits,
            meter: RefCell::new(Meter::new(since)),
            flood: Cell::new(None),
            blocks: Arc::new(Semaphore::new(limits.bytes_max.max(BLOCKS_MAX))),
            held: Cell::new(0),
            sent: Cell::new(0),
            streams: Cell::new(0),
            waker: RefCell::new(None),
        })
    }

    /// Remembers the task of the connection.
    pub(crate) fn watch(&self, cx: &Context<'_>) {
        wake::remember(&mut self.waker.borrow_mut(), cx);
    }

    /// Counts an exchange until the place is dropped.
    pub(crate) fn enter(self: &Rc<Self>) -> StreamPlace {
        self.streams.set(self.streams.get() + 1);
        self.meter.borrow_mut().count_request();
        StreamPlace(Rc::clone(self))
    }

    /// Number of open exchanges, those included whose answer is not acknowledged.
    pub(crate) fn streams(&self) -> usize {
        self.streams.get()
    }

    /// Waits for room for a field block of so many bytes, at most the limit of heads.
    pub(crate) async fn reserve(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let bytes = u32::try_from(bytes).ok()?;
        let blocks = Arc::clone(&self.blocks);
        blocks.acquire_many_owned(bytes).await.ok()
    }

    /// Counts events that cost the client little; a flood of them ends the connection.
    pub(crate) fn burden(&self, burden: Burden, count: u32) {
        let now = timer::recent();
        let fits = (0..count).all(|_| self.meter.borrow_mut().count(burden, now));
        if !fits && self.flood.get().is_none() {
            self.flood.set(Some(burden));
            self.close(Code::ExcessiveLoad);
        }
    }

    /// Counts a request that was cancelled, or broke a rule.
    pub(crate) fn count_reset(&self) {
        self.burden(Burden::Reset, 1);
    }

    /// Word for the flood that has ended the connection.
    pub(crate) fn flood(&self) -> Option<&'static str> {
        self.flood.get().map(Burden::word)
    }

    /// Ends the connection at once, and all of its streams.
    pub(crate) fn close(&self, code: Code) {
        self.connection.close(number(code), b"");
    }

    /// Counts body bytes that wait for room on a stream, instead of `before`.
    pub(super) fn hold(&self, before: usize, bytes: usize) {
        self.held.set(self.held.get() + bytes - before);
    }

    /// Returns how much of a body may be read at once: less, the more bytes wait unsent.
    pub(super) fn read_ahead(&self, read_min: usize) -> usize {
        let left = HELD_MAX.saturating_sub(self.held.get());
        left.clamp(read_min, PIECE_MAX.max(read_min))
    }

    /// Counts bytes that QUIC has taken.
    pub(super) fn count_sent(&self, bytes: usize) {
        self.sent.set(self.sent.get() + bytes as u64);
    }

    /// Number that grows while anything is sent on the connection.
    pub(crate) fn progress(&self) -> u64 {
        self.sent.get()
    }
}

impl Drop for StreamPlace {
    fn drop(&mut self) {
        let session = &self.0;
        session.streams.set(session.streams.get() - 1);
        if let Some(waker) = &*session.waker.borrow() {
            waker.wake_by_ref();
        }
    }
}

/// Returns the code as QUIC has it.
pub(crate) fn number(code: Code) -> VarInt {
    VarInt::from_u32(code as u32)
}

/// Bytes of incomplete field blocks on a connection, or one block if that may be larger. A stream
/// that finds no room waits: it holds up those of its own client only.
const BLOCKS_MAX: usize = 256 * 1024;
/// Waiting body bytes of a connection from which each stream reads only little ahead.
const HELD_MAX: usize = 128 * 1024;
/// Most of a body that is read at once.
const PIECE_MAX: usize = 64 * 1024;
