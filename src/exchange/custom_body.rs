//! Bodies at the border to embedding programs, which know them as [`http_body::Body`].
//!
//! Inside, a body is read by [`Body::poll_frame`]: its trailers keep their spelling, which a
//! [`http::HeaderMap`] cannot.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body as HttpBody, SizeHint};

use super::{Body, Failure};
use crate::semantics::{BodyLength, Frame, Headers, PolledFrame};

/// A body of an embedding program.
pub struct CustomBody(Pin<Box<dyn HttpBody<Data = Bytes, Error = Failure>>>);

impl CustomBody {
    /// Boxes a body; the one place where a body costs a dynamic call.
    pub fn new(body: impl HttpBody<Data = Bytes, Error = Failure> + 'static) -> Self {
        Self(Box::pin(body))
    }

    /// Reads the next piece; none at the end.
    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> PolledFrame {
        self.0.as_mut().poll_frame(cx).map_ok(|frame| {
            let trailers = match frame.into_data() {
                Ok(data) => return Frame::Data(data),
                Err(frame) => frame.into_trailers().unwrap_or_default(),
            };
            Frame::Trailers(Headers::from(&trailers))
        })
    }

    /// Returns true if the whole body has been read.
    pub(crate) fn is_end(&self) -> bool {
        self.0.is_end_stream()
    }

    /// Length of the rest.
    pub(crate) fn length(&self) -> BodyLength {
        let hint = self.0.size_hint();
        let exact = hint.exact().map(BodyLength::Exact);
        exact.unwrap_or_else(|| BodyLength::AtLeast(hint.lower()))
    }
}

impl fmt::Debug for CustomBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CustomBody")
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Failure>>> {
        let polled = self.get_mut().poll_frame(cx);
        polled.map_ok(|frame| match frame {
            Frame::Data(data) => http_body::Frame::data(data),
            Frame::Trailers(trailers) => http_body::Frame::trailers(trailers.to_map()),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.is_end()
    }

    fn size_hint(&self) -> SizeHint {
        match self.length() {
            BodyLength::Exact(bytes) => SizeHint::with_exact(bytes),
            BodyLength::AtLeast(bytes) => {
                let mut hint = SizeHint::new();
                hint.set_lower(bytes);
                hint
            }
        }
    }
}
