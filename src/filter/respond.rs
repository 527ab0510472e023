//! The reply that a route gives by itself.

use ::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use bytes::Bytes;

use crate::exchange::Body;

/// Answers without asking anybody.
#[derive(Clone, Debug)]
pub struct Respond {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Respond {
    /// Makes the reply; plain text unless the headers say otherwise.
    pub fn new(status: StatusCode, mut headers: HeaderMap, body: impl Into<Bytes>) -> Self {
        let body = body.into();
        if !body.is_empty() && !headers.contains_key(header::CONTENT_TYPE) {
            let plain = HeaderValue::from_static("text/plain; charset=utf-8");
            headers.insert(header::CONTENT_TYPE, plain);
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
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The reply to a request.
    pub(crate) fn reply(&self) -> Response<Body> {
        let mut response = Response::new(Body::full(self.body.clone()));
        *response.status_mut() = self.status;
        response.headers_mut().clone_from(&self.headers);
        response
    }
}
