//! Sending of an answer on its stream: the head, then the body as the client makes room.
//!
//! Polled, not `async`: such a future would have room for the response twice, and there is one for
//! each stream.

use std::{
    ops::ControlFlow,
    task::{Context, Poll, ready},
};

use bytes::Bytes;

use super::{
    super::answer_head::{AnswerHead, Sent},
    exchange::Exchange,
};
use crate::{
    downstream::http2::{send::Wants, stream::Stream},
    exchange::Response,
    failure::Failure,
    proxy::{self, Outgoing},
    semantics::Frame,
    timer::Stall,
};

/// A response that is being sent.
pub(super) struct Answer {
    outgoing: Outgoing,
    /// The head, until it is sent.
    head: Option<AnswerHead>,
    /// Part of the body taken and not sent yet.
    piece: Option<Bytes>,
    stall: Stall,
    /// Bytes appended on the connection up to the last bytes of this stream.
    last: u64,
}

impl Answer {
    /// Begins to send a response; `head_only` for a HEAD request.
    pub(super) fn new(response: Response<Outgoing>, head_only: bool) -> Self {
        let (head, outgoing) = AnswerHead::part(response, head_only);
        Self {
            outgoing,
            head: Some(head),
            piece: None,
            stall: Stall::new(),
            last: 0,
        }
    }

    /// Sends as much as there is room for; ready when no more of it will be sent.
    pub(super) fn poll(&mut self, exchange: &Exchange, cx: &mut Context<'_>) -> Poll<Sent> {
        if exchange.stream.poll_over(cx).is_ready() {
            return Poll::Ready(Sent::Part(Failure::ClientGone));
        }
        if let Some(head) = self.head.take_if(|head| head.end) {
            head.send(exchange);
            return Poll::Ready(Sent::Whole);
        }
        loop {
            if self.piece.is_some()
                && let ControlFlow::Break(sent) = ready!(self.poll_piece(exchange, cx))
            {
                return Poll::Ready(sent);
            }
            if self.head.is_none() {
                let session = exchange.session.borrow();
                self.outgoing
                    .limit_reads(session.read_ahead(&exchange.stream));
            }
            // The body may read from the same connection: not while it is borrowed.
            let polled = self.outgoing.poll_frame(cx);
            if let Some(head) = self.head.take() {
                // A body that fails at once can still become an answer that says so.
                if let Poll::Ready(Some(Err(failure))) = polled {
                    return Poll::Ready(Sent::Nothing(failure));
                }
                head.send(exchange);
            }
            if let ControlFlow::Break(sent) = self.take(ready!(polled), exchange) {
                return Poll::Ready(sent);
            }
        }
    }

    /// Ends the exchange, whose answer ended so. If none of it was sent, gives it back with the
    /// failure to answer instead.
    pub(super) fn end(mut self, sent: Sent, stream: &Stream) -> Option<(Outgoing, Failure)> {
        match sent {
            Sent::Whole => self.outgoing.complete(),
            Sent::Part(failure) => self.outgoing.cut(failure),
            Sent::Nothing(failure) => return Some((self.outgoing, failure)),
        }
        self.outgoing.set_bytes_in(stream.arriving.borrow().taken);
        proxy::finish(&mut self.outgoing);
        None
    }

    /// Sends the taken part of the body; ready when there is room for the next piece.
    fn poll_piece(&mut self, exchange: &Exchange, cx: &mut Context<'_>) -> Poll<ControlFlow<Sent>> {
        let Some(piece) = &mut self.piece else {
            return Poll::Ready(ControlFlow::Continue(()));
        };
        let end = self.outgoing.is_end();
        let before = piece.len();
        let stream = &exchange.stream;
        let mut session = exchange.session.borrow_mut();
        if session.poll_send(stream, piece, end).is_pending() {
            if piece.len() < before {
                self.stall.moved();
                self.last = session.io.appended();
            }
            if stream.held.get() == 0 {
                // All that came with it stays in memory until it is gone.
                session.hold(stream, before);
            }
            let connection = &exchange.connection;
            let patience = connection.patience(connection.known_listener().timeouts.body_idle);
            let look = || Some(session.progress_of(stream, Wants::ToSend, self.last));
            let late = self.stall.poll(cx, patience, look);
            return late.map(|()| ControlFlow::Break(Sent::Part(Failure::ClientStalled)));
        }
        self.piece = None;
        self.stall.moved();
        session.hold(stream, 0);
        self.last = session.io.appended();
        Poll::Ready(match end {
            true => ControlFlow::Break(Sent::Whole),
            false => ControlFlow::Continue(()),
        })
    }

    /// Takes the next part of the body; trailers are sent at once.
    fn take(
        &mut self,
        frame: Option<Result<Frame, Failure>>,
        exchange: &Exchange,
    ) -> ControlFlow<Sent> {
        match frame.transpose() {
            Ok(None) => self.piece = Some(Bytes::new()),
            Ok(Some(Frame::Data(data))) => self.piece = Some(data),
            Ok(Some(Frame::Trailers(trailers))) => {
                let mut session = exchange.session.borrow_mut();
                session.send_trailers(&exchange.stream, &trailers);
                return ControlFlow::Break(Sent::Whole);
            }
            Err(failure) => return ControlFlow::Break(Sent::Part(failure)),
        }
        ControlFlow::Continue(())
    }
}

impl AnswerHead {
    fn send(self, exchange: &Exchange) {
        let (stream, mut session) = (&exchange.stream, exchange.session.borrow_mut());
        session.send_head(stream, self.status, &self.headers, self.length, self.end);
        stream.is_streaming.set(true);
    }
}
