//! Form of answers with an error: a page, the details as JSON, or plain text.
//!
//! Only body and media type change: status, `Proxy-Status`, `Retry-After`, `WWW-Authenticate` and
//! what else the answer has stay. Source of the JSON: RFC 9457.

mod page;

use std::sync::Arc;

use http::{HeaderValue, Method};

use crate::{
    config::value::StatusSet,
    exchange::{Body, Exchange, Request, Response},
    semantics::{
        Known, Value,
        accept::{Accepts, Spoken},
    },
};

pub use self::page::Page;
use self::page::Told;
use super::{maintenance::MAINTENANCE, vary};

/// Gives answers with an error their form on a route.
#[derive(Debug)]
pub struct ErrorPageFilter(pub Arc<ErrorPages>);

/// Forms of answers with an error.
#[derive(Debug)]
pub struct ErrorPages {
    /// Rules by status; the first that fits is taken.
    pub rules: Vec<PageRule>,
    /// The page of a route that is closed for maintenance.
    pub maintenance: Option<Page>,
}

/// Form of answers with some statuses.
#[derive(Debug)]
pub struct PageRule {
    /// The statuses.
    pub statuses: StatusSet,
    /// True if answers of endpoints get it as well.
    pub of_endpoints: bool,
    /// The page; none: the answer stays as it is.
    pub page: Option<Page>,
}

impl ErrorPageFilter {
    pub(super) fn on_request(&self, exchange: &mut Exchange, request: &Request) {
        exchange.accepts = accepts(request);
    }

    pub(super) fn on_response(&self, exchange: &Exchange, response: &mut Response) {
        let status = response.status;
        if status.is_client_error() || status.is_server_error() {
            self.0.show(exchange, response);
        }
    }
}

impl ErrorPages {
    /// Gives an answer of the proxy its form, for a request without a route.
    pub(crate) fn show_unrouted(
        &self,
        exchange: &mut Exchange,
        request: Option<&Request>,
        response: &mut Response,
    ) {
        exchange.accepts = request.map_or_else(Accepts::default, accepts);
        self.show(exchange, response);
    }

    #[cold]
    fn show(&self, exchange: &Exchange, response: &mut Response) {
        let is_own = exchange.failure().is_some();
        let fits = |rule: &&PageRule| {
            (is_own || rule.of_endpoints) && rule.statuses.contains(response.status)
        };
        let of_status = || self.rules.iter().find(fits)?.page.as_ref();
        let is_closed = |_: &&Page| exchange.reason() == Some(MAINTENANCE.as_str());
        let of_maintenance = self.maintenance.as_ref().filter(is_closed);
        let Some(page) = of_maintenance.or_else(of_status) else {
            return;
        };
        if exchange.grpc || response.body.is_tunnel() {
            return;
        }
        page.show(exchange, response);
    }
}

impl Page {
    /// Puts the page in place of the body.
    pub(crate) fn show(&self, exchange: &Exchange, response: &mut Response) {
        let kind = exchange.accepts.choose(self.order());
        let told = Told::of(exchange, response.status);
        let headers = &mut response.headers;
        for name in OF_THE_BODY {
            headers.remove(name);
        }
        headers.insert(
            Known::ContentType,
            Value::from_static(match kind {
                Spoken::Html => "text/html; charset=utf-8",
                Spoken::Json => "application/problem+json",
                Spoken::Plain => "text/plain; charset=utf-8",
            }),
        );
        vary::add(headers, "Accept");
        let body = self.render(kind, &told);
        if exchange.method() == Method::HEAD {
            // Nothing else says how long the page is.
            headers.insert(Known::ContentLength, HeaderValue::from(body.len()));
        }
        response.body = Body::full(body);
    }
}

fn accepts(request: &Request) -> Accepts {
    Accepts::read(request.headers.get_all(Known::Accept).map(Value::as_bytes))
}

/// Fields that describe the body that was there before.
const OF_THE_BODY: [&str; 14] = [
    "content-length",
    "content-encoding",
    "content-language",
    "content-location",
    "content-range",
    "content-disposition",
    "accept-ranges",
    "etag",
    "last-modified",
    "content-md5",
    "digest",
    "content-digest",
    "repr-digest",
    "trailer",
];
