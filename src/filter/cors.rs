//! Cross-origin requests of browsers.
//!
//! Preflights are answered here; to other requests the answer gets the fields that let the page
//! read it, failures of the proxy included. What the endpoint says about it is replaced, so that
//! no field stands twice. Source: Fetch standard, section "HTTP extensions".

use http::{HeaderName, HeaderValue, Method, StatusCode};

use super::{Verdict, vary};
use crate::{
    config::value::OriginPattern,
    exchange::{Body, Exchange, Reason, Refusal, Request, Response},
    failure::Failure,
    semantics::{
        Known, Value, headers,
        token::{is_token, members},
    },
};

/// Lets pages of some origins read the answers of a route.
#[derive(Debug)]
pub struct CorsFilter {
    /// The origins.
    pub origins: Vec<OriginPattern>,
    /// Methods that a preflight may ask for; none: any.
    pub methods: Option<AllowedList<Method>>,
    /// Request headers that a preflight may ask for; none: any.
    pub headers: Option<AllowedList<HeaderName>>,
    /// Value of `Access-Control-Expose-Headers`.
    pub expose: Option<HeaderValue>,
    /// Credentials may be sent.
    pub credentials: bool,
    /// Value of `Access-Control-Max-Age`.
    pub max_age: HeaderValue,
}

/// A list of names, and as the value of a field.
#[derive(Debug)]
pub struct AllowedList<T> {
    /// The names.
    pub names: Vec<T>,
    /// The names, with commas.
    pub value: HeaderValue,
}

/// Origin of the page that asked, if its pages may read the answer.
struct Allowed(HeaderValue);

impl CorsFilter {
    pub(super) fn on_request(
        &self,
        exchange: &mut Exchange,
        request: &Request,
    ) -> Result<Verdict, Failure> {
        let Some(origin) = request.headers.get(Known::Origin) else {
            return Ok(Verdict::Continue);
        };
        // Browsers send one; of several nobody knows which is meant.
        let is_only = request.headers.get_all(Known::Origin).count() == 1;
        let allowed = (is_only && self.allows(origin)).then(|| origin.to_header_value());
        let wanted = request.headers.get(REQUEST_METHOD);
        if request.method == Method::OPTIONS
            && let Some(method) = wanted
        {
            let headers = request.headers.get(REQUEST_HEADERS);
            return match allowed {
                Some(origin) if self.fits(method, headers) => {
                    Ok(Verdict::Reply(self.preflight(&origin, method, headers)))
                }
                _ => Err(refuse(exchange, origin, allowed.is_some())),
            };
        }
        if let Some(origin) = allowed {
            exchange.keep(Allowed(origin));
        }
        Ok(Verdict::Continue)
    }

    pub(super) fn on_response(&self, exchange: &mut Exchange, response: &mut Response) {
        let allowed = exchange.take_kept::<Allowed>();
        let headers = &mut response.headers;
        for name in OWNED {
            headers.remove(name);
        }
        let varies = self.credentials || !self.is_for_any();
        if varies {
            vary::add(headers, "Origin");
        }
        let Some(Allowed(origin)) = allowed else {
            return;
        };
        self.allow(headers, &origin);
        if let Some(expose) = &self.expose {
            headers.insert(EXPOSE_HEADERS, expose);
        }
    }

    fn allows(&self, origin: Value<'_>) -> bool {
        let origin = origin.to_str();
        origin.is_some_and(|origin| self.origins.iter().any(|it| it.matches(origin)))
    }

    fn is_for_any(&self) -> bool {
        self.origins.contains(&OriginPattern::Any)
    }

    /// Returns true if a preflight asks for nothing that is not allowed.
    fn fits(&self, method: Value<'_>, headers: Option<Value<'_>>) -> bool {
        let methods = self.methods.as_ref();
        if !is_token(method.as_bytes()) {
            return false;
        }
        // These need no permission (Fetch, "CORS-safelisted method").
        let method = method.as_bytes();
        let simple = [Method::GET, Method::HEAD, Method::POST];
        let fits = methods.is_none_or(|it| {
            let known = it.names.iter().chain(&simple);
            known.into_iter().any(|it| it.as_str().as_bytes() == method)
        });
        let Some(asked) = headers else {
            return fits;
        };
        fits && members(asked.as_bytes()).all(|name| {
            let same = |it: &HeaderName| name.eq_ignore_ascii_case(it.as_str().as_bytes());
            let allowed = self.headers.as_ref();
            let is_allowed = allowed.is_none_or(|it| it.names.iter().any(same));
            name.is_empty() || (is_allowed && is_token(name))
        })
    }

    fn preflight(
        &self,
        origin: &HeaderValue,
        method: Value<'_>,
        asked: Option<Value<'_>>,
    ) -> Response {
        let mut response = Response::new(Body::Empty);
        response.status = StatusCode::NO_CONTENT;
        let headers = &mut response.headers;
        self.allow(headers, origin);
        match &self.methods {
            Some(methods) => headers.insert(ALLOW_METHODS, &methods.value),
            None => headers.insert(ALLOW_METHODS, method),
        }
        match (&self.headers, asked) {
            (Some(allowed), _) => headers.insert(ALLOW_HEADERS, &allowed.value),
            (None, Some(asked)) => headers.insert(ALLOW_HEADERS, asked),
            (None, None) => {}
        }
        headers.insert(MAX_AGE, &self.max_age);
        let varies = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers";
        headers.insert(Known::Vary, Value::from_static(varies));
        response
    }

    /// Lets the pages of this origin read the answer.
    fn allow(&self, headers: &mut headers::Headers, origin: &HeaderValue) {
        if self.is_for_any() && !self.credentials {
            let any = Value::from_static("*");
            headers.insert(Known::AccessControlAllowOrigin, any);
        } else {
            headers.insert(Known::AccessControlAllowOrigin, origin);
        }
        if self.credentials {
            let yes = Value::from_static("true");
            headers.insert(Known::AccessControlAllowCredentials, yes);
        }
    }
}

/// Refuses a preflight.
#[cold]
fn refuse(exchange: &mut Exchange, origin: Value<'_>, is_origin_allowed: bool) -> Failure {
    let detail = if is_origin_allowed {
        "cors: the preflight asks for a method or header that is not allowed".to_owned()
    } else {
        let origin = String::from_utf8_lossy(origin.as_bytes()).into_owned();
        format!("cors: origin {} is not allowed", origin.escape_debug())
    };
    let refusal = Refusal::new(StatusCode::FORBIDDEN, Reason::DENIED)
        .sentence("this cross-origin request is not allowed")
        .header(Known::Vary, Value::from_static("Origin"))
        .detail(detail);
    exchange.refuse(refusal)
}

const REQUEST_METHOD: &str = "access-control-request-method";
const REQUEST_HEADERS: &str = "access-control-request-headers";
const ALLOW_METHODS: &str = "Access-Control-Allow-Methods";
const ALLOW_HEADERS: &str = "Access-Control-Allow-Headers";
const EXPOSE_HEADERS: &str = "Access-Control-Expose-Headers";
const MAX_AGE: &str = "Access-Control-Max-Age";
/// Fields of an answer that only the proxy writes on such a route.
const OWNED: [&str; 6] = [
    "access-control-allow-origin",
    "access-control-allow-credentials",
    "access-control-expose-headers",
    "access-control-allow-methods",
    "access-control-allow-headers",
    "access-control-max-age",
];
