//! `[routes.NAME]`: what a request must be like, and where it then goes.

use std::time::Duration;

use http::{HeaderName, HeaderValue, Method, StatusCode};
use ipnet::IpNet;

use super::retry::Retry;
use super::rewrite::{HeaderChanges, Rewrite};
use crate::config::setting::{Form, Node, Reader, Setting, Shape, Spanned, choice, table};
use crate::config::value::{ByteSize, HostPattern, Mismatch, Name, Pattern, Template, ValueMatch};

table! {
    /// What a request must be like, and where it then goes.
    pub struct Route {
        /// Listeners whose requests are looked at. Empty: all.
        pub listeners: Vec<Spanned<Name>> = Vec::new(),
        /// Hosts, exact or `"*.below"`. Empty: all.
        pub hosts: Vec<HostPattern> = Vec::new(),
        /// Methods. Empty: all.
        pub methods: Vec<Method> = Vec::new(),
        /// What headers must be: a text, `{ regex = "…" }` or `{ present = true }`.
        pub headers: Vec<(HeaderName, ValueMatch)> = Vec::new(),
        /// What query parameters must be, like `headers`.
        pub query: Vec<(String, ValueMatch)> = Vec::new(),
        /// What cookies must be, like `headers`.
        pub cookies: Vec<(String, ValueMatch)> = Vec::new(),
        /// Blocks that the client's address must be in. Empty: all.
        pub source: Vec<IpNet> = Vec::new(),
        /// What the client's verified certificate must say; asked for where a listener has `client_ca`.
        pub client_certificate: Option<CertificateMatch> = None,
        /// Decides before all else; higher is tried first.
        pub priority: i32 = 0,
        /// Only endpoints whose version meets this requirement.
        pub version: Option<semver::VersionReq> = None,
        /// How long an exchange may take.
        pub timeouts: RouteTimeouts = RouteTimeouts::default(),
        /// When another endpoint is tried. `false`: never.
        pub retry: Option<Retry> = Some(Retry::default()),
        /// Changes to path and host on the way to the pool.
        pub rewrite: Option<Rewrite> = None,
        /// Changes to the headers of the request.
        pub headers_request: HeaderChanges = HeaderChanges::default(),
        /// Changes to the headers of the response.
        pub headers_response: HeaderChanges = HeaderChanges::default(),
        /// Whether gRPC-Web, as browsers speak it, becomes gRPC on the way to the pool.
        pub grpc_web: bool = false,
        /// Bytes of a request body; more is answered with 413. Without it there is no bound.
        pub body_max: Option<ByteSize> = None,
    }
    choices {
        /// What the path must be; without one, any.
        pub path: Option<PathRule>,
        /// Where a request goes.
        pub destination: Destination,
    }
    later {
        "split", "rollout", "hedge", "rate_limit", "concurrency", "auth", "access", "cors",
        "compress", "cache", "shadow", "fault",
    }
}

table! {
    /// What a client's certificate must say: all that is given, each like a header. `subject = { present = true }` asks for any certificate.
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
    /// The conditions by their keys.
    pub fn conditions(&self) -> impl Iterator<Item = (&'static str, &ValueMatch)> {
        let all = [
            ("subject", &self.subject),
            ("dns", &self.dns),
            ("uri", &self.uri),
            ("email", &self.email),
            ("ip", &self.ip),
        ];
        all.into_iter()
            .filter_map(|(key, wanted)| Some((key, wanted.as_ref()?)))
    }
}

choice! {
    /// Where a request goes: exactly one of these.
    pub enum Destination {
        /// To an endpoint of this pool.
        "pool" => Pool(Spanned<Name>),
        /// Back, with another place to go to.
        "redirect" => Redirect(Redirect),
        /// Back, with a fixed answer.
        "respond" => Respond(Respond),
    }
}

choice! {
    /// What the path must be: at most one of these.
    pub enum PathRule {
        /// Exactly this path.
        "path" => Exact(Path),
        /// This path or one below it; whole segments only.
        "path_prefix" => Prefix(Path),
        /// A path in which this regular expression is found; anchor it with `^` and `$`.
        "path_regex" => Regex(Pattern),
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
    /// Refuses what could never be the path of a request.
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
    /// An answer that sends the client elsewhere.
    pub struct Redirect {
        /// Where to: a template with `{scheme}`, `{host}`, `{path}`, `{query}` and so on.
        pub to: Template,
        /// 301, 302, 303, 307 or 308.
        pub status: StatusCode = StatusCode::PERMANENT_REDIRECT,
    }
}

table! {
    /// A fixed answer.
    pub struct Respond: Default {
        /// Its status, from 200 to 599.
        pub status: StatusCode = StatusCode::OK,
        /// Its body.
        pub body: String = String::new(),
        /// Its headers; `content-type` is `text/plain` unless given.
        pub headers: Vec<(HeaderName, HeaderValue)> = Vec::new(),
    }
}

table! {
    /// How long an exchange may take.
    pub struct RouteTimeouts: Default {
        /// From the head of the request to the head of the response, over all attempts; then 504.
        pub total: Duration = Duration::from_secs(30),
        /// One attempt, to the head of its response; all that is left of `total` unless given. A shorter one leaves an endpoint that hangs, and with `"timeout"` in `retry.on` another is tried then.
        pub attempt: Option<Duration> = None,
        /// Without a byte either way, of the answer or of an upload beside it; upgrades and streams know only this one. An answer without a length that falls silent, as streams of events do, is no verdict on its endpoint.
        pub idle: Duration = Duration::from_secs(60),
    }
}
