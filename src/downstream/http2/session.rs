//! State shared by the tasks of a connection: its streams, its windows, its socket.
//!
//! The connection's task reads and flushes; the tasks of exchanges append their frames and wake it.
//! A compressed field block is appended at once, so that the other side decodes blocks in the order
//! of their compression.

use std::{
    cell::RefCell,
    collections::{HashMap, VecDeque},
    rc::Rc,
    task::{Context, Waker},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    meter::Meter,
    queue::Queue,
    stream::{Arriving, Over, SharedStream, Stream},
    turn::Turn,
};
use crate::{
    http1::HeadLimits,
    http2::{
        Reason,
        frame::{self, STREAM_MAX, setting},
        hpack::{Decoder, Encoder},
        window::{ReceiveWindow, SendWindow},
    },
    socket::Buffered,
    wake,
};

/// HTTP/2 state of one connection, shared by its tasks.
pub(crate) type SharedSession = Rc<RefCell<Session>>;

/// HTTP/2 state of one connection.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) io: Buffered,
    pub(crate) meter: Meter,
    pub(crate) limits: HeadLimits,
    pub(crate) streams_max: usize,
    pub(crate) decoder: Decoder,
    pub(crate) encoder: Encoder,
    /// Memory for an outgoing field block.
    pub(crate) fields: Vec<u8>,
    pub(crate) streams: HashMap<u32, SharedStream, foldhash::fast::RandomState>,
    /// The highest stream that the client has opened.
    pub(crate) last: u32,
    /// Send window of the connection.
    pub(crate) window: SendWindow,
    /// Receive window of the connection. It is updated as bytes arrive, not as they are read: an
    /// unread body on one stream must not reduce the window of the others.
    pub(crate) receives: ReceiveWindow,
    /// Body bytes that have arrived and are unread.
    pub(crate) unread: usize,
    /// Bytes that have arrived and were not returned to the window yet: too many are unread.
    pub(crate) owed: usize,
    /// Initial window of streams, set by the client.
    pub(crate) initial_window: u32,
    /// An incomplete field block.
    pub(crate) block: Option<Unfinished>,
    /// Time since when a request head, or the start of the connection, is incomplete.
    pub(crate) head_since: Option<Instant>,
    /// Progress of the connection's beginning: all else is valid only after the preface and the
    /// first settings.
    pub(crate) begun: Begun,
    /// Streams that we reset last: frames of them may still be on their way.
    pub(crate) resets: VecDeque<u32>,
    /// Streams whose answer was complete before their request, and the time of their reset.
    unfinished: VecDeque<Finishing>,
    /// The streams that wait for room, longest first.
    pub(crate) queue: Queue,
    /// Body bytes that wait for room.
    held: usize,
    /// Bytes appended when there was room last, plus those of bodies appended since.
    pub(crate) known: u64,
    /// Bytes appended up to the last bytes of any body.
    pub(crate) last_data: u64,
    pub(crate) leaving: Leaving,
    /// The client will open no more streams.
    pub(crate) left: bool,
    /// Requests that begin in this turn of the connection, and those that wait for another.
    pub(crate) turn: Turn,
    waker: Option<Waker>,
    notified: bool,
}

/// An incomplete field block.
#[derive(Debug)]
pub(crate) struct Unfinished {
    pub(crate) stream: u32,
    pub(crate) end: bool,
    pub(crate) fragments: Vec<u8>,
    pub(crate) frames: usize,
}

/// Progress of a connection's beginning (RFC 9113 section 3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begun {
    Nothing,
    Preface,
    Settings,
}

/// Progress of a graceful shutdown of the connection (RFC 9113 section 6.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leaving {
    No,
    /// It must open no more streams; those on their way are still served.
    Told,
    /// Streams above this one are ignored.
    Gone(u32),
}

/// A stream whose answer was complete before its request.
#[derive(Clone, Copy, Debug)]
struct Finishing {
    id: u32,
    /// Time of the next check: the stream is reset if nothing has arrived since the last.
    look: Instant,
    /// Time of the reset, even if more arrives.
    end: Instant,
    /// Bytes of the request that had arrived.
    seen: u64,
}

impl Session {
    /// Begins a connection by sending our settings. `limits` are those of request heads.
    pub(crate) fn new(io: Buffered, limits: HeadLimits, streams_max: u32, since: Instant) -> Self {
        let mut session = Self {
            io,
            meter: Meter::new(since),
            limits,
            streams_max: usize::try_from(streams_max).unwrap_or(usize::MAX),
            decoder: Decoder::new(HEADER_TABLE),
            encoder: Encoder::new(),
            fields: Vec::new(),
            streams: HashMap::default(),
            last: 0,
            window: SendWindow::new(WINDOW),
            receives: ReceiveWindow::new(CONNECTION_WINDOW),
            unread: 0,
            owed: 0,
            initial_window: WINDOW,
            block: None,
            head_since: Some(Instant::now()),
            begun: Begun::Nothing,
            resets: VecDeque::new(),
            unfinished: VecDeque::new(),
            queue: Queue::default(),
            held: 0,
            known: 0,
            last_data: 0,
            leaving: Leaving::No,
            left: false,
            waker: None,
            turn: Turn::default(),
            notified: false,
        };
        let head_max = u32::try_from(limits.bytes_max).unwrap_or(u32::MAX);
        let out = session.io.outgoing();
        frame::put_settings(
            out,
            &[
                (setting::MAX_CONCURRENT_STREAMS, streams_max),
                (setting::INITIAL_WINDOW_SIZE, STREAM_WINDOW),
                (setting::MAX_HEADER_LIST_SIZE, head_max),
                (setting::ENABLE_CONNECT_PROTOCOL, 1),
            ],
        );
        frame::put_window_update(out, 0, CONNECTION_WINDOW - WINDOW);
        session
    }

    /// Remembers the task of the connection, which is running now.
    pub(crate) fn watch(&mut self, cx: &Context<'_>) {
        self.notified = false;
        self.turn.begin(self.meter.is_wary());
        wake::remember(&mut self.waker, cx);
    }

    /// Wakes the task of the connection: there is something to send.
    pub(crate) fn notify(&mut self) {
        if self.notified || self.io.awaits_burst() {
            return;
        }
        self.notified = true;
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }

    /// Sets the table size that the client allows for our compression of fields.
    pub(crate) fn limit_table(&mut self, bytes: u32) {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        self.encoder.limit_table(bytes);
    }

    /// Opens a stream.
    pub(crate) fn open(&mut self, id: u32, length: Option<u64>) -> SharedStream {
        let arriving = Arriving::new(STREAM_WINDOW, length);
        let window = SendWindow::new(self.initial_window);
        let stream = Rc::new(Stream::new(id, window, arriving));
        self.streams.insert(id, Rc::clone(&stream));
        stream
    }

    /// Resets a stream, unless it has ended.
    pub(crate) fn reset(&mut self, stream: &Stream, reason: Reason) {
        if self.streams.contains_key(&stream.id) {
            self.reset_id(stream.id, reason);
        }
    }

    /// Resets a stream.
    pub(crate) fn reset_id(&mut self, id: u32, reason: Reason) {
        frame::put_reset(self.io.outgoing(), id, reason);
        if self.resets.len() >= RESETS_REMEMBERED {
            self.resets.pop_front();
        }
        self.resets.push_back(id);
        if let Some(stream) = self.streams.get(&id).cloned() {
            self.close(&stream);
            stream.end(Over::Broken);
        }
        self.notify();
    }

    /// Removes a stream: no frames can arrive or leave on it any more.
    pub(crate) fn close(&mut self, stream: &Stream) {
        self.streams.remove(&stream.id);
        self.queue.remove(stream);
    }

    /// Counts body bytes that have been read from the endpoint and wait for room.
    pub(crate) fn hold(&mut self, stream: &Stream, bytes: usize) {
        let before = stream.held.replace(bytes);
        self.held = self.held + bytes - before;
    }

    /// Returns how much more of a stream's body may be read at once: its open window, and less, the
    /// more bytes wait unsent. A client that takes nothing on all its streams costs at most
    /// [`HELD_MAX`] bytes and a little for each.
    pub(crate) fn read_ahead(&self, stream: &Stream) -> usize {
        let left = if self.io.has_room() {
            HELD_MAX.saturating_sub(self.held)
        } else {
            0
        };
        left.min(stream.window.get().room()).max(STREAM_READ_MIN)
    }

    /// Drops a stream whose task is gone: resets it if it has not ended.
    pub(crate) fn abandon(&mut self, stream: &Stream) {
        if !stream.local_ended.get() {
            let reason = if stream.faulty.get() {
                Reason::ProtocolError
            } else {
                Reason::InternalError
            };
            self.reset(stream, reason);
        } else if !stream.remote_ended.get() || stream.faulty.get() {
            self.let_finish(stream);
        }
        stream.end(Over::Broken);
        self.hold(stream, 0);
        let mut arriving = stream.arriving.borrow_mut();
        let unread = arriving.clear();
        let widened = arriving.throw_away(unread, stream.is_answered());
        drop(arriving);
        if let Some(increment) = widened.filter(|_| !stream.remote_ended.get()) {
            frame::put_window_update(self.io.outgoing(), stream.id, increment);
        }
        self.taken(unread);
    }

    /// Lets the client finish a request whose answer is already complete (section 8.1).
    ///
    /// Some clients lose an answer if a reset follows it, and others read no answer before they
    /// have sent everything. The rest of the request is therefore discarded as it arrives, within
    /// limits; only a client that has not finished by then is reset.
    fn let_finish(&mut self, stream: &Stream) {
        if !self.streams.contains_key(&stream.id) {
            return;
        }
        if self.unfinished.len() >= UNFINISHED_MAX {
            let streams = &self.streams;
            self.unfinished.retain(|it| streams.contains_key(&it.id));
        }
        let now = Instant::now();
        let finishing = |patience| Finishing {
            id: stream.id,
            look: now + patience,
            end: now + FINISH_MAX,
            seen: stream.arriving.borrow().taken,
        };
        if stream.faulty.get() {
            self.unfinished.push_front(finishing(TAKE_ANSWER));
        } else {
            self.unfinished.push_back(finishing(FINISH));
        }
        self.notify();
    }

    /// Resets the streams whose clients had their time to finish; returns the time of the next
    /// check.
    pub(crate) fn reset_unfinished(&mut self, now: Instant) -> Option<Instant> {
        while let Some(finishing) = self.unfinished.front().copied() {
            let stream = self.streams.get(&finishing.id);
            let open = stream.map(|it| (it.faulty.get(), it.arriving.borrow().taken));
            if open.is_some() && finishing.look > now {
                return Some(finishing.look);
            }
            self.unfinished.pop_front();
            match open {
                Some((true, _)) => self.reset_id(finishing.id, Reason::ProtocolError),
                Some((false, seen)) if seen > finishing.seen && now < finishing.end => {
                    let look = now + FINISH;
                    self.unfinished.push_back(Finishing {
                        look,
                        seen,
                        ..finishing
                    });
                }
                Some((false, _)) => self.reset_id(finishing.id, Reason::NoError),
                None => {}
            }
        }
        None
    }

    /// Tells the client to open no more streams, with a ping that confirms that it has read this.
    pub(crate) fn tell_to_leave(&mut self) {
        if self.leaving == Leaving::No {
            self.leaving = Leaving::Told;
            let out = self.io.outgoing();
            frame::put_go_away(out, STREAM_MAX, Reason::NoError);
            frame::put_ping(out, 0, &FIRST_PING);
        }
    }

    /// Sends the final GOAWAY: streams that the client opens from now on are not taken.
    pub(crate) fn leave(&mut self) {
        if self.leaving == Leaving::Told {
            self.leaving = Leaving::Gone(self.last);
            frame::put_go_away(self.io.outgoing(), self.last, Reason::NoError);
        }
    }

    /// Returns true if nothing is left to be done.
    pub(crate) fn is_done(&self) -> bool {
        let last_words = matches!(self.leaving, Leaving::Gone(_)) || self.left;
        last_words && self.streams.is_empty() && self.io.is_flushed()
    }

    /// Ends all streams: the connection has closed.
    pub(crate) fn end(&mut self) {
        for (_, stream) in self.streams.drain() {
            stream.end(Over::Broken);
        }
        self.queue.clear();
    }
}

/// Default window of the standard, for streams and for the connection (section 6.9.2).
const WINDOW: u32 = 65_535;
/// Receive window of a stream: the maximum of a body that arrives unread.
const STREAM_WINDOW: u32 = 256 * 1024;
/// Receive window of a connection: the maximum in flight of all bodies.
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// Maximum number of waiting body bytes on a connection before each stream reads only little ahead.
const HELD_MAX: usize = 128 * 1024;
/// Minimum number of bytes that a stream may read ahead.
pub(crate) const STREAM_READ_MIN: usize = 16 * 1024;
/// Maximum size of the client's header compression table (RFC 7541 section 4.2).
const HEADER_TABLE: usize = 4096;
/// Maximum silence of a client in the rest of a request whose answer is complete.
const FINISH: Duration = Duration::from_secs(2);
/// Maximum time for the rest of such a request; as over HTTP/1.1.
const FINISH_MAX: Duration = Duration::from_secs(30);
/// Time that a client has to take the answer to a malformed request before its stream is reset.
const TAKE_ANSWER: Duration = Duration::from_millis(200);
/// Number of entries from which ended streams are removed from the list: more than can be open at
/// once.
const UNFINISHED_MAX: usize = 1024;
/// Number of reset streams that are remembered, as their frames may be on their way.
const RESETS_REMEMBERED: usize = 256;
/// Payload of the ping that follows the first GOAWAY.
pub(crate) const FIRST_PING: [u8; 8] = *b"farewell";
/// The ping behind the answer to that one.
pub(crate) const LAST_PING: [u8; 8] = *b"good bye";
