//! The body of a gRPC-Web request on its way to an endpoint that speaks gRPC.

use std::task::{Context, Poll, ready};

use super::Body;
use crate::{
    failure::Failure,
    http::{BodyLength, Frame, PolledFrame, grpc_web::Decoder},
};

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
    pub fn poll_frame(&mut self, cx: &mut Context<'_>) -> PolledFrame {
        loop {
            let turned = match ready!(self.inner.poll_frame(cx)) {
                Some(Ok(Frame::Data(data))) => self.decoder.data(data).map(Frame::Data),
                Some(Ok(trailers)) => self.decoder.end().map(|()| trailers),
                Some(Err(failure)) => return Poll::Ready(Some(Err(failure))),
                None => {
                    let cut = self.decoder.end().err();
                    return Poll::Ready(cut.map(|rule| Err(rule.into())));
                }
            };
            match turned {
                Ok(Frame::Data(data)) if data.is_empty() => {}
                turned => return Poll::Ready(Some(turned.map_err(Failure::from))),
            }
        }
    }

    /// Whether the whole body has been read, and may end where it does.
    pub fn is_end(&self) -> bool {
        self.inner.is_end() && self.decoder.is_between()
    }

    /// At least so much follows; how much is known when it has been read.
    pub fn length(&self) -> BodyLength {
        BodyLength::AtLeast(self.decoder.least(self.inner.length().least()))
    }
}
