//! One stream: what came on it and is not taken yet, and what may be sent on it.
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
    /// The client has said its last word on it.
    pub(crate) remote_ended: Cell<bool>,
    /// So have we.
    pub(crate) local_ended: Cell<bool>,
    /// The head of the answer has been sent.
    pub(crate) answering: Cell<bool>,
    /// Messages both ways for as long as both sides like: a gRPC call, or a request that is
    /// answered already. Only silence in both directions ends it.
    pub(crate) is_streaming: Cell<bool>,
    /// It waits for room in the connection.
    pub(crate) waiting: Cell<bool>,
    /// The client has broken a rule on it: it is told, and the stream is reset behind that.
    pub(crate) faulty: Cell<bool>,
    /// Bytes that were taken from the endpoint and stand still.
    pub(crate) held: Cell<usize>,
    over: Cell<Option<Over>>,
    /// The task of the exchange.
    waker: RefCell<Option<Waker>>,
    pub(crate) arriving: RefCell<Arriving>,
}

/// Early end of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    /// The client wants no more of it.
    Left,
    /// A rule was broken on it, or the connection is gone.
    Broken,
}

/// The body of the request, as far as it has come and is not taken.
#[derive(Debug)]
pub(crate) struct Arriving {
    pieces: VecDeque<Bytes>,
    /// Small pieces, one behind the other: each would hold on to the memory it was read into.
    small: BytesMut,
    trailers: Option<Headers>,
    /// The rule that the rest of it breaks.
    pub(crate) spoilt: Option<BadRequest>,
    pub(crate) window: ReceiveWindow,
    /// Bytes that Content-Length says are still to come.
    left: Option<u64>,
    /// The client has left its body short behind the head of the answer: it stops there, and
    /// never comes to an end that an endpoint could take for a whole one.
    pub(crate) left_short: bool,
    /// Bytes that were taken.
    pub(crate) taken: u64,
    /// The client waits for leave to send the body.
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

    /// Ends it before its time, and tells whoever works on it.
    pub(crate) fn end(&self, over: Over) {
        if !self.is_over() {
            self.over.set(Some(over));
        }
        self.wake();
        self.arriving.borrow_mut().wake();
    }

    /// Is ready when it has ended before its time; otherwise wakes the task then, and when
    /// there may be room again.
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

    /// The client says no more. Behind the head of an answer it need not say all that it had
    /// announced: there are clients that give an upload up that way.
    ///
    /// # Errors
    /// [`Reason::ProtocolError`] when it had announced more and there is no answer yet.
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

    /// Takes in what has come of the body.
    ///
    /// # Errors
    /// [`Reason::ProtocolError`] when it is more than was announced.
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

    /// The next piece of the body.
    pub(crate) fn take(&mut self) -> Option<Bytes> {
        let piece = self.pieces.pop_front();
        let piece = piece.or_else(|| {
            let small = !self.small.is_empty();
            small.then(|| self.small.split().freeze())
        })?;
        self.taken += piece.len() as u64;
        Some(piece)
    }

    /// The fields behind the body.
    pub(crate) fn take_trailers(&mut self) -> Option<Headers> {
        self.trailers.take()
    }

    /// Throws away what was not taken; says how much that was.
    pub(crate) fn clear(&mut self) -> usize {
        let waiting = self.waiting();
        self.pieces.clear();
        self.small.clear();
        waiting
    }

    /// So many bytes have come that nobody reads: the window is opened again where the client
    /// may go on.
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

    /// Remembers who reads the body.
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

/// Bytes of a body as they stand in what was read.
pub(crate) enum Piece<'a> {
    /// Worth to be kept where they are.
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

/// A stream that several hold on to.
pub(crate) type SharedStream = Rc<Stream>;
