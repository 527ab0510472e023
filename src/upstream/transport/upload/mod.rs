//! A request body that is sent upstream, kept for another attempt up to a size limit.

use std::{
    rc::Rc,
    task::{Context, Poll, ready},
};

use tokio::time::Instant;

use super::kept::Kept;
use crate::{
    failure::Failure,
    http1::Framing,
    semantics::{BodySource, Frame, PolledFrame},
    timer,
    upstream::standing::{Held, Standing, StandsStill},
};

/// Body of a request, which can be sent again while all bytes taken from it are kept.
#[derive(Debug)]
pub struct Upload {
    framing: Framing,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The head of the request announced no body.
    Absent,
    /// An empty body.
    Empty,
    /// It was lost with its attempt.
    Gone,
    /// Boxed, apart from the values passed from step to step: most requests have none.
    Body(Box<Source>),
}

/// A body, and its kept part.
#[derive(Debug)]
struct Source<B: ?Sized = dyn BodySource> {
    /// Bytes taken so far; none once there are more than may be kept.
    kept: Option<Kept>,
    keep_max: usize,
    ended: bool,
    /// Time at which the client had sent all of it.
    ended_at: Option<Instant>,
    failure: Option<Failure>,
    moved: u64,
    /// Record of a client that has not sent the next piece, while a connection is held.
    standing: Option<(Rc<Standing>, Held)>,
    still: Option<StandsStill>,
    /// The client has not sent the next piece.
    awaited: bool,
    /// Part of the body that arrived before there was a connection for it.
    ahead: Option<Box<Ahead>>,
    body: B,
}

/// A frame of a body: nothing at its end.
type Ahead = Option<Result<Frame, Failure>>;

impl Upload {
    /// Wraps a body with this `framing`; keeps at most `keep_max` bytes for another attempt.
    /// Without a body the head is the whole request.
    pub fn new(body: Option<impl BodySource + 'static>, framing: Framing, keep_max: usize) -> Self {
        let state = match body {
            None => State::Absent,
            Some(body) if body.is_end() => State::Empty,
            Some(body) => State::Body(Box::new(Source {
                kept: Some(Kept::default()),
                keep_max,
                ended: false,
                ended_at: None,
                failure: None,
                moved: 0,
                standing: None,
                still: None,
                awaited: false,
                ahead: None,
                body,
            })),
        };
        Self { framing, state }
    }

    /// Makes an upload that was lost with its attempt: it cannot be sent again.
    pub fn gone() -> Self {
        Self {
            framing: Framing::None,
            state: State::Gone,
        }
    }

    /// Returns the failure that ended the client's side early, if any.
    pub fn failure(&self) -> Option<Failure> {
        self.source()?.failure
    }

    /// Framing of the body on an HTTP/1.1 connection.
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// Returns true if the request has a head only: an end that the client sent separately, though
    /// without a byte of a body, is sent separately.
    pub fn ends_with_head(&self) -> bool {
        matches!(self.state, State::Absent)
    }

    /// Returns true if nothing is left to be taken.
    pub fn is_ended(&self) -> bool {
        match &self.state {
            State::Absent | State::Empty => true,
            State::Gone => false,
            State::Body(source) => source.is_ended(),
        }
    }

    /// Returns the same once more for a second attempt beside the first; none if it has a body.
    pub fn bodiless_copy(&self) -> Option<Self> {
        let state = match &self.state {
            State::Absent => State::Absent,
            State::Empty => State::Empty,
            State::Gone | State::Body(_) => return None,
        };
        Some(Self {
            framing: self.framing,
            state,
        })
    }

    /// Returns true if [`Self::rewind`] can bring back all that was taken.
    pub fn can_rewind(&self) -> bool {
        match &self.state {
            State::Absent | State::Empty => true,
            State::Gone => false,
            State::Body(source) => source.kept.is_some(),
        }
    }

    /// Notes in `standing` when the client stands still, as long as a place is held for it.
    ///
    /// By value: a variable that changes would be stored twice in the future of an attempt.
    #[must_use]
    pub fn holding_place(mut self, standing: &Rc<Standing>, held: Held) -> Self {
        if let State::Body(source) = &mut self.state {
            source.standing = Some((Rc::clone(standing), held));
        }
        self
    }

    /// Stops noting it: there is a response, or no connection.
    pub fn leave_place(&mut self) {
        if let State::Body(source) = &mut self.state {
            source.standing = None;
            source.still = None;
        }
    }

    /// Starts again from the first byte. Only if [`Self::can_rewind`] is true.
    pub fn rewind(&mut self) {
        if let State::Body(source) = &mut self.state
            && let Some(kept) = &mut source.kept
        {
            kept.rewind();
        }
    }

    /// Returns a number that grows with each piece taken.
    pub fn moved(&self) -> u64 {
        self.source().map_or(0, |source| source.moved)
    }

    /// Time at which the client had sent all of it; none if it sent no body apart from the head.
    pub fn ended_at(&self) -> Option<Instant> {
        self.source()?.ended_at
    }

    /// Returns true if the client was asked for its next piece and has not sent it.
    pub fn is_awaited(&self) -> bool {
        self.source().is_some_and(|source| source.awaited)
    }

    /// Returns true if the request can be served: some of its body has arrived, or it has none.
    pub fn has_begun(&self) -> bool {
        let begun = |source: &Source| source.moved > 0 || source.ended || source.ahead.is_some();
        self.source().is_none_or(begun)
    }

    /// Is ready when a piece of the body has arrived, which is kept for [`Self::poll_frame`].
    pub fn poll_begun(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        if !self.has_begun()
            && let State::Body(source) = &mut self.state
        {
            ready!(source.poll_ahead(cx));
        }
        Poll::Ready(self.failure().map_or(Ok(()), Err))
    }

    /// Takes the next piece; none at the end.
    pub fn poll_frame(&mut self, cx: &mut Context<'_>) -> PolledFrame {
        match &mut self.state {
            State::Absent | State::Empty | State::Gone => Poll::Ready(None),
            State::Body(source) => source.poll_frame(cx),
        }
    }

    /// Reads the whole body, so that its length can be announced in its head; false if it has more
    /// than `bytes_max`. There is no room for trailers then.
    pub fn poll_measure(
        &mut self,
        cx: &mut Context<'_>,
        bytes_max: usize,
    ) -> Poll<Result<bool, Failure>> {
        let mut length = 0;
        if let State::Body(source) = &mut self.state {
            source.keep_max = source.keep_max.max(bytes_max);
            while source.kept.is_some() {
                match ready!(source.poll_frame(cx)) {
                    Some(Ok(_)) => {}
                    Some(Err(failure)) => return Poll::Ready(Err(failure)),
                    None => break,
                }
            }
            let Some(kept) = &mut source.kept else {
                return Poll::Ready(Ok(false));
            };
            kept.rewind();
            length = kept.len();
        }
        self.framing = Framing::Length(length as u64);
        Poll::Ready(Ok(true))
    }

    fn source(&self) -> Option<&Source> {
        match &self.state {
            State::Absent | State::Empty | State::Gone => None,
            State::Body(source) => Some(source),
        }
    }
}

impl Source {
    /// Returns true if another exchange has been given the place of this one, whose client stands
    /// still.
    fn has_lost_place(&mut self, cx: &Context<'_>) -> bool {
        match (&self.still, &self.standing) {
            (Some(still), _) => still.has_lost(cx),
            (None, Some((standing, held))) => {
                self.still = Some(standing.note(*held, cx));
                false
            }
            (None, None) => false,
        }
    }

    fn is_ended(&self) -> bool {
        let kept = self.kept.as_ref();
        self.ended && kept.is_none_or(Kept::is_given)
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> PolledFrame {
        if let Some(frame) = self.kept.as_mut().and_then(Kept::next) {
            return Poll::Ready(Some(Ok(frame)));
        }
        if self.ended {
            return Poll::Ready(None);
        }
        let polled = match self.ahead.take() {
            None => self.body.poll_frame(cx),
            Some(ahead) => Poll::Ready(*ahead),
        };
        self.awaited = polled.is_pending();
        if self.awaited && self.has_lost_place(cx) {
            self.failure = Some(Failure::SlowBody);
            return Poll::Ready(Some(Err(Failure::SlowBody)));
        }
        if !self.awaited {
            self.still = None;
        }
        let frame = match ready!(polled) {
            None => {
                self.end();
                return Poll::Ready(None);
            }
            Some(Err(failure)) => {
                self.failure = Some(failure);
                return Poll::Ready(Some(Err(failure)));
            }
            Some(Ok(Frame::Data(data))) => Frame::Data(data),
            Some(Ok(Frame::Trailers(trailers))) => {
                self.end();
                Frame::Trailers(trailers)
            }
        };
        if self.body.is_end() {
            self.end();
        }
        self.moved += 1;
        self.keep(&frame);
        Poll::Ready(Some(Ok(frame)))
    }

    fn end(&mut self) {
        self.ended = true;
        self.ended_at.get_or_insert_with(timer::now);
    }

    fn poll_ahead(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let ahead = ready!(self.body.poll_frame(cx));
            match &ahead {
                // Nothing has come by it.
                Some(Ok(Frame::Data(data))) if data.is_empty() => continue,
                Some(Err(failure)) => self.failure = Some(*failure),
                Some(Ok(_)) | None => {}
            }
            self.ahead = Some(Box::new(ahead));
            return Poll::Ready(());
        }
    }

    fn keep(&mut self, frame: &Frame) {
        let kept = self.kept.as_mut();
        if kept.is_some_and(|kept| !kept.push(frame, self.keep_max)) {
            self.kept = None;
        }
    }
}

#[cfg(test)]
mod tests;
