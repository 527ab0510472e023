//! The request of a stream, as it is read.

use std::{
    pin::pin,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use quinn::RecvStream;

use super::{
    meter::Burden,
    session::{Session, number},
};
use crate::{
    failure::BadRequest,
    http2::request::{HeadFault, RequestHead},
    http3::{
        Code,
        message::{Event, MessageReader},
        qpack::Decoder,
        request::{read_request, read_trailers},
    },
    semantics::Headers,
};

/// The client's side of a stream.
#[derive(Debug)]
pub(super) struct Receiving {
    stream: RecvStream,
    reader: MessageReader,
    /// Bytes read from the stream and not looked at.
    rest: Bytes,
    /// Body bytes for the next piece.
    gathered: BytesMut,
    /// Successor of the gathered bytes.
    next: Option<Next>,
    /// Trailers, until the stream ends behind them.
    trailers: Option<Headers>,
    /// Bytes still to come by Content-Length.
    left: Option<u64>,
    /// Bytes passed on.
    pub(super) taken: u64,
    /// The client waits for 100 Continue before it sends the body.
    pub(super) expects_continue: bool,
    /// Nothing of it is read any more.
    stopped: bool,
}

/// Successor of the bytes of a body.
#[derive(Debug)]
enum Next {
    Trailers(Headers),
    End,
    /// The rest violates this rule.
    Spoilt(BadRequest),
    /// The client has ended it early after the head of the answer: no end is passed on, so that the
    /// endpoint cannot take it for complete.
    Short,
    /// There is no rest: the client has reset the stream, or the connection has ended.
    Gone,
}

/// Reason why a stream cannot be read any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    /// The client has reset it, or left.
    Left,
    /// It broke a rule that ends the connection, which has been closed.
    Closed,
}

/// The next part of a body.
#[derive(Debug)]
pub(super) enum Part {
    Data(Bytes),
    Trailers(Headers),
    End,
    Spoilt(BadRequest),
    Short,
    Gone,
}

/// The beginning of a request.
#[derive(Debug)]
pub(crate) enum Beginning {
    /// A field block of so many bytes comes, and needs room.
    Needs(usize),
    /// A whole one.
    Block(Vec<u8>),
    /// One that is larger than the limit.
    TooLarge,
    /// The stream ended without one.
    Nothing,
}

impl Receiving {
    pub(super) fn new(stream: RecvStream, block_max: usize) -> Self {
        Self {
            stream,
            reader: MessageReader::new(block_max),
            rest: Bytes::new(),
            gathered: BytesMut::new(),
            next: None,
            trailers: None,
            left: None,
            taken: 0,
            expects_continue: false,
            stopped: false,
        }
    }

    /// Reads the head of the request.
    pub(super) fn poll_beginning(
        &mut self,
        session: &Session,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Beginning, Lost>> {
        loop {
            let beginning = match ready!(self.poll_event(session, cx))? {
                Some(Event::BlockBegins(bytes)) => Beginning::Needs(bytes),
                Some(Event::Block(block)) => Beginning::Block(block),
                Some(Event::TooLarge) => Beginning::TooLarge,
                // Nothing else comes before the head.
                Some(Event::Unknown | Event::Empty | Event::Data(_)) => continue,
                None => Beginning::Nothing,
            };
            return Poll::Ready(Ok(beginning));
        }
    }

    /// Notes the length that the head announces, and looks for what has come of the body. A stream
    /// that ends with the head has none.
    ///
    /// # Errors
    /// The rule that the length breaks.
    pub(super) fn begin_body(
        &mut self,
        length: Option<u64>,
        session: &Session,
        cx: &mut Context<'_>,
    ) -> Result<(), BadRequest> {
        self.left = length;
        let _ = self.poll_gather(session, false, cx);
        match self.next {
            Some(Next::Spoilt(rule)) => Err(rule),
            _ => Ok(()),
        }
    }

    /// Reads the next part of the body; `answering`: the head of the answer is sent.
    pub(super) fn poll_part(
        &mut self,
        session: &Session,
        answering: bool,
        cx: &mut Context<'_>,
    ) -> Poll<Part> {
        let polled = self.poll_gather(session, answering, cx);
        if !self.gathered.is_empty() {
            let piece = self.gathered.split().freeze();
            self.taken += piece.len() as u64;
            return Poll::Ready(Part::Data(piece));
        }
        ready!(polled);
        Poll::Ready(match self.next.take() {
            Some(Next::Trailers(trailers)) => {
                self.next = Some(Next::End);
                Part::Trailers(trailers)
            }
            Some(Next::Spoilt(rule)) => {
                self.next = Some(Next::Spoilt(rule));
                Part::Spoilt(rule)
            }
            Some(Next::Short) => {
                self.next = Some(Next::Short);
                Part::Short
            }
            Some(Next::Gone) => {
                self.next = Some(Next::Gone);
                Part::Gone
            }
            Some(Next::End) | None => {
                self.next = Some(Next::End);
                Part::End
            }
        })
    }

    /// Returns true if there is nothing more to take.
    pub(super) fn is_taken(&self) -> bool {
        self.gathered.is_empty() && matches!(self.next, Some(Next::End))
    }

    /// Length of the rest of the body, if known.
    pub(super) fn length(&self) -> Option<u64> {
        let waiting = self.gathered.len() as u64;
        match self.next {
            Some(Next::End) => Some(waiting),
            _ => self.left.map(|left| left + waiting),
        }
    }

    /// Reads no more of it, and tells the client why.
    pub(super) fn stop(&mut self, code: Code) {
        if !std::mem::replace(&mut self.stopped, true) {
            // It may have ended already.
            let _ = self.stream.stop(number(code));
        }
        self.rest.clear();
        self.gathered.clear();
        if !matches!(self.next, Some(Next::End)) {
            self.next = Some(Next::Gone);
        }
    }

    /// Reads what has come of the body, up to a piece; ready when there is one, or its end.
    ///
    /// Packets are joined: passed on one by one, each would be a write to the endpoint.
    fn poll_gather(
        &mut self,
        session: &Session,
        answering: bool,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        while self.next.is_none() && self.gathered.len() < PIECE {
            let Ok(event) = ready!(self.poll_event(session, cx)) else {
                self.next = Some(Next::Gone);
                break;
            };
            self.next = match event {
                Some(Event::Data(bytes)) => match self.expect(bytes.len()) {
                    Ok(()) => {
                        self.gathered.extend_from_slice(&bytes);
                        None
                    }
                    Err(rule) => Some(Next::Spoilt(rule)),
                },
                Some(Event::Block(block)) => self.take_trailers(&block, session),
                Some(Event::TooLarge) => Some(Next::Spoilt(BadRequest::HeadTooLarge)),
                Some(Event::BlockBegins(_) | Event::Unknown | Event::Empty) => None,
                None => Some(self.end(answering)),
            };
        }
        Poll::Ready(())
    }

    /// Counts body bytes against the announced length.
    fn expect(&mut self, bytes: usize) -> Result<(), BadRequest> {
        if let Some(left) = self.left {
            let left = left.checked_sub(bytes as u64);
            self.left = Some(left.ok_or(BadRequest::BodyLength)?);
        }
        Ok(())
    }

    fn end(&mut self, answering: bool) -> Next {
        if let Some(trailers) = self.trailers.take() {
            return Next::Trailers(trailers);
        }
        match self.left {
            Some(1..) if answering => Next::Short,
            Some(1..) => Next::Spoilt(BadRequest::BodyLength),
            _ => Next::End,
        }
    }

    /// Reads trailers, behind which only the end comes.
    fn take_trailers(&mut self, block: &[u8], session: &Session) -> Option<Next> {
        if self.left.is_some_and(|left| left > 0) {
            return Some(Next::Spoilt(BadRequest::BodyLength));
        }
        match read_trailers(&mut Decoder::default(), block, &session.limits) {
            Ok(trailers) => {
                self.trailers = Some(trailers);
                None
            }
            Err(HeadFault::Malformed(rule)) => Some(Next::Spoilt(rule)),
            Err(HeadFault::TooLarge | HeadFault::Flood) => {
                Some(Next::Spoilt(BadRequest::HeadTooLarge))
            }
            Err(HeadFault::Block(_)) => {
                session.close(Code::DecompressionFailed);
                Some(Next::Gone)
            }
        }
    }

    /// Reads the next event; none at the end of the stream.
    fn poll_event(
        &mut self,
        session: &Session,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Event>, Lost>> {
        let violated = |code| {
            session.close(code);
            Poll::Ready(Err(Lost::Closed))
        };
        loop {
            match self.reader.read(&mut self.rest) {
                Ok(None) => {}
                Ok(Some(event)) => {
                    match event {
                        Event::Unknown => session.burden(Burden::Unknown, 1),
                        Event::Empty => session.burden(Burden::Empty, 1),
                        _ => {}
                    }
                    return Poll::Ready(Ok(Some(event)));
                }
                Err(code) => return violated(code),
            }
            let read = pin!(self.stream.read_chunk(usize::MAX, true)).poll(cx);
            match ready!(read) {
                Ok(Some(chunk)) => self.rest = chunk.bytes,
                Ok(None) => {
                    return match self.reader.end() {
                        Ok(_) => Poll::Ready(Ok(None)),
                        Err(code) => violated(code),
                    };
                }
                Err(_) => return Poll::Ready(Err(Lost::Left)),
            }
        }
    }
}

/// Reads the head of a request from its field block.
pub(crate) fn read_head(
    block: &[u8],
    session: &Session,
) -> Result<Result<RequestHead, BadRequest>, Lost> {
    match read_request(&mut Decoder::default(), block, &session.limits) {
        Ok(head) => Ok(Ok(head)),
        Err(HeadFault::Malformed(rule)) => Ok(Err(rule)),
        Err(HeadFault::TooLarge | HeadFault::Flood) => Ok(Err(BadRequest::HeadTooLarge)),
        Err(HeadFault::Block(_)) => {
            session.close(Code::DecompressionFailed);
            Err(Lost::Closed)
        }
    }
}

/// Bytes of a body that are passed on at once.
const PIECE: usize = 16 * 1024;
