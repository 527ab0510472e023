//! The body of a message in either direction: one enum, so that the ordinary
//! ones cost no allocation and no dynamic call.

use std::task::{Context, Poll, ready};

use bytes::Bytes;

use super::{CustomBody, GrpcWebRequest};
use crate::{
    downstream::{Http2RequestBody, RequestBody},
    failure::BadRequest,
    http::{BodyLength, Frame, PolledFrame},
    upstream::transport::{Http2Body, Progress, ResponseBody, Tunnel},
};

/// The body of a request or a response, streamed frame by frame.
///
/// Its error is the [`Failure`] that ends the exchange.
#[derive(Debug)]
#[non_exhaustive]
pub enum Body {
    /// No byte at all.
    Empty,
    /// Bytes that are all here.
    Full(Bytes),
    /// The body of a request that arrives over HTTP/1.1.
    Http1Request(RequestBody),
    /// The body of a response that arrives over HTTP/1.1.
    Http1Response(Box<ResponseBody>),
    /// A body that arrives over HTTP/2, of a request.
    Http2Request(Http2RequestBody),
    /// A body that arrives over HTTP/2, of a response.
    Http2Response(Box<Http2Body>),
    /// A body that may not be larger than a limit.
    Limited(Box<Limited>),
    /// The body of a gRPC-Web request, read as that of a gRPC call.
    GrpcWeb(Box<GrpcWebRequest>),
    /// The upstream connection after 101: no body, but a way on (RFC 9110 section 7.8).
    Tunnel(Box<Tunnel>),
    /// A body that an embedding program made.
    Custom(CustomBody),
}

impl Body {
    /// Bytes that are all here; no body if there are none.
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        if bytes.is_empty() {
            Self::Empty
        } else {
            Self::Full(bytes)
        }
    }

    /// Reads the next piece; none at the end.
    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> PolledFrame {
        match self {
            Self::Empty | Self::Tunnel(_) => Poll::Ready(None),
            Self::Full(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Full(bytes) => Poll::Ready(Some(Ok(Frame::Data(std::mem::take(bytes))))),
            Self::Http1Request(body) => body.poll_frame(cx),
            Self::Http1Response(body) => body.poll_frame(cx),
            Self::Http2Request(body) => body.poll_frame(cx),
            Self::Http2Response(body) => body.poll_frame(cx),
            Self::Limited(limited) => limited.poll_frame(cx),
            Self::GrpcWeb(body) => body.poll_frame(cx),
            Self::Custom(body) => body.poll_frame(cx),
        }
    }

    /// Whether the whole body has been read. A body may end without having said so.
    pub(crate) fn is_end(&self) -> bool {
        match self {
            Self::Empty | Self::Tunnel(_) => true,
            Self::Full(bytes) => bytes.is_empty(),
            Self::Http1Request(body) => body.is_end(),
            Self::Http1Response(body) => body.is_end(),
            Self::Http2Request(body) => body.is_end(),
            Self::Http2Response(body) => body.is_end(),
            Self::Limited(limited) => limited.inner.is_end(),
            Self::GrpcWeb(body) => body.is_end(),
            Self::Custom(body) => body.is_end(),
        }
    }

    /// The length of what is left.
    pub(crate) fn length(&self) -> BodyLength {
        match self {
            Self::Empty | Self::Tunnel(_) => BodyLength::Exact(0),
            Self::Full(bytes) => BodyLength::Exact(bytes.len() as u64),
            Self::Http1Request(body) => body.length(),
            Self::Http1Response(body) => body.length(),
            Self::Http2Request(body) => body.length(),
            Self::Http2Response(body) => body.length(),
            Self::Limited(limited) => limited.inner.length(),
            Self::GrpcWeb(body) => body.length(),
            Self::Custom(body) => body.length(),
        }
    }

    /// Fails with [`BadRequest::BodyTooLarge`] once more than `max` bytes have come.
    #[must_use]
    pub fn limited(self, max: u64) -> Self {
        if self.length().exact().is_some_and(|bytes| bytes <= max) {
            return self;
        }
        Self::Limited(Box::new(Limited {
            inner: self,
            left: max,
        }))
    }

    /// Whether trailers may follow although the length is known: HTTP/2 has room for both.
    pub fn may_have_trailers(&self) -> bool {
        match self {
            Self::Http2Request(_) | Self::Http2Response(_) | Self::Custom(_) => !self.is_end(),
            Self::Limited(limited) => limited.inner.may_have_trailers(),
            Self::Empty
            | Self::Full(_)
            | Self::Http1Request(_)
            | Self::Http1Response(_)
            | Self::GrpcWeb(_)
            | Self::Tunnel(_) => false,
        }
    }

    /// How far the request is on its way to the endpoint that answers already; none if it is.
    pub(crate) fn uploading(&self) -> Option<Progress> {
        match self {
            Self::Http1Response(body) => body.uploading(),
            Self::Http2Response(body) => body.uploading(),
            _ => None,
        }
    }

    /// Bytes of that request which left the exchange, and which the endpoint has not taken yet.
    /// Asks the kernel.
    pub(crate) fn unsent(&self) -> u32 {
        match self {
            Self::Http1Response(body) => body.unsent(),
            Self::Http2Response(body) => body.unsent(),
            _ => 0,
        }
    }

    /// Whether an upstream connection waits in it to become a tunnel.
    pub fn is_tunnel(&self) -> bool {
        matches!(self, Self::Tunnel(_))
    }
}

/// A body with a limit on its bytes.
#[derive(Debug)]
pub struct Limited {
    inner: Body,
    left: u64,
}

impl Limited {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> PolledFrame {
        let frame = ready!(self.inner.poll_frame(cx));
        if let Some(Ok(Frame::Data(data))) = &frame {
            match self.left.checked_sub(data.len() as u64) {
                Some(left) => self.left = left,
                None => return Poll::Ready(Some(Err(BadRequest::BodyTooLarge.into()))),
            }
        }
        Poll::Ready(frame)
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Self::full(Bytes::from_static(text.as_bytes()))
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Self::full(text)
    }
}
