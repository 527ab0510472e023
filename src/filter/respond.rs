//! Fixed reply of a route.

use bytes::Bytes;
use http::StatusCode;

use crate::{
    exchange::{Body, Response},
    semantics::{Headers, Known, Value},
};

/// Answers without an endpoint.
#[derive(Clone, Debug)]
pub struct Respond {
    status: StatusCode,
    headers: Headers,
    body: Bytes,
}

impl Respond {
    /// Makes the reply; plain text unless the headers say otherwise.
    pub fn new(status: StatusCode, mut headers: Headers, body: impl Into<Bytes>) -> Self {
        let body = body.into();
        if !body.is_empty() && !headers.contains(Known::ContentType) {
            let plain = Value::from_static("text/plain; charset=utf-8");
            headers.insert(Known::ContentType, plain);
        }
        Self {
            status,
            headers,
            body,
        }
    }

    /// The status of the reply.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The header fields of the reply.
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// Makes the reply to a request.
    pub(crate) fn reply(&self) -> Response {
        Response {
            status: self.status,
            headers: self.headers.clone(),
            body: Body::full(self.body.clone()),
        }
    }
}
