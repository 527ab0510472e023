//! A body that passes through a transform.

use std::{fmt, task::Context};

use bytes::Bytes;

use super::Body;
use crate::{
    failure::{BadRequest, Failure},
    semantics::{BodyLength, PolledFrame, Transform, transform::Stage},
};

/// A body, and its transform.
pub struct Transformed<T: ?Sized = dyn Transform> {
    source: Body,
    stage: Stage<T>,
}

impl Body {
    /// Passes the body through `transform` while it is read. Nothing is read ahead; failures and
    /// trailers pass.
    ///
    /// A Content-Length is valid for the old body only: see
    /// [`Request::transform`](super::Request::transform) and
    /// [`Response::transform`](super::Response::transform).
    #[must_use]
    pub fn transformed(self, transform: impl Transform + 'static) -> Self {
        Self::Transformed(Box::new(Transformed {
            source: self,
            stage: Stage::new(transform),
        }))
    }

    /// Fails with [`BadRequest::BodyTooLarge`] once more than `max` bytes have arrived.
    #[must_use]
    pub fn limited(self, max: u64) -> Self {
        self.bounded(max, BadRequest::BodyTooLarge)
    }

    /// Fails by this rule once more than `max` bytes have arrived.
    pub(crate) fn bounded(self, max: u64, rule: BadRequest) -> Self {
        if self.length().exact().is_some_and(|bytes| bytes <= max) {
            return self;
        }
        self.transformed(Limit { left: max, rule })
    }

    /// The body before all transforms.
    pub(crate) fn source(&self) -> &Self {
        match self {
            Self::Transformed(transformed) => transformed.source.source(),
            body => body,
        }
    }

    /// Reads the next piece; the body before all transforms is read by `read`.
    pub(crate) fn poll_through(
        &mut self,
        cx: &mut Context<'_>,
        read: &mut dyn FnMut(&mut Self, &mut Context<'_>) -> PolledFrame,
    ) -> PolledFrame {
        match self {
            Self::Transformed(transformed) => {
                let Transformed { source, stage } = &mut **transformed;
                stage.poll_frame(cx, &mut |cx| source.poll_through(cx, read))
            }
            body => read(body, cx),
        }
    }
}

impl Transformed {
    pub(super) fn is_end(&self) -> bool {
        self.stage.is_end(self.source.is_end())
    }

    pub(super) fn length(&self) -> BodyLength {
        self.stage.length(self.source.length())
    }
}

impl<T: Transform + ?Sized> fmt::Debug for Transformed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transformed")
            .field("source", &self.source)
            .field("stage", &&self.stage)
            .finish()
    }
}

/// A limit on the bytes of a body.
#[derive(Debug)]
struct Limit {
    left: u64,
    /// The rule that more bytes break.
    rule: BadRequest,
}

impl Transform for Limit {
    fn data(&mut self, input: &mut Bytes) -> Result<Bytes, Failure> {
        let left = self.left.checked_sub(input.len() as u64);
        self.left = left.ok_or(self.rule)?;
        Ok(std::mem::take(input))
    }

    fn is_spent(&self) -> bool {
        true
    }

    fn length(&self, input: BodyLength) -> BodyLength {
        input
    }
}
