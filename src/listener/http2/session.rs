//! What the tasks of a connection have in common: its streams, its windows, its socket.
//!
//! The connection's task reads and flushes; the tasks of the exchanges append their frames and
//! wake it. What is compressed is appended at once, so that the other side decodes it in the
//! order in which it was compressed.

use std::{
    cell::RefCell,
    collections::{HashMap, VecDeque},
    rc::Rc,
    task::{Context, Poll, Waker},
};

use ::http::StatusCode;
use bytes::Bytes;
use http_body::Frame;
use tokio::time::Instant;

use super::{
    Connection,
    meter::Meter,
    queue::Queue,
    stream::{Arriving, Over, SharedStream, Stream},
};
use crate::{
    exchange::Failure,
    http::Headers,
    http1::HeadLimits,
    http2::{
        Reason, frame,
        frame::{STREAM_MAX, setting},
        hpack::{Decoder, Encoder},
        window::{ReceiveWindow, SendWindow},
    },
    socket::Buffered,
    state::Listener,
    wake,
};

/// A connection and what is shared on it.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) connection: Rc<Connection>,
    pub(super) session: RefCell<Session>,
}

/// The state of HTTP/2 on one connection.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) io: Buffered,
    pub(super) meter: Meter,
    pub(super) limits: HeadLimits,
    pub(super) streams_max: usize,
    pub(super) decoder: Decoder,
    pub(super) encoder: Encoder,
    /// Memory for a field block on its way out.
    pub(super) fields: Vec<u8>,
    pub(super) streams: HashMap<u32, SharedStream, foldhash::fast::RandomState>,
    /// The highest stream that the client has opened.
    pub(super) last: u32,
    /// What may be sent on all streams together.
    pub(super) window: SendWindow,
    /// What the client may send on all streams together.
    pub(super) receives: ReceiveWindow,
    /// The window with which the client wants streams to begin.
    pub(super) initial_window: u32,
    /// A field block of which more is to come.
    pub(super) block: Option<Unfinished>,
    /// What has come so far has a meaning only behind the preface and the first settings.
    pub(super) begun: Begun,
    /// The streams that we have reset last: frames of these may still be on their way.
    pub(super) resets: VecDeque<u32>,
    /// The streams that wait for room, longest first.
    pub(super) queue: Queue,
    /// What had been appended when there was room last, with what was appended of bodies since.
    pub(super) known: u64,
    pub(super) leaving: Leaving,
    /// The client will open no more streams.
    pub(super) left: bool,
    waker: Option<Waker>,
    notified: bool,
}

/// A field block of which more is to come.
#[derive(Debug)]
pub(super) struct Unfinished {
    pub(super) stream: u32,
    pub(super) end: bool,
    pub(super) fragments: Vec<u8>,
    pub(super) frames: usize,
}

/// How far the beginning of a connection has come (RFC 9113 section 3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begun {
    Nothing,
    Preface,
    Settings,
}

/// How far the connection has told the client to go elsewhere (RFC 9113 section 6.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leaving {
    No,
    /// It shall open no more streams; those on their way are still taken.
    Told,
    /// Streams above this one are not looked at.
    Gone(u32),
}

impl Session {
    /// Begins a connection: our settings go out first.
    pub(super) fn new(io: Buffered, listener: &Listener, since: Instant) -> Self {
        let mut session = Self {
            io,
            meter: Meter::new(since),
            limits: listener.head,
            streams_max: usize::try_from(listener.streams_max).unwrap_or(usize::MAX),
            decoder: Decoder::new(HEADER_TABLE),
            encoder: Encoder::new(),
            fields: Vec::new(),
            streams: HashMap::default(),
            last: 0,
            window: SendWindow::new(WINDOW),
            receives: ReceiveWindow::new(CONNECTION_WINDOW),
            initial_window: WINDOW,
            block: None,
            begun: Begun::Nothing,
            resets: VecDeque::new(),
            queue: Queue::default(),
            known: 0,
            leaving: Leaving::No,
            left: false,
            waker: None,
            notified: false,
        };
        let head_max = u32::try_from(listener.head.bytes_max).unwrap_or(u32::MAX);
        let out = session.io.outgoing();
        frame::put_settings(
            out,
            &[
                (setting::MAX_CONCURRENT_STREAMS, listener.streams_max),
                (setting::INITIAL_WINDOW_SIZE, STREAM_WINDOW),
                (setting::MAX_HEADER_LIST_SIZE, head_max),
                (setting::ENABLE_CONNECT_PROTOCOL, 1),
            ],
        );
        frame::put_window_update(out, 0, CONNECTION_WINDOW - WINDOW);
        session
    }

    /// Remembers the task of the connection, which is at work now.
    pub(super) fn watch(&mut self, cx: &Context<'_>) {
        self.notified = false;
        wake::remember(&mut self.waker, cx);
    }

    /// Wakes the task of the connection: there is something to send.
    pub(super) fn notify(&mut self) {
        if self.notified || self.io.awaits_burst() {
            return;
        }
        self.notified = true;
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }

    /// What the client keeps of our compression of fields.
    pub(super) fn limit_table(&mut self, bytes: u32) {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        self.encoder.limit_table(bytes);
    }

    /// Opens a stream.
    pub(super) fn open(&mut self, id: u32, length: Option<u64>) -> SharedStream {
        let arriving = Arriving::new(STREAM_WINDOW, length);
        let window = SendWindow::new(self.initial_window);
        let stream = Rc::new(Stream::new(id, window, arriving));
        self.streams.insert(id, Rc::clone(&stream));
        stream
    }

    /// Resets a stream, unless it is gone.
    pub(super) fn reset(&mut self, stream: &Stream, reason: Reason) {
        if self.streams.contains_key(&stream.id) {
            self.reset_id(stream.id, reason);
        }
    }

    /// Resets a stream.
    pub(super) fn reset_id(&mut self, id: u32, reason: Reason) {
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

    /// Forgets a stream: nothing can come or go on it any more.
    pub(super) fn close(&mut self, stream: &Stream) {
        self.streams.remove(&stream.id);
        self.queue.remove(stream);
    }

    /// Nobody works on a stream any more: resets it if it has not ended, and takes what nobody
    /// will take off the window that the others share.
    pub(super) fn abandon(&mut self, stream: &Stream) {
        if !stream.local_ended.get() {
            self.reset(stream, Reason::InternalError);
        } else if !stream.remote_ended.get() {
            // The answer is whole without the rest of the request (section 8.1).
            self.reset(stream, Reason::NoError);
        }
        stream.end(Over::Broken);
        let unread = stream.arriving.borrow_mut().clear();
        self.release(unread);
    }

    /// So many bytes of the connection's window have been taken.
    pub(super) fn release(&mut self, bytes: usize) {
        if let Some(increment) = self.receives.release(bytes) {
            frame::put_window_update(self.io.outgoing(), 0, increment);
            self.notify();
        }
    }

    /// Takes the next frame of a request's body.
    pub(super) fn poll_body(
        &mut self,
        stream: &Stream,
        cx: &Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        // What is left of it has been thrown away.
        if stream.is_over() {
            return Poll::Ready(Some(Err(Failure::ClientGone)));
        }
        let mut arriving = stream.arriving.borrow_mut();
        if let Some(piece) = arriving.take() {
            let increment = arriving.window.release(piece.len());
            if let Some(increment) = increment.filter(|_| !stream.remote_ended.get()) {
                frame::put_window_update(self.io.outgoing(), stream.id, increment);
                self.notify();
            }
            self.release(piece.len());
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        if let Some(trailers) = arriving.take_trailers() {
            return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
        }
        if stream.remote_ended.get() {
            return Poll::Ready(None);
        }
        arriving.watch(cx);
        if std::mem::take(&mut arriving.expects_continue) && !stream.local_ended.get() {
            drop(arriving);
            let none = Headers::new();
            self.send_head(stream, StatusCode::CONTINUE, &none, None, false);
        }
        Poll::Pending
    }

    /// Tells the client to open no more streams; it says when it has read that.
    pub(super) fn tell_to_leave(&mut self) {
        if self.leaving == Leaving::No {
            self.leaving = Leaving::Told;
            let out = self.io.outgoing();
            frame::put_go_away(out, STREAM_MAX, Reason::NoError);
            frame::put_ping(out, 0, &LAST_PING);
        }
    }

    /// What the client has opened until now is all that is taken.
    pub(super) fn leave(&mut self) {
        if self.leaving == Leaving::Told {
            self.leaving = Leaving::Gone(self.last);
            frame::put_go_away(self.io.outgoing(), self.last, Reason::NoError);
        }
    }

    /// Whether nothing is left to be done.
    pub(super) fn is_done(&self) -> bool {
        let last_words = matches!(self.leaving, Leaving::Gone(_)) || self.left;
        last_words && self.streams.is_empty() && self.io.is_flushed()
    }

    /// Ends all streams: the connection is gone.
    pub(super) fn end(&mut self) {
        for (_, stream) in self.streams.drain() {
            stream.end(Over::Broken);
        }
        self.queue.clear();
    }
}

/// The window of the standard, for streams and for the connection (section 6.9.2).
const WINDOW: u32 = 65_535;
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// Bytes of the table that a client's header compression may use (RFC 7541 section 4.2).
const HEADER_TABLE: usize = 4096;
/// Frames for so many reset streams may be on their way at once.
const RESETS_REMEMBERED: usize = 256;
/// What the ping carries that follows the first GOAWAY.
pub(super) const LAST_PING: [u8; 8] = *b"farewell";
