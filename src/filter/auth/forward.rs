//! Leave of a service: a subrequest asks it for each request.
//!
//! The service sees method, target and fields of the request, not its body. Only 2xx lets a client
//! pass. 401, 403 and redirects are the service's own answers to the client; anything else, and no
//! answer, keeps everybody out.

use std::{sync::Arc, time::Duration};

use http::{HeaderName, HeaderValue, StatusCode, uri::PathAndQuery};

use super::{
    Asked,
    denial::Denial,
    fields::{Fields, Leave},
};
use crate::{
    exchange::{Body, Exchange, Failure, Identity, Reason, Request, Response, Subrequest},
    semantics::{
        Headers, Known,
        hop_by_hop::{self, Switching},
    },
};

/// Asks a service for leave.
#[derive(Debug)]
pub struct ForwardAuth {
    /// Pool of the service.
    pub pool: Arc<str>,
    /// Path and query of the subrequest.
    pub target: PathAndQuery,
    /// Time until the end of the service's answer.
    pub timeout: Duration,
    /// Fields of its answer that the endpoint gets.
    pub headers: Vec<HeaderName>,
    /// Field of its answer with the name of the client.
    pub user: Option<HeaderName>,
}

impl ForwardAuth {
    pub(super) async fn ask(
        &self,
        exchange: &Exchange,
        request: &Request,
        fields: &Fields<'_>,
    ) -> Asked {
        let mut question = Subrequest::get(self.target.clone());
        question.timeout = self.timeout;
        let shown = fields.seen_by_service(request);
        question.headers = fields_of(exchange, request, shown);
        let mut answer = match exchange.subrequest(&self.pool, question).await {
            Ok(answer) => answer,
            Err(failure) => return failed(failure),
        };
        let status = answer.status;
        if status.is_success() {
            let user = self.user.as_ref().and_then(|name| answer.headers.get(name));
            let identity = Identity {
                user: user.and_then(|user| Some(user.to_str()?.into())),
                claims: None,
            };
            let fields = self.headers.iter().flat_map(|name| {
                let values = answer.headers.get_all(name);
                values.map(|value| (name.clone(), value.to_header_value()))
            });
            let cookies = answer.headers.get_all(Known::SetCookie);
            let leave = Leave {
                fields: fields.collect(),
                cookies: cookies.map(|cookie| cookie.to_header_value()).collect(),
            };
            return Asked::Passed(identity, leave);
        }
        let is_for_client = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
            || (status.is_redirection() && answer.headers.contains(Known::Location));
        if !is_for_client {
            let reason = Reason::new("destination_unavailable");
            let detail = format!("forward: the service answered {}", status.as_u16());
            return Asked::Denied(Denial::unavailable(reason, detail));
        }
        let body = match answer.read(BODY_BYTES_MAX).await {
            Ok(body) => body,
            Err(failure) => return failed(failure),
        };
        let mut headers = answer.headers.clone();
        // The length is that of what was read.
        headers.remove(Known::ContentLength);
        Asked::Answered(Box::new(Response {
            status,
            headers,
            body: Body::full(body),
        }))
    }
}

/// The fields of the subrequest: those of the request without what belongs to its body, and what
/// Traefik and nginx tell a service.
fn fields_of(exchange: &Exchange, request: &Request, mut headers: Headers) -> Headers {
    hop_by_hop::strip_request(&mut headers, Switching::No);
    for name in OF_BODY {
        headers.remove(name);
    }
    // Without it the endpoint's own name is sent; and the subrequest is no part of the way.
    headers.remove(Known::Host);
    headers.remove(Known::Via);
    let target = exchange.target();
    let url = match request
        .headers
        .get(Known::XForwardedHost)
        .and_then(|it| it.to_str())
    {
        Some(host) => format!("{}://{host}{target}", exchange.scheme().as_str()),
        None => format!(
            "{}://{}{target}",
            exchange.scheme().as_str(),
            exchange.host()
        ),
    };
    let method = exchange.method().as_str();
    for (name, value) in [
        ("X-Forwarded-Method", method),
        ("X-Forwarded-Uri", target),
        ("X-Original-Method", method),
        ("X-Original-URI", target),
        ("X-Original-URL", &url),
    ] {
        match HeaderValue::from_str(value) {
            Ok(value) => headers.insert(name, &value),
            // What the client sent must not stand in for it.
            Err(_) => drop(headers.remove(name)),
        }
    }
    headers
}

/// Refuses for want of an answer.
fn failed(failure: Failure) -> Asked {
    let reason = Reason::new(failure.word());
    let detail = format!("forward: no leave: {}", failure.sentence());
    Asked::Denied(Denial::failed(failure.status(), reason, detail))
}

/// Fields that belong to a body, or make an answer depend on one.
const OF_BODY: [&str; 16] = [
    "content-length",
    "content-type",
    "content-encoding",
    "content-language",
    "content-location",
    "content-range",
    "content-disposition",
    "transfer-encoding",
    "expect",
    "trailer",
    "range",
    "if-range",
    "if-match",
    "if-none-match",
    "if-modified-since",
    "if-unmodified-since",
];
/// Bytes of an answer that the client gets.
const BODY_BYTES_MAX: usize = 64 << 10;
