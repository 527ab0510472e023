//! Sending of an answer on its stream: the head, then the body as QUIC takes it.

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
    downstream::http3::stream::Stream,
    exchange::Response,
    failure::Failure,
    http3::Code,
    proxy::{self, Outgoing},
    semantics::Frame,
    timer::Stall,
};

/// A response that is being sent.
pub(super) struct Answer {
    outgoing: Outgoing,
    /// The head, until it is appended.
    head: Option<AnswerHead>,
    /// Rest of a part of the body, whose frame has begun.
    piece: Bytes,
    /// All of it is appended.
    is_whole: bool,
    /// Progress of the connection.
    stall: Stall,
    /// Progress of this stream, which may take longer where others share the connection.
    own: Stall,
}

impl Sent {
    /// The code for a stream that ends so.
    pub(super) fn code(self) -> Code {
        match self {
            Self::Part(Failure::ClientGone | Failure::ClientStalled) => Code::RequestCancelled,
            _ => Code::InternalError,
        }
    }
}

impl Answer {
    /// Begins to send a response; `head_only` for a HEAD request.
    pub(super) fn new(response: Response<Outgoing>, head_only: bool) -> Self {
        let (head, outgoing) = AnswerHead::part(response, head_only);
        Self {
            outgoing,
            head: Some(head),
            piece: Bytes::new(),
            is_whole: false,
            stall: Stall::new(),
            own: Stall::new(),
        }
    }

    /// Sends as much as QUIC takes; ready when no more of it will be sent.
    pub(super) fn poll(&mut self, exchange: &Exchange, cx: &mut Context<'_>) -> Poll<Sent> {
        let stream = &exchange.stream;
        if stream.poll_over(cx).is_ready() {
            return Poll::Ready(Sent::Part(Failure::ClientGone));
        }
        if let Some(head) = self.head.take_if(|head| head.end) {
            head.append(stream);
            self.is_whole = true;
        }
        loop {
            if let ControlFlow::Break(sent) = ready!(self.poll_pending(exchange, cx)) {
                return Poll::Ready(sent);
            }
            if self.is_whole {
                stream.finish();
                return Poll::Ready(Sent::Whole);
            }
            if self.head.is_none() {
                self.outgoing.limit_reads(stream.read_ahead());
            }
            let polled = self.outgoing.poll_frame(cx);
            if let Some(head) = self.head.take() {
                // A body that fails at once can still become an answer that says so.
                if let Poll::Ready(Some(Err(failure))) = polled {
                    return Poll::Ready(Sent::Nothing(failure));
                }
                head.append(stream);
                if polled.is_pending() {
                    // Nothing else would send it while the body is waited for.
                    let flushed = self.poll_pending(exchange, cx);
                    if let Poll::Ready(ControlFlow::Break(sent)) = flushed {
                        return Poll::Ready(sent);
                    }
                }
            }
            match ready!(polled).transpose() {
                Ok(None) => self.is_whole = true,
                Ok(Some(Frame::Data(data))) => {
                    if !data.is_empty() {
                        stream.append_data(data.len());
                        self.piece = data;
                    }
                    self.is_whole = self.outgoing.is_end();
                }
                Ok(Some(Frame::Trailers(trailers))) => {
                    stream.append_trailers(&trailers);
                    self.is_whole = true;
                }
                Err(failure) => return Poll::Ready(Sent::Part(failure)),
            }
        }
    }

    /// Ends the exchange, whose answer ended so. If none of it was sent, gives it back with the
    /// failure to answer instead.
    pub(super) fn end(mut self, sent: Sent, stream: &Stream) -> Option<(Outgoing, Failure)> {
        match sent {
            Sent::Whole => self.outgoing.complete(),
            Sent::Part(failure) => {
                if matches!(failure, Failure::ClientGone) {
                    stream.session.count_reset();
                }
                self.outgoing.cut(failure);
            }
            Sent::Nothing(failure) => return Some((self.outgoing, failure)),
        }
        self.outgoing.set_bytes_in(stream.taken());
        proxy::finish(&mut self.outgoing);
        None
    }

    /// Has QUIC take what is appended.
    fn poll_pending(
        &mut self,
        exchange: &Exchange,
        cx: &mut Context<'_>,
    ) -> Poll<ControlFlow<Sent>> {
        let stream = &exchange.stream;
        let before = self.piece.len();
        match stream.poll_send(&mut self.piece, cx) {
            Poll::Ready(Ok(())) => {
                self.stall.moved();
                self.own.moved();
                return Poll::Ready(ControlFlow::Continue(()));
            }
            Poll::Ready(Err(_)) => {
                return Poll::Ready(ControlFlow::Break(Sent::Part(Failure::ClientGone)));
            }
            Poll::Pending => {}
        }
        if self.piece.len() < before {
            self.own.moved();
        }
        let connection = &exchange.connection;
        let patience = connection.patience(connection.known_listener().timeouts.body_idle);
        let session = &stream.session;
        let stalled = self.stall.poll(cx, patience, || Some(session.progress()));
        let own = self.own.poll(cx, patience * SHARED, || Some(0));
        if stalled.is_ready() || own.is_ready() {
            return Poll::Ready(ControlFlow::Break(Sent::Part(Failure::ClientStalled)));
        }
        Poll::Pending
    }
}

impl AnswerHead {
    fn append(self, stream: &Stream) {
        stream.append_head(self.status, &self.headers, self.length, self.end);
        stream.is_streaming.set(true);
    }
}

/// Factor by which a stream may stand still longer than its connection, while others move.
const SHARED: u32 = 4;
