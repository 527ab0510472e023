//! The answer of a stream, as it is written.

use std::{
    pin::{Pin, pin},
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, Bytes, BytesMut};
use http::StatusCode;
use quinn::{SendStream, StoppedError, VarInt};

use super::session::{Session, number};
use crate::{
    http3::{Code, frame, response},
    semantics::Headers,
};

/// Our side of a stream.
pub(super) struct Sending {
    stream: SendStream,
    /// Frames that QUIC has not taken.
    out: BytesMut,
    /// Is ready when the client does not want it any more, or has acknowledged all of it; none after
    /// that.
    stopped: Option<Stopped>,
    ended: Option<Ended>,
    /// Body bytes that wait for room.
    held: usize,
}

type Stopped = Pin<Box<dyn Future<Output = Result<Option<VarInt>, StoppedError>>>>;

/// End of our side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// The answer is whole.
    Finished,
    /// It was cut short.
    Reset,
}

/// The client does not want the answer any more, or has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unwanted;

impl Sending {
    pub(super) fn new(stream: SendStream) -> Self {
        let stopped = Box::pin(stream.stopped());
        Self {
            stream,
            out: BytesMut::new(),
            stopped: Some(stopped),
            ended: None,
            held: 0,
        }
    }

    /// Appends the head of a response, or of an interim one.
    pub(super) fn append_head(
        &mut self,
        status: StatusCode,
        headers: &Headers,
        length: Option<u64>,
        end: bool,
    ) {
        if self.ended.is_none() {
            response::put_head(&mut self.out, status, headers, length, end);
        }
    }

    /// Appends the head of a body frame, whose bytes are sent next.
    pub(super) fn append_data(&mut self, bytes: usize) {
        frame::put_data(bytes, &mut self.out);
    }

    /// Appends trailers.
    pub(super) fn append_trailers(&mut self, trailers: &Headers) {
        response::put_trailers(&mut self.out, trailers);
    }

    /// Returns true if frames wait for QUIC to take them.
    pub(super) fn has_unsent(&self) -> bool {
        !self.out.is_empty()
    }

    /// Passes on what is appended, then `piece`; ready when QUIC has taken all of it.
    pub(super) fn poll_send(
        &mut self,
        piece: &mut Bytes,
        session: &Session,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Unwanted>> {
        if self.ended.is_some() {
            return Poll::Ready(Err(Unwanted));
        }
        let sent = self.poll_write(piece, session, cx);
        session.hold(self.held, piece.len());
        self.held = piece.len();
        sent
    }

    fn poll_write(
        &mut self,
        piece: &mut Bytes,
        session: &Session,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Unwanted>> {
        while !self.out.is_empty() {
            let written = pin!(self.stream.write(&self.out)).poll(cx);
            let written = ready!(written).map_err(|_| Unwanted)?;
            self.out.advance(written);
            session.count_sent(written);
        }
        while !piece.is_empty() {
            let mut pieces = [std::mem::take(piece)];
            let written = pin!(self.stream.write_chunks(&mut pieces)).poll(cx);
            let [rest] = pieces;
            *piece = rest;
            let written = ready!(written).map_err(|_| Unwanted)?;
            session.count_sent(written.bytes);
        }
        Poll::Ready(Ok(()))
    }

    /// Ends the answer, which is whole.
    pub(super) fn finish(&mut self) {
        if self.ended.is_none() {
            self.ended = Some(Ended::Finished);
            // It fails only where the client has left.
            let _ = self.stream.finish();
        }
    }

    /// Cuts the answer short, unless it is whole.
    pub(super) fn reset(&mut self, code: Code) {
        if self.ended.is_none() {
            self.ended = Some(Ended::Reset);
            self.out.clear();
            let _ = self.stream.reset(number(code));
        }
    }

    /// Returns true if the answer is whole.
    pub(super) fn is_finished(&self) -> bool {
        self.ended == Some(Ended::Finished)
    }

    /// Is ready when the client does not want the answer any more, or has acknowledged a whole one.
    pub(super) fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(stopped) = &mut self.stopped {
            let _ = ready!(stopped.as_mut().poll(cx));
            self.stopped = None;
        }
        Poll::Ready(())
    }

    /// Gives back what it holds within the connection.
    pub(super) fn let_go(&mut self, session: &Session) {
        session.hold(self.held, 0);
        self.held = 0;
    }
}

impl std::fmt::Debug for Sending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sending")
            .field("stream", &self.stream.id())
            .field("unsent", &self.out.len())
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}
