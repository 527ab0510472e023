//! The body of a gRPC-Web request on its way to an endpoint that speaks gRPC.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};

use super::Body;
use crate::{failure::Failure, http::grpc_web::Decoder};

/// A body that is turned while it is read, piece by piece.
#[derive(Debug)]
pub struct GrpcWebRequest {
    inner: Body,
    decoder: Decoder,
}

impl GrpcWebRequest {
    /// Reads `inner` through `decoder`.
    pub fn new(inner: Body, decoder: Decoder) -> Self {
        Self { inner, decoder }
    }

    /// Reads the next frame. A body that must not end where it does ends in an error, so that
    /// the endpoint does not take the call for whole.
    pub fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        loop {
            let frame = match ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                Some(Err(failure)) => return Poll::Ready(Some(Err(failure))),
                None => {
                    let cut = self.decoder.end().err();
                    return Poll::Ready(cut.map(|rule| Err(rule.into())));
                }
            };
            let turned = match frame.into_data() {
                Ok(data) => self.decoder.data(data).map(Frame::data),
                Err(trailers) => self.decoder.end().map(|()| trailers),
            };
            match turned {
                Ok(frame) if frame.data_ref().is_some_and(Bytes::is_empty) => {}
                turned => return Poll::Ready(Some(turned.map_err(Failure::from))),
            }
        }
    }

    /// Whether the whole body has been read, and may end where it does.
    pub fn is_end(&self) -> bool {
        self.inner.is_end_stream() && self.decoder.is_between()
    }

    /// At least so much follows; how much is known when it has been read.
    pub fn size_hint(&self) -> SizeHint {
        let least = self.decoder.least(self.inner.size_hint().lower());
        let mut hint = SizeHint::new();
        hint.set_lower(least);
        hint
    }
}
