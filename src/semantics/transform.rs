//! Transforms of bodies (RFC 9110 section 7.7).
//!
//! A [`Transform`] changes the bytes; a [`Stage`] reads a body through it. The source is read only
//! while the output is read, a failure passes unchanged, and trailers come last.

use std::{
    fmt,
    task::{Context, Poll},
};

use bytes::Bytes;

use super::{BodyLength, Frame, Headers, PolledFrame};
use crate::{failure::Failure, wake};

/// A change of a body, piece by piece. If it is dropped before [`Self::end`] was called, the body
/// was cut short.
pub trait Transform: fmt::Debug {
    /// Takes bytes off the front of `input` and returns the output, if any yet.
    ///
    /// Called again while input is left: a transform that expands its input takes only as much as
    /// makes a piece of reasonable size.
    ///
    /// # Errors
    /// The failure that cuts the body short.
    fn data(&mut self, input: &mut Bytes) -> Result<Bytes, Failure>;

    /// Returns the bytes held back, since no more input has arrived for now: a reader who waits for
    /// them would wait for ever.
    ///
    /// # Errors
    /// The failure that cuts the body short.
    fn flush(&mut self) -> Result<Bytes, Failure> {
        Ok(Bytes::new())
    }

    /// Returns the last output, and may change the trailers that follow it. Called again until it
    /// returns nothing.
    ///
    /// # Errors
    /// The failure that cuts the body short.
    fn end(&mut self, trailers: &mut Headers) -> Result<Bytes, Failure> {
        let _ = trailers;
        Ok(Bytes::new())
    }

    /// Bytes of input after which others on the thread have their turn. For transforms that take
    /// long for their input: a source that is always ready must not stop the worker.
    fn turn_bytes(&self) -> usize {
        usize::MAX
    }

    /// Returns true if nothing would follow if the body ended here without trailers. `end` is not
    /// called then.
    fn is_spent(&self) -> bool {
        false
    }

    /// Returns the length of the output for this input.
    fn length(&self, input: BodyLength) -> BodyLength {
        let _ = input;
        BodyLength::UNKNOWN
    }
}

/// One transform in the path of a body.
pub(crate) struct Stage<T: ?Sized = dyn Transform> {
    /// Input read and not yet taken.
    input: Bytes,
    /// Bytes of input taken since others last had their turn.
    taken: usize,
    at: At,
    transform: T,
}

/// Progress of a body.
#[derive(Debug)]
enum At {
    Body,
    /// The end, with the trailers that follow.
    End(Headers),
    /// Everything has been handed on.
    Behind,
}

impl<T: Transform> Stage<T> {
    /// Makes a stage before its first piece.
    pub(crate) fn new(transform: T) -> Self {
        Self {
            input: Bytes::new(),
            taken: 0,
            at: At::Body,
            transform,
        }
    }
}

impl<T: Transform + ?Sized> Stage<T> {
    /// Reads the next piece of the transformed `source`.
    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut dyn FnMut(&mut Context<'_>) -> PolledFrame,
    ) -> PolledFrame {
        loop {
            if self.taken >= self.transform.turn_bytes() {
                self.taken = 0;
                wake::after_others(cx);
                return Poll::Pending;
            }
            let turned = match &mut self.at {
                At::Behind => return Poll::Ready(None),
                At::End(trailers) => self.transform.end(trailers),
                At::Body if !self.input.is_empty() => self.turn(),
                At::Body => match source(cx) {
                    Poll::Ready(Some(Ok(Frame::Data(data)))) => {
                        self.input = data;
                        continue;
                    }
                    Poll::Ready(Some(Ok(Frame::Trailers(trailers)))) => {
                        self.at = At::End(trailers);
                        continue;
                    }
                    Poll::Ready(None) => {
                        self.at = At::End(Headers::new());
                        continue;
                    }
                    Poll::Ready(Some(Err(failure))) => Err(failure),
                    Poll::Pending => match self.transform.flush() {
                        Ok(data) if data.is_empty() => return Poll::Pending,
                        flushed => flushed,
                    },
                },
            };
            match turned {
                Ok(data) if !data.is_empty() => return Poll::Ready(Some(Ok(Frame::Data(data)))),
                Ok(_) => {}
                Err(failure) => return Poll::Ready(Some(Err(failure))),
            }
            if let At::End(trailers) = &mut self.at {
                let trailers = std::mem::take(trailers);
                self.at = At::Behind;
                let frame = (!trailers.is_empty()).then_some(Ok(Frame::Trailers(trailers)));
                return Poll::Ready(frame);
            }
        }
    }

    fn turn(&mut self) -> Result<Bytes, Failure> {
        let before = self.input.len();
        let data = self.transform.data(&mut self.input)?;
        self.taken = self.taken.saturating_add(before - self.input.len());
        if data.is_empty() && self.input.len() == before {
            tracing::error!(transform = ?&self.transform, "a transform takes no bytes");
            return Err(Failure::Internal);
        }
        Ok(data)
    }

    /// Returns true if everything has been handed on; `source_ended` says so of the source.
    pub(crate) fn is_end(&self, source_ended: bool) -> bool {
        match self.at {
            At::Behind => true,
            At::End(_) => false,
            At::Body => source_ended && self.input.is_empty() && self.transform.is_spent(),
        }
    }

    /// Returns the length of the rest, from that of the source.
    pub(crate) fn length(&self, source: BodyLength) -> BodyLength {
        let here = self.input.len() as u64;
        match (&self.at, source) {
            (At::Behind, _) => BodyLength::Exact(0),
            (At::End(_), _) => BodyLength::UNKNOWN,
            (At::Body, BodyLength::Exact(bytes)) => {
                self.transform.length(BodyLength::Exact(bytes + here))
            }
            (At::Body, BodyLength::AtLeast(bytes)) => {
                self.transform.length(BodyLength::AtLeast(bytes + here))
            }
        }
    }
}

impl<T: Transform + ?Sized> fmt::Debug for Stage<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stage")
            .field("transform", &&self.transform)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::VecDeque, task::Waker};

    use super::*;
    use crate::semantics::headers::fields;

    /// Each byte twice, two at a time; holds the first back until it is flushed.
    #[derive(Debug, Default)]
    struct Twice {
        held: Option<u8>,
        ended: bool,
    }

    impl Transform for Twice {
        fn data(&mut self, input: &mut Bytes) -> Result<Bytes, Failure> {
            let first = input.split_to(1)[0];
            let before = self.held.replace(first);
            Ok(before.map_or_else(Bytes::new, |byte| vec![byte; 2].into()))
        }

        fn flush(&mut self) -> Result<Bytes, Failure> {
            let held = self.held.take();
            Ok(held.map_or_else(Bytes::new, |byte| vec![byte; 2].into()))
        }

        fn end(&mut self, trailers: &mut Headers) -> Result<Bytes, Failure> {
            if !self.ended {
                self.ended = true;
                trailers.append("X-Twice", crate::semantics::Value::from_static("yes"));
            }
            self.flush()
        }
    }

    /// Takes nothing.
    #[derive(Debug)]
    struct Stuck;

    impl Transform for Stuck {
        fn data(&mut self, _: &mut Bytes) -> Result<Bytes, Failure> {
            Ok(Bytes::new())
        }
    }

    fn data(text: &'static str) -> PolledFrame {
        Poll::Ready(Some(Ok(Frame::Data(Bytes::from_static(text.as_bytes())))))
    }

    /// Returns the output for these frames: pieces, `.` for a wait, and the trailers or the
    /// failure.
    fn passed(transform: impl Transform, frames: Vec<PolledFrame>) -> (String, Option<Headers>) {
        let mut frames = VecDeque::from(frames);
        let mut stage = Stage::new(transform);
        let mut cx = Context::from_waker(Waker::noop());
        let mut text = String::new();
        for _ in 0..100 {
            let mut source = |_: &mut Context<'_>| frames.pop_front().unwrap_or(Poll::Ready(None));
            match stage.poll_frame(&mut cx, &mut source) {
                Poll::Pending => text.push('.'),
                Poll::Ready(Some(Ok(Frame::Data(data)))) => {
                    text += std::str::from_utf8(&data).unwrap();
                }
                Poll::Ready(Some(Ok(Frame::Trailers(trailers)))) => return (text, Some(trailers)),
                Poll::Ready(Some(Err(failure))) => return (text + failure.word(), None),
                Poll::Ready(None) => return (text, None),
            }
        }
        panic!("no end: {text}");
    }

    #[test]
    fn what_is_held_back_comes_when_the_body_stands_still_and_at_its_end() {
        let frames = vec![data("abc"), Poll::Pending, Poll::Pending, data("d")];
        let (text, trailers) = passed(Twice::default(), frames);
        assert_eq!(text, "aabbcc.dd");
        assert_eq!(trailers.unwrap(), fields(&[("x-twice", "yes")]));
    }

    #[test]
    fn trailers_come_last_and_with_what_is_added() {
        let sum = Poll::Ready(Some(Ok(Frame::Trailers(fields(&[("x-sum", "1")])))));
        let (text, trailers) = passed(Twice::default(), vec![data("a"), sum]);
        assert_eq!(text, "aa");
        assert_eq!(
            trailers.unwrap(),
            fields(&[("x-sum", "1"), ("x-twice", "yes")])
        );
    }

    #[test]
    fn a_body_that_is_cut_short_has_no_end() {
        let cut = Poll::Ready(Some(Err(Failure::ResponseIncomplete)));
        let (text, trailers) = passed(Twice::default(), vec![data("ab"), cut]);
        assert_eq!(text, "aahttp_response_incomplete");
        assert!(trailers.is_none());
    }

    #[test]
    fn a_transform_that_takes_nothing_ends_in_a_failure_and_not_in_a_loop() {
        let (text, _) = passed(Stuck, vec![data("a")]);
        assert_eq!(text, "proxy_internal_error");
    }
}
