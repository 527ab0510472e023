//! The body of a message in either direction: one enum, so that the ordinary
//! ones cost no allocation and no dynamic call.

use std::{
    future::poll_fn,
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};

use super::{CustomBody, transformed::Transformed};
#[cfg(feature = "http3")]
use crate::downstream::Http3RequestBody;
use crate::{
    downstream::{Http2RequestBody, RequestBody},
    failure::Failure,
    semantics::{BodyLength, BodySource, Frame, PolledFrame},
    upstream::transport::{ResponseBody, Tunnel},
};

/// The body of a request or a response, streamed frame by frame.
///
/// Its error is the [`Failure`](super::Failure) that ends the exchange.
#[derive(Debug)]
#[non_exhaustive]
pub enum Body {
    /// No bytes.
    Empty,
    /// Bytes that are all present.
    Full(Bytes),
    /// The body of a request that arrives over HTTP/1.1.
    Http1Request(RequestBody),
    /// The body of a request that arrives over HTTP/2.
    Http2Request(Http2RequestBody),
    /// The body of a request that arrives over HTTP/3.
    #[cfg(feature = "http3")]
    Http3Request(Http3RequestBody),
    /// The body of a response, from an endpoint.
    Response(ResponseBody),
    /// A body that passes through a transform.
    Transformed(Box<Transformed>),
    /// A body of an embedding program.
    Custom(CustomBody),
}

impl Body {
    /// Makes a body of bytes that are all present; an empty one if there are none.
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
            Self::Empty => Poll::Ready(None),
            Self::Full(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Full(bytes) => Poll::Ready(Some(Ok(Frame::Data(std::mem::take(bytes))))),
            Self::Http1Request(body) => body.poll_frame(cx),
            Self::Http2Request(body) => body.poll_frame(cx),
            #[cfg(feature = "http3")]
            Self::Http3Request(body) => body.poll_frame(cx),
            Self::Response(body) => body.poll_frame(cx),
            Self::Transformed(_) => self.poll_through(cx, &mut Self::poll_frame),
            Self::Custom(body) => body.poll_frame(cx),
        }
    }

    /// Reads all of it.
    ///
    /// # Errors
    /// The failure that ends it; [`Failure::LimitReached`] if it has more bytes.
    pub(crate) async fn collect(&mut self, bytes_max: usize) -> Result<Bytes, Failure> {
        let mut all = BytesMut::new();
        while let Some(frame) = poll_fn(|cx| self.poll_frame(cx)).await {
            if let Frame::Data(data) = frame? {
                if data.len() > bytes_max - all.len() {
                    return Err(Failure::LimitReached);
                }
                all.extend_from_slice(&data);
            }
        }
        Ok(all.freeze())
    }

    /// Returns true if the whole body has been read. A body may end without this being true before.
    pub(crate) fn is_end(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Full(bytes) => bytes.is_empty(),
            Self::Http1Request(body) => body.is_end(),
            Self::Http2Request(body) => body.is_end(),
            #[cfg(feature = "http3")]
            Self::Http3Request(body) => body.is_end(),
            Self::Response(body) => body.is_end(),
            Self::Transformed(body) => body.is_end(),
            Self::Custom(body) => body.is_end(),
        }
    }

    /// Length of the rest.
    pub(crate) fn length(&self) -> BodyLength {
        match self {
            Self::Empty => BodyLength::Exact(0),
            Self::Full(bytes) => BodyLength::Exact(bytes.len() as u64),
            Self::Http1Request(body) => body.length(),
            Self::Http2Request(body) => body.length(),
            #[cfg(feature = "http3")]
            Self::Http3Request(body) => body.length(),
            Self::Response(body) => body.length(),
            Self::Transformed(body) => body.length(),
            Self::Custom(body) => body.length(),
        }
    }

    /// Returns true if trailers may follow although the length is known: HTTP/2 and HTTP/3 allow both.
    pub fn may_have_trailers(&self) -> bool {
        match self.source() {
            Self::Http2Request(_) | Self::Custom(_) => !self.is_end(),
            #[cfg(feature = "http3")]
            Self::Http3Request(_) => !self.is_end(),
            Self::Response(body) => body.may_have_trailers(),
            Self::Empty | Self::Full(_) | Self::Http1Request(_) | Self::Transformed(_) => false,
        }
    }

    /// Returns true if an upstream connection waits in it to become a tunnel.
    pub fn is_tunnel(&self) -> bool {
        matches!(self, Self::Response(ResponseBody::Tunnel(_)))
    }

    /// Takes the upstream connection that waits in it; other bodies are not changed.
    pub(crate) fn take_tunnel(&mut self) -> Option<Box<Tunnel>> {
        match std::mem::replace(self, Self::Empty) {
            Self::Response(ResponseBody::Tunnel(tunnel)) => Some(tunnel),
            body => {
                *self = body;
                None
            }
        }
    }
}

impl BodySource for Body {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> PolledFrame {
        self.poll_frame(cx)
    }

    fn is_end(&self) -> bool {
        self.is_end()
    }

    fn length(&self) -> BodyLength {
        self.length()
    }
}

impl From<ResponseBody> for Body {
    fn from(body: ResponseBody) -> Self {
        match body {
            ResponseBody::Empty => Self::Empty,
            body => Self::Response(body),
        }
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
