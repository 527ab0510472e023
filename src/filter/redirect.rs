//! Reply that redirects a client.

use http::{HeaderValue, StatusCode};

use super::{Scope, render};
use crate::{
    config::value::Template,
    exchange::{Body, Exchange, Request, Response},
    semantics::Known,
};

/// Redirects a client.
#[derive(Clone, Debug)]
pub struct Redirect {
    /// Target.
    pub to: Template,
    /// 301, 302, 303, 307 or 308.
    pub status: StatusCode,
}

impl Redirect {
    /// Makes the reply to a request.
    pub(crate) fn reply(&self, exchange: &Exchange, request: &Request) -> Response {
        let scope = Scope {
            path: request.uri.path(),
            query: request.uri.query(),
            method: request.method.as_str(),
        };
        let mut response = Response::new(Body::Empty);
        response.status = self.status;
        if let Ok(place) = HeaderValue::try_from(render(&self.to, exchange, scope)) {
            response.headers.insert(Known::Location, place);
        }
        response
    }
}
