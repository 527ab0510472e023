//! Body of a response, over any protocol of the endpoint.

use std::task::{Context, Poll};

use super::{Http1Body, Http2Body, Progress, Tunnel};
use crate::semantics::{BodyLength, BodySource, PolledFrame};

/// Body of a response as sent by an endpoint. Reading it also drives the rest of the request.
#[derive(Debug)]
pub enum ResponseBody {
    /// No bytes.
    Empty,
    /// On a connection of its own.
    Http1(Box<Http1Body>),
    /// On a stream.
    Http2(Box<Http2Body>),
    /// The connection after 101: no body, but a byte stream (RFC 9110 section 7.8).
    Tunnel(Box<Tunnel>),
}

impl ResponseBody {
    /// Returns true if trailers may follow although the length is known: HTTP/2 allows both.
    pub fn may_have_trailers(&self) -> bool {
        matches!(self, Self::Http2(body) if !body.is_end())
    }

    /// Limits the bytes per read, if it has a connection of its own.
    pub fn limit_reads(&self, bytes: usize) {
        if let Self::Http1(body) = self {
            body.limit_reads(bytes);
        }
    }

    /// Returns the progress of the request; none if all of it has been handed over.
    pub fn uploading(&self) -> Option<Progress> {
        match self {
            Self::Http1(body) => body.uploading(),
            Self::Http2(body) => body.uploading(),
            Self::Empty | Self::Tunnel(_) => None,
        }
    }

    /// Number of bytes of the request that were handed over and that the endpoint has not
    /// acknowledged. Costs a system call.
    pub fn unsent(&self) -> u32 {
        match self {
            Self::Http1(body) => body.unsent(),
            Self::Http2(body) => body.unsent(),
            Self::Empty | Self::Tunnel(_) => 0,
        }
    }
}

impl BodySource for ResponseBody {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> PolledFrame {
        match self {
            Self::Http1(body) => body.poll_frame(cx),
            Self::Http2(body) => body.poll_frame(cx),
            Self::Empty | Self::Tunnel(_) => Poll::Ready(None),
        }
    }

    fn is_end(&self) -> bool {
        match self {
            Self::Http1(body) => body.is_end(),
            Self::Http2(body) => body.is_end(),
            Self::Empty | Self::Tunnel(_) => true,
        }
    }

    fn length(&self) -> BodyLength {
        match self {
            Self::Http1(body) => body.length(),
            Self::Http2(body) => body.length(),
            Self::Empty | Self::Tunnel(_) => BodyLength::Exact(0),
        }
    }
}
