//! Requests and responses on the walk.

use http::{Method, StatusCode, Uri, Version};

use super::Body;
use crate::{
    downstream::StreamInterim,
    semantics::{Headers, Known, Transform, target::RawTarget, websocket::Handshake},
};

/// A request on its way to an endpoint.
#[derive(Debug)]
pub struct Request {
    /// The method, in the client's spelling.
    pub method: Method,
    /// The target; after the checks in origin form, or `*`.
    pub uri: Uri,
    /// The target as received, if `uri` cannot hold it.
    #[doc(hidden)]
    pub raw_target: Option<Box<RawTarget>>,
    /// HTTP version of the client.
    pub version: Version,
    /// The header fields.
    pub headers: Headers,
    /// The body, still to be read.
    pub body: Body,
    /// The handshake that the proxy made for a WebSocket over HTTP/2.
    #[doc(hidden)]
    pub handshake: Option<Handshake>,
    /// Sender of interim responses over HTTP/2; over HTTP/1.1 the connection has a place for them.
    #[doc(hidden)]
    pub interim: Option<StreamInterim>,
}

impl Request {
    /// Passes the body through `transform` on its way to the endpoint; a request without a body
    /// does not change. The length is that of another body from now on, and unknown.
    pub fn transform(&mut self, transform: impl Transform + 'static) {
        let body = std::mem::replace(&mut self.body, Body::Empty);
        if !matches!(body, Body::Empty) {
            self.headers.remove(Known::ContentLength);
            self.body = body.transformed(transform);
        }
    }
}

/// A response on its way to the client.
#[derive(Debug)]
pub struct Response<B = Body> {
    /// The final status, or 101.
    pub status: StatusCode,
    /// The header fields.
    pub headers: Headers,
    /// The body, still to be read.
    pub body: B,
}

impl Response {
    /// Passes the body through `transform` on its way to the client. The length is that of another
    /// body from now on, and unknown: it is not announced to HEAD either. Answers to HEAD, 204 and
    /// 304 have no body to transform; a 101 does not change.
    pub fn transform(&mut self, transform: impl Transform + 'static) {
        if !self.body.is_tunnel() {
            self.headers.remove(Known::ContentLength);
            let body = std::mem::replace(&mut self.body, Body::Empty);
            self.body = body.transformed(transform);
        }
    }
}

impl<B> Response<B> {
    /// Makes a 200 without header fields.
    pub fn new(body: B) -> Self {
        Self {
            status: StatusCode::OK,
            headers: Headers::new(),
            body,
        }
    }
}
