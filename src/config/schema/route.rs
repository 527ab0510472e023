//! `[routes.NAME]`: what a request must be like, and where it then goes.

use std::time::Duration;

use http::{HeaderName, HeaderValue, Method, StatusCode};
use ipnet::IpNet;

use super::Config;
use super::access::Access;
use super::auth::Auth;
use super::cache::Cache;
use super::compress::Compress;
use super::concurrency::Concurrencies;
use super::cors::Cors;
use super::error_page::ErrorPages;
use super::fault::RouteFault;
use super::maintenance::Maintenance;
use super::rate_limit::RateLimits;
use super::retry::{Hedge, Retry};
use super::rewrite::{HeaderChanges, Rewrite};
use super::shadow::Shadow;
use super::split::{Pin, Split};
use crate::config::setting::{
    FileContent, Form, Node, Reader, Setting, Shape, Spanned, choice, table,
};
use crate::config::value::{
    BodyBound, CertificatePart, HostPattern, Mismatch, Name, Pattern, Template, ValueMatch,
};
use crate::route::{PathMatch, PathPatternError};

table! {
    /// Conditions on a request, and where it goes that meets them.
    pub struct Route {
        /// Listeners that must have accepted the request. Empty: any.
        pub listeners: Vec<Spanned<Name>> = Vec::new(),
        /// Hosts, exact or with a wildcard such as `"*.example.com"`. Empty: any.
        pub hosts: Vec<HostPattern> = Vec::new(),
        /// Methods. Empty: any.
        pub methods: Vec<Method> = Vec::new(),
        /// Values that headers must have: a text, `{ regex = "…" }` or `{ present = true }`.
        pub headers: Vec<(HeaderName, ValueMatch)> = Vec::new(),
        /// Values that query parameters must have, as for `headers`.
        pub query: Vec<(String, ValueMatch)> = Vec::new(),
        /// Values that cookies must have, as for `headers`.
        pub cookies: Vec<(String, ValueMatch)> = Vec::new(),
        /// Blocks of addresses, of which the client's must be in one. Empty: any.
        pub source: Vec<IpNet> = Vec::new(),
        /// Conditions on the verified certificate of the client; needs `client_ca` in a listener.
        pub client_certificate: Option<CertificateMatch> = None,
        /// Rank before all other rules; a higher number goes first.
        pub priority: i32 = 0,
        /// Only endpoints whose version meets this requirement.
        pub version: Option<semver::VersionReq> = None,
        /// Header by which a client asks for a version, such as `x-api-version: ^2`. Its value is a requirement as for `version`, of up to 128 bytes, and both must be met; one that cannot be read is answered with 400. Requests without it are served as ever.
        pub version_header: Option<HeaderName> = None,
        /// Recognition of the users of a `split`.
        pub pin: Option<Pin> = None,
        /// Timeouts of a request.
        pub timeouts: RouteTimeouts = RouteTimeouts::default(),
        /// Retries. `false`: none.
        pub retry: Option<Retry> = Some(Retry::default()),
        /// Second attempt beside a first one that is slow, for GET, HEAD and OPTIONS without a body.
        pub hedge: Option<Hedge> = None,
        /// Adds `X-Content-Type-Options: nosniff`, `X-Frame-Options: SAMEORIGIN`, `Referrer-Policy: strict-origin-when-cross-origin` and, over TLS, `Strict-Transport-Security: max-age=31536000` to every answer that does not have them.
        pub secure_headers: bool = false,
        /// Redirects requests over plain HTTP to `https://` with 308; host, path and query stay.
        pub https_only: bool = false,
        /// Pages in place of the short text of answers with an error, by status: `{ "502-504" = { file = "sorry.html" }, "4xx" = {} }`. Of several that fit, the one for the fewest statuses is taken. `false`: none.
        pub error_pages: ErrorPages = ErrorPages::default(),
        /// Compression of answers.
        pub compress: Option<Compress> = None,
        /// Closes the route for a while, but for some addresses: 503 with `Retry-After` and a page.
        pub maintenance: Option<Maintenance> = None,
        /// Clients that may use the route, by their addresses; others are answered with 403.
        pub access: Option<Access> = None,
        /// Cross-origin requests of browsers. The route then also takes the preflights for its methods.
        pub cors: Option<Cors> = None,
        /// Limits on the rate of requests: one rule, or a list of rules that are asked in their order. More is answered with 429.
        pub rate_limit: RateLimits = RateLimits::default(),
        /// Authentication of clients: one way, or a list of ways that must all pass. Who does not pass is answered with 401 or 403.
        pub auth: Option<Auth> = None,
        /// Delays and failures on purpose, for tests; needs `faults = true` in `[proxy]`.
        pub fault: Option<RouteFault> = None,
        /// Shared cache of answers. `false`: none.
        pub cache: Option<Cache> = None,
        /// Copies of requests to another pool or version, whose answers are dropped or compared.
        pub shadow: Option<Shadow> = None,
        /// Limit on requests at once, with a queue; or a list of two: one per client, which is asked first, and one of the route.
        pub concurrency: Option<Concurrencies> = None,
        /// Policies, whose keys the route then has unless it writes them itself; and filters that an embedding program has registered, in the order in which a request passes them.
        pub uses as "use": Vec<Spanned<Name>> = Vec::new(),
        /// Changes to path and host on the way to the pool.
        pub rewrite: Option<Rewrite> = None,
        /// Changes to the headers of the request.
        pub headers_request: HeaderChanges = HeaderChanges::default(),
        /// Changes to the headers of the response.
        pub headers_response: HeaderChanges = HeaderChanges::default(),
        /// Translates gRPC-Web, as browsers speak it, to gRPC and back.
        pub grpc_web: bool = false,
        /// Lines in the access log, where there is one. `false`: none of this route's requests is written, failures included; metrics, `/requests` and `why` have them all the same.
        pub access_log: bool = true,
        /// Bytes of a request body; more is answered with 413. The default holds on the way to a pool, but not for calls of gRPC and gRPC-Web to one with HTTP/2, whose streams have no end; a size that is written holds for all. `false`: no bound. `"0B"`: no body.
        pub body_max: BodyBound = BodyBound::Default,
    }
    choices {
        /// Condition on the path; without one, any path.
        pub path: Option<PathRule>,
        /// Destination of a request.
        pub destination: Destination,
    }
}

table! {
    /// Conditions on the certificate of a client, all of which must hold, each written like a header. `subject = { present = true }` asks for any certificate.
    pub struct CertificateMatch {
        /// The subject as `{tls.subject}` writes it (RFC 4514), such as `"CN=billing,O=Example"`.
        pub subject: Option<ValueMatch> = None,
        /// One of the DNS names.
        pub dns: Option<ValueMatch> = None,
        /// One of the URIs, such as a SPIFFE id.
        pub uri: Option<ValueMatch> = None,
        /// One of the mail addresses.
        pub email: Option<ValueMatch> = None,
        /// One of the IP addresses.
        pub ip: Option<ValueMatch> = None,
    }
}

impl CertificateMatch {
    /// The conditions by the part that they are on.
    pub fn conditions(&self) -> impl Iterator<Item = (CertificatePart, &ValueMatch)> {
        let all = [
            (CertificatePart::Subject, &self.subject),
            (CertificatePart::Dns, &self.dns),
            (CertificatePart::Uri, &self.uri),
            (CertificatePart::Email, &self.email),
            (CertificatePart::Ip, &self.ip),
        ];
        all.into_iter()
            .filter_map(|(part, wanted)| Some((part, wanted.as_ref()?)))
    }
}

choice! {
    /// Destination of a request: exactly one of these.
    pub enum Destination {
        /// Sends the request to an endpoint of this pool.
        "pool" => Pool(Spanned<Name>),
        /// Sends each user to one of these pools, by weight (0 to 1000000). A user stays with his pool; when weights change, he leaves it only for one whose weight has grown against it.
        "split" => Split(Split),
        /// Sends each user to one of two versions, as this rollout says.
        "rollout" => Rollout(Spanned<Name>),
        /// Answers with a redirect.
        "redirect" => Redirect(Redirect),
        /// Answers with a fixed reply.
        "respond" => Respond(Respond),
    }
}

impl Destination {
    /// Returns the pools that requests may go to, each with its place in the file.
    pub fn pools(&self, config: &Config) -> Vec<Spanned<Name>> {
        match self {
            Self::Pool(pool) => vec![pool.clone()],
            Self::Split(split) => split.pools().collect(),
            Self::Rollout(name) => {
                let rollout = config.rollouts.get(&name.value);
                rollout
                    .map(|rollout| rollout.pool.clone())
                    .into_iter()
                    .collect()
            }
            Self::Redirect(_) | Self::Respond(_) => Vec::new(),
        }
    }
}

choice! {
    /// Condition on the path: at most one of these.
    pub enum PathRule {
        /// Exactly this path.
        "path" => Exact(Path),
        /// This path or one below it; whole segments only.
        "path_prefix" => Prefix(Path),
        /// A path in which this regular expression matches; anchor it with `^` and `$`.
        "path_regex" => Regex(Pattern),
    }
}

impl PathRule {
    /// Gives the path or the pattern as it is written.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Exact(path) | Self::Prefix(path) => &path.0,
            Self::Regex(pattern) => pattern.as_str(),
        }
    }

    /// Makes the rule that paths of requests are compared with.
    ///
    /// # Errors
    /// If no request can have this path.
    pub fn matcher(&self) -> Result<PathMatch, PathPatternError> {
        match self {
            Self::Exact(path) => PathMatch::exact(&path.0),
            Self::Prefix(path) => PathMatch::prefix(&path.0),
            Self::Regex(pattern) => Ok(PathMatch::Regex((**pattern).clone())),
        }
    }
}

/// The absolute path of a URL, without query.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path(pub String);

impl Path {
    /// Parses a path.
    ///
    /// # Errors
    ///
    /// Refuses a text that can never be the path of a request.
    pub fn parse(text: &str) -> Result<Self, Mismatch> {
        let why = if !text.starts_with('/') {
            "it must start with \"/\""
        } else if text.contains(['?', '#']) {
            "query and fragment are no part of it"
        } else if text.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
            "it has a space or control character in it"
        } else {
            return Ok(Self(text.to_owned()));
        };
        let message = format!("{text:?} is not a path: {why}");
        Err(Mismatch::new(message, "such as \"/orders\""))
    }
}

impl std::ops::Deref for Path {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Setting for Path {
    fn shape() -> Shape {
        Shape::value("path of a URL", "\"/orders\"")
    }

    fn form() -> Form {
        Form::Text
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        reader.parse_text(node, &Self::shape(), Self::parse)
    }

    fn print(&self) -> serde_json::Value {
        self.0.as_str().into()
    }
}

table! {
    /// A redirect.
    pub struct Redirect {
        /// Target: a template with `{scheme}`, `{host}`, `{path}`, `{query}` and other placeholders. What a client sends is percent-encoded in it.
        pub to: Template,
        /// Status: 301, 302, 303, 307 or 308.
        pub status: StatusCode = StatusCode::PERMANENT_REDIRECT,
    }
}

table! {
    /// A fixed reply.
    pub struct Respond: Default {
        /// Status, 200 to 599.
        pub status: StatusCode = StatusCode::OK,
        /// Body of the reply. Placeholders such as `{host}` or `{query:NAME}` are filled in, escaped for HTML or JSON by `content-type`; all other braces stay as they are written.
        pub body: String = String::new(),
        /// A file with the body, of up to 1 MiB, in place of `body`, sent as it is. Watched: a change causes a reload.
        pub file: Option<FileContent> = None,
        /// Headers; `content-type` is `text/plain` by default, and that of its ending (`.html`, `.json`, `.png` …) for a file.
        pub headers: Vec<(HeaderName, HeaderValue)> = Vec::new(),
    }
}

table! {
    /// Timeouts of a request.
    pub struct RouteTimeouts: Default {
        /// Time from the head of the request to the head of the response, over all attempts; then 504.
        pub total: Duration = Duration::from_secs(30),
        /// Time of one attempt, to the head of its response; by default what is left of `total`. A shorter one gives up on an endpoint that hangs; with `"timeout"` in `retry.on` another is then tried.
        pub attempt: Option<Duration> = None,
        /// Time without a byte in either direction, once the response has begun. The only timeout of upgrades and streams. A response without a length that falls silent, such as a stream of events, is not held against its endpoint.
        pub idle: Duration = Duration::from_secs(60),
        /// Accepts `X-Request-Timeout-Ms` from any client as a shorter `total`, never a longer one, and tells each attempt the time that is left in the same header. A value that is not a number of up to 10 digits is ignored.
        pub from_client: bool = false,
    }
}
