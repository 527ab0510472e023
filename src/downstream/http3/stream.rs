//! The stream of an exchange: its request, its answer, and what both sides know of it.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::StatusCode;
use quinn::{RecvStream, SendStream};

use super::{
    receive::{Beginning, Lost, Part, Receiving},
    send::{Sending, Unwanted},
    session::SharedSession,
};
use crate::{
    downstream::STREAM_READ_MIN, failure::BadRequest, http3::Code, semantics::Headers, wake,
};

/// A stream with several owners.
pub(crate) type SharedStream = Rc<Stream>;

/// A stream that a client has opened.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) session: SharedSession,
    sending: RefCell<Sending>,
    receiving: RefCell<Receiving>,
    /// The head of the answer has been appended.
    answering: Cell<bool>,
    /// Messages flow both ways without a time limit, as over HTTP/2.
    pub(crate) is_streaming: Cell<bool>,
    /// The client has broken a rule on it: it gets an answer, and is told.
    faulty: Cell<bool>,
    /// The task of the exchange.
    waker: RefCell<Option<Waker>>,
}

impl Stream {
    pub(crate) fn new(
        session: &SharedSession,
        (send, receive): (SendStream, RecvStream),
    ) -> SharedStream {
        // Without a table a block is no smaller than its fields, but for the Huffman code.
        let block_max = session.limits.bytes_max;
        Rc::new(Self {
            session: Rc::clone(session),
            sending: RefCell::new(Sending::new(send)),
            receiving: RefCell::new(Receiving::new(receive, block_max)),
            answering: Cell::new(false),
            is_streaming: Cell::new(false),
            faulty: Cell::new(false),
            waker: RefCell::new(None),
        })
    }

    /// Reads the field block of the request's head.
    ///
    /// # Errors
    /// The reason why there is none.
    pub(crate) async fn read_block(&self) -> Result<Beginning, Lost> {
        // Held until the block is complete.
        let mut _room = None;
        loop {
            let beginning = poll_fn(|cx| {
                let mut receiving = self.receiving.borrow_mut();
                receiving.poll_beginning(&self.session, cx)
            });
            match beginning.await? {
                Beginning::Needs(bytes) => _room = self.session.reserve(bytes).await,
                beginning => return Ok(beginning),
            }
        }
    }

    /// Notes what the head says of the body, and looks for what has come of it.
    ///
    /// # Errors
    /// The rule that the length breaks.
    pub(crate) fn begin_body(
        &self,
        length: Option<u64>,
        expects_continue: bool,
        cx: &mut Context<'_>,
    ) -> Result<(), BadRequest> {
        let mut receiving = self.receiving.borrow_mut();
        receiving.expects_continue = expects_continue;
        receiving.begin_body(length, &self.session, cx)
    }

    /// Reads the next part of the body. Sends 100 Continue when it is wanted and has not come.
    pub(super) fn poll_part(&self, cx: &mut Context<'_>) -> Poll<Part> {
        let mut receiving = self.receiving.borrow_mut();
        let part = receiving.poll_part(&self.session, self.answering.get(), cx);
        let expected = std::mem::take(&mut receiving.expects_continue);
        if part.is_pending() && expected && !self.answering.get() {
            drop(receiving);
            self.append_interim(StatusCode::CONTINUE, &Headers::new());
        }
        if let Poll::Ready(Part::Spoilt(_)) = &part {
            self.spoil();
        }
        part
    }

    /// Notes that the request breaks a rule: its answer says so, and the client is told to stop.
    pub(crate) fn spoil(&self) {
        if !self.faulty.replace(true) {
            self.session.count_reset();
        }
    }

    /// Returns true if there is nothing more to take of the body.
    pub(crate) fn is_taken(&self) -> bool {
        self.receiving.borrow().is_taken()
    }

    /// Length of the rest of the body, if known.
    pub(super) fn rest(&self) -> Option<u64> {
        self.receiving.borrow().length()
    }

    /// Bytes of the body that were passed on.
    pub(crate) fn taken(&self) -> u64 {
        self.receiving.borrow().taken
    }

    /// Appends an interim response, and has it sent.
    pub(super) fn append_interim(&self, status: StatusCode, headers: &Headers) {
        let mut sending = self.sending.borrow_mut();
        sending.append_head(status, headers, None, false);
        drop(sending);
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }

    /// Returns true if no interim response can be sent any more.
    pub(super) fn is_answering(&self) -> bool {
        self.answering.get()
    }

    /// Appends the head of the answer.
    pub(crate) fn append_head(
        &self,
        status: StatusCode,
        headers: &Headers,
        length: Option<u64>,
        end: bool,
    ) {
        self.answering.set(true);
        let mut sending = self.sending.borrow_mut();
        sending.append_head(status, headers, length, end);
    }

    /// Appends the head of a body frame, whose bytes are sent next.
    pub(crate) fn append_data(&self, bytes: usize) {
        self.sending.borrow_mut().append_data(bytes);
    }

    /// Appends trailers.
    pub(crate) fn append_trailers(&self, trailers: &Headers) {
        self.sending.borrow_mut().append_trailers(trailers);
    }

    /// Returns true if frames wait for QUIC to take them.
    pub(crate) fn has_unsent(&self) -> bool {
        self.sending.borrow().has_unsent()
    }

    /// Passes on what is appended, then `piece`; ready when QUIC has taken all of it.
    ///
    /// # Errors
    /// [`Unwanted`] if the client does not read on.
    pub(crate) fn poll_send(
        &self,
        piece: &mut Bytes,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Unwanted>> {
        let mut sending = self.sending.borrow_mut();
        sending.poll_send(piece, &self.session, cx)
    }

    /// Returns how much of the answer's body may be read at once.
    pub(crate) fn read_ahead(&self) -> usize {
        self.session.read_ahead(STREAM_READ_MIN)
    }

    /// Is ready when the client does not want the answer any more, or has acknowledged a whole one.
    /// Remembers the task of the exchange.
    pub(crate) fn poll_over(&self, cx: &mut Context<'_>) -> Poll<()> {
        wake::remember(&mut self.waker.borrow_mut(), cx);
        self.sending.borrow_mut().poll_over(cx)
    }

    /// Returns true if the answer is whole.
    pub(crate) fn is_finished(&self) -> bool {
        self.sending.borrow().is_finished()
    }

    /// Ends the answer, which is whole, and reads no more of the request.
    pub(crate) fn finish(&self) {
        self.sending.borrow_mut().finish();
        self.stop();
    }

    /// Refuses the stream: nothing of it was looked at, so that it may be sent again.
    pub(crate) fn reject(&self) {
        self.sending.borrow_mut().reset(Code::RequestRejected);
        self.receiving.borrow_mut().stop(Code::RequestRejected);
    }

    /// Ends the stream whose task is gone: cuts the answer short if it is not whole.
    pub(crate) fn abandon(&self, code: Code) {
        let mut sending = self.sending.borrow_mut();
        sending.let_go(&self.session);
        if !sending.is_finished() {
            sending.reset(code);
            self.receiving.borrow_mut().stop(code);
            return;
        }
        drop(sending);
        self.stop();
    }

    /// Reads no more of a request whose answer is whole (RFC 9114 section 4.1).
    fn stop(&self) {
        let code = if self.faulty.get() {
            Code::MessageError
        } else {
            Code::NoError
        };
        self.receiving.borrow_mut().stop(code);
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // QUIC would end it as if the answer were whole.
        self.abandon(Code::InternalError);
    }
}
