//! Request and response on the walk.

use ::http::{Method, StatusCode, Uri, Version};

use super::Body;
use crate::{
    downstream::StreamInterim,
    http::{Headers, target::RawTarget, websocket::Handshake},
};

/// A request on its way to an endpoint.
#[derive(Debug)]
pub struct Request {
    /// The method, in the client's spelling.
    pub method: Method,
    /// The target; from the checks on in origin form, or `*`.
    pub uri: Uri,
    /// The same as it came, where `uri` cannot hold it.
    #[doc(hidden)]
    pub raw_target: Option<Box<RawTarget>>,
    /// What the client spoke.
    pub version: Version,
    /// The header fields.
    pub headers: Headers,
    /// The body, still to be read.
    pub body: Body,
    /// The handshake that the proxy made for a WebSocket over HTTP/2.
    #[doc(hidden)]
    pub handshake: Option<Handshake>,
    /// Where interim responses go, over HTTP/2; over HTTP/1.1 the connection has a place for them.
    #[doc(hidden)]
    pub interim: Option<StreamInterim>,
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

impl<B> Response<B> {
    /// A 200 without header fields.
    pub fn new(body: B) -> Self {
        Self {
            status: StatusCode::OK,
            headers: Headers::new(),
            body,
        }
    }
}
