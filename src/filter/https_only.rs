//! The reply to plain HTTP where a route is for HTTPS only.

use http::{HeaderValue, StatusCode};

use super::Verdict;
use crate::{
    exchange::{Body, Exchange, Request, Response, Scheme},
    failure::{BadRequest, Failure},
    semantics::Known,
};

/// Sends clients that came over plain HTTP to the same place over HTTPS.
#[derive(Debug)]
pub struct HttpsOnly;

impl HttpsOnly {
    #[expect(clippy::unused_self, reason = "a member like the others")]
    pub(super) fn on_request(
        &self,
        exchange: &Exchange,
        request: &Request,
    ) -> Result<Verdict, Failure> {
        if exchange.scheme() == Scheme::Https {
            return Ok(Verdict::Continue);
        }
        let host = exchange.host();
        if host.is_empty() {
            // A client of HTTP/1.0 that names none cannot be sent anywhere.
            return Err(BadRequest::Host.into());
        }
        let target = request.uri.path_and_query().map(|target| target.as_str());
        let target = target.filter(|target| target.starts_with('/'));
        let place = format!("https://{host}{}", target.unwrap_or("/"));
        let place = HeaderValue::try_from(place).map_err(|_| BadRequest::Target)?;
        let mut response = Response::new(Body::Empty);
        response.status = StatusCode::PERMANENT_REDIRECT;
        response.headers.insert(Known::Location, place);
        Ok(Verdict::Reply(response))
    }
}
