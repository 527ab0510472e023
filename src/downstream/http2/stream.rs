//! One stream: received bytes not taken yet, and the state of sending.
//!
//! The connection's task writes what arrives, the task of the exchange takes it; both run on
//! the thread that owns the connection.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use bytes::{Bytes, BytesMut};

use crate::{
    failure::BadRequest,
    http2::{
        Reason,
        window::{ReceiveWindow, SendWindow},
    },
    semantics::Headers,
    wake,
};

/// A stream that a client has opened.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) id: u32,
    /// Send window of the stream.
    pub(crate) window: Cell<SendWindow>,
    /// The client has ended its side.
    pub(crate) remote_ended: Cell<bool>,
    /// We have ended our side.
    pub(crate) local_ended: Cell<bool>,
    /// The head of the answer has been sent.
    pub(crate) answering: Cell<bool>,
    /// Messages flow both ways without a time limit: a gRPC call, or a request that is answered
    /// already. Only silence in both directions ends it.
    pub(crate) is_streaming: Cell<bool>,
    /// It waits for room in the connection.
    pub(crate) waiting: Cell<bool>,
    /// The client has violated a rule on it: it gets an answer, and the stream is reset after that.
    pub(crate) faulty: Cell<bool>,
    /// Bytes that have been read from the endpoint and wait for room.
    pub(crate) held: Cell<usize>,
    over: Cell<Option<Over>>,
    /// The task of the exchange.
    waker: RefCell<Option<Waker>>,
    pub(crate) arriving: RefCell<Arriving>,
}

/// Early end of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    /// The client has reset it.
    Left,
    /// A violation, or the connection has closed.
    Broken,
}

/// Received part of the request body that is not taken yet.
#[derive(Debug)]
pub(crate) struct Arriving {
    pieces: VecDeque<Bytes>,
    /// Small pieces, joined: each would keep the whole read buffer in memory.
    small: BytesMut,
    trailers: Option<Headers>,
    /// The rule that the rest of it violates.
    pub(crate) spoilt: Option<BadRequest>,
    pub(crate) window: ReceiveWindow,
    /// Bytes still to come by Content-Length.
    left: Option<u64>,
    /// The client has ended its body early after the head of the answer: reading it stops there
    /// without an end, so that the endpoint cannot take it for complete.
    pub(crate) left_short: bool,
    /// Bytes taken.
    pub(crate) taken: u64,
    /// The client waits for 100 Continue before it sends the body.
    pub(crate) expects_continue: bool,
    /// Reader of the body.
    reader: Option<Waker>,
}

impl Stream {
    pub(crate) fn new(id: u32, window: SendWindow, arriving: Arriving) -> Self {
        Self {
            id,
            window: Cell::new(window),
            remote_ended: Cell::new(false),
            local_ended: Cell::new(false),
            answering: Cell::new(false),
            is_streaming: Cell::new(false),
            waiting: Cell::new(false),
            faulty: Cell::new(false),
            held: Cell::new(0),
            over: Cell::new(None),
            waker: RefCell::new(None),
            arriving: RefCell::new(arriving),
        }
    }

    /// Returns true if it has ended early: nothing can be sent on it any more.
    pub(crate) fn is_over(&self) -> bool {
        self.over.get().is_some()
    }

    /// Returns true if the client has reset it without an error.
    pub(crate) fn is_left(&self) -> bool {
        self.over.get() == Some(Over::Left)
    }

    /// Ends it early, and wakes those who work on it.
    pub(crate) fn end(&self, over: Over) {
        if !self.is_over() {
            self.over.set(Some(over));
        }
        self.wake();
        self.arriving.borrow_mut().wake();
    }

    /// Is ready when it has ended early; otherwise wakes the task then, and when there may be room
    /// again.
    pub(crate) fn poll_over(&self, cx: &Context<'_>) -> Poll<()> {
        if self.is_over() {
            return Poll::Ready(());
        }
        wake::remember(&mut self.waker.borrow_mut(), cx);
        Poll::Pending
    }

    /// Wakes the task of the exchange.
    pub(crate) fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }

    /// Ends the client's side. After the head of an answer it may send less than it had announced:
    /// some clients give an upload up that way.
    ///
    /// # Errors
    /// [`Reason::ProtocolError`] if it had announced more and there is no answer yet.
    pub(crate) fn finish(&self, trailers: Option<Headers>) -> Result<(), Reason> {
        let mut arriving = self.arriving.borrow_mut();
        // Of what nobody reads nothing is counted.
        if !self.is_over() && !self.faulty.get() && arriving.left.is_some_and(|left| left > 0) {
            if !self.answering.get() {
                return Err(Reason::ProtocolError);
            }
            arriving.left_short = true;
        }
        arriving.trailers = trailers;
        self.remote_ended.set(true);
        arriving.wake();
        Ok(())
    }

    /// Returns true if the answer is complete and the request is valid so far.
    pub(crate) fn is_answered(&self) -> bool {
        self.local_ended.get() && !self.faulty.get()
    }

    /// Length of the rest of the body, if known.
    pub(crate) fn rest(&self) -> Option<u64> {
        let arriving = self.arriving.borrow();
        let waiting = arriving.waiting() as u64;
        // What trailers follow must not depend on when they come: a length that was not
        // announced is not known before them.
        if self.remote_ended.get() && arriving.trailers.is_none() && !arriving.left_short {
            return Some(waiting);
        }
        arriving.left.map(|left| left + waiting)
    }

    /// Returns true if there is nothing more to take.
    pub(crate) fn is_taken(&self) -> bool {
        let arriving = self.arriving.borrow();
        let ended = self.remote_ended.get() && !arriving.left_short;
        ended && arriving.waiting() == 0 && arriving.trailers.is_none()
    }
}

impl Arriving {
    pub(crate) fn new(window: u32, length: Option<u64>) -> Self {
        Self {
            pieces: VecDeque::new(),
            small: BytesMut::new(),
            trailers: None,
            spoilt: None,
            window: ReceiveWindow::new(window),
            left: length,
            left_short: false,
            taken: 0,
            expects_continue: false,
            reader: None,
        }
    }

    /// Adds bytes that have arrived.
    ///
    /// # Errors
    /// [`Reason::ProtocolError`] if they are more than were announced.
    pub(crate) fn push(&mut self, piece: Piece<'_>) -> Result<(), Reason> {
        let length = piece.as_ref().len();
        if let Some(left) = self.left {
            let left = left.checked_sub(length as u64);
            self.left = Some(left.ok_or(Reason::ProtocolError)?);
        }
        match piece {
            Piece::Large(bytes) => {
                if !self.small.is_empty() {
                    let small = self.small.split().freeze();
                    self.pieces.push_back(small);
                }
                self.pieces.push_back(bytes);
            }
            Piece::Small(bytes) => self.small.extend_from_slice(bytes),
        }
        if length > 0 {
            self.wake();
        }
        Ok(())
    }

    /// Takes the next piece of the body.
    pub(crate) fn take(&mut self) -> Option<Bytes> {
        let piece = self.pieces.pop_front();
        let piece = piece.or_else(|| {
            let small = !self.small.is_empty();
            small.then(|| self.small.split().freeze())
        })?;
        self.taken += piece.len() as u64;
        Some(piece)
    }

    /// Takes the trailers.
    pub(crate) fn take_trailers(&mut self) -> Option<Headers> {
        self.trailers.take()
    }

    /// Discards bytes that were not taken; returns their number.
    pub(crate) fn clear(&mut self) -> usize {
        let waiting = self.waiting();
        self.pieces.clear();
        self.small.clear();
        waiting
    }

    /// Discards bytes that arrive unread: the window is opened again if the client may go on.
    pub(crate) fn throw_away(&mut self, bytes: usize, goes_on: bool) -> Option<u32> {
        self.taken += bytes as u64;
        if goes_on {
            self.window.release(bytes)
        } else {
            None
        }
    }

    /// Marks the request as invalid by this rule, for all that arrives from now on.
    pub(crate) fn spoil(&mut self, rule: BadRequest) {
        self.spoilt = Some(rule);
        self.wake();
    }

    /// Remembers the task that reads the body.
    pub(crate) fn watch(&mut self, cx: &Context<'_>) {
        wake::remember(&mut self.reader, cx);
    }

    fn waiting(&self) -> usize {
        let pieces = self.pieces.iter().map(Bytes::len);
        pieces.sum::<usize>() + self.small.len()
    }

    fn wake(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

/// Body bytes in the read buffer.
pub(crate) enum Piece<'a> {
    /// Large enough to be kept in the read buffer.
    Large(Bytes),
    Small(&'a [u8]),
}

impl AsRef<[u8]> for Piece<'_> {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Large(bytes) => bytes,
            Self::Small(bytes) => bytes,
        }
    }
}

/// A stream with several owners.
pub(crate) type SharedStream = Rc<Stream>;
