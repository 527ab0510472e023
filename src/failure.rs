//! The list of reasons for which a request ends early.
//!
//! Each reason has one status, one word and one side at fault. The word is the same in
//! `Proxy-Status` (RFC 9209 section 2.3), in the access log and in the `reason` label of the
//! metrics.

use std::fmt;

use http::StatusCode;

/// Reasons why the proxy answered a request itself, or cut an answer short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// No route matches the request.
    RouteNotFound,
    /// The pool has no endpoint that can serve: none defined, all unhealthy, all tried.
    NoEndpoint,
    /// The breaker of the pool is open: too many calls to its endpoints failed.
    BreakerOpen,
    /// A limit of the proxy is reached: connections, queue, overload.
    LimitReached,
    /// The name of an endpoint does not resolve.
    DnsFailed,
    /// The name of an endpoint did not resolve in time.
    DnsTimeout,
    /// The endpoint refused the connection.
    ConnectRefused,
    /// The endpoint closed or reset the connection before a response head.
    ConnectionClosed,
    /// There is no route to the address of the endpoint.
    Unroutable,
    /// The connection was not established in time.
    ConnectTimeout,
    /// The certificate of the endpoint is not valid for it.
    TlsCertificate,
    /// TLS with the endpoint failed in another way, in the handshake or after it.
    TlsProtocol,
    /// The endpoint refused the HTTP/2 stream without processing it (RFC 9113 section 8.7).
    StreamRefused,
    /// The response head was late, or the total time is over.
    ResponseTimeout,
    /// The endpoint stopped reading the request.
    WriteTimeout,
    /// The endpoint stopped sending its response.
    ReadTimeout,
    /// The response head is malformed.
    ResponseMalformed,
    /// The response head is larger than the limit.
    ResponseHeadTooLarge,
    /// The response body ended before its announced end.
    ResponseIncomplete,
    /// The endpoint did not switch protocols although its answer says so.
    UpgradeFailed,
    /// The request is malformed.
    BadRequest(BadRequest),
    /// The request head was late.
    SlowHead,
    /// The request body was late.
    SlowBody,
    /// The request has passed through this proxy before.
    Loop,
    /// The client asks for another host than that of its TLS session (RFC 9110 section 15.5.20).
    Misdirected,
    /// A filter refused the request; status and word are its own.
    Refused,
    /// The client left before the end of the exchange.
    ClientGone,
    /// The client stopped reading the response.
    ClientStalled,
    /// The proxy stopped before the exchange was over.
    Shutdown,
    /// A fault of the proxy itself.
    Internal,
}

/// Rules that a malformed or oversize request can break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BadRequest {
    /// The request line is not `method target version`.
    RequestLine,
    /// The target has spaces, control bytes, `#` or a form its method does not allow.
    Target,
    /// The path hides a separator that would change which route matches.
    Path,
    /// The HTTP version is neither 1.0 nor 1.1.
    Version,
    /// A header line is malformed: name not a token, space before the colon, folded line, control
    /// byte.
    Header,
    /// A header name has an underscore, which the listener refuses.
    Underscore,
    /// Host is missing, given twice or malformed, or differs from the authority.
    Host,
    /// Content-Length is malformed or contradictory.
    ContentLength,
    /// Transfer-Encoding together with Content-Length, or in HTTP/1.0.
    TransferEncoding,
    /// A transfer coding other than `chunked`.
    UnknownCoding,
    /// A WebSocket request has no key, which the answer must prove.
    WebSocketKey,
    /// A chunk of the body is malformed.
    Chunk,
    /// The body ended before its announced length, or has more bytes.
    BodyLength,
    /// CONNECT or TRACE.
    Method,
    /// The target is longer than the limit.
    TargetTooLong,
    /// The head is larger than the limit.
    HeadTooLarge,
    /// The head has more fields than the limit.
    TooManyHeaders,
    /// The body is larger than `body_max` of its route.
    BodyMax,
    /// The body is larger than a filter of the embedding program allows.
    BodyTooLarge,
    /// A long body of unknown length, for an endpoint without chunked coding.
    LengthRequired,
    /// Expect has a value other than `100-continue`.
    Expectation,
    /// A frame that HTTP/2 does not allow, or a field block that cannot be decoded.
    Http2,
    /// Plain HTTP on a TLS port.
    NotTls,
    /// The text of a gRPC-Web call is not base64.
    GrpcWebText,
    /// A gRPC-Web call contains something other than messages.
    GrpcWebFlags,
    /// A gRPC-Web call ended in the middle of a message.
    GrpcWebLength,
}

/// Sides that can cause an early end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The client: the proxy and the endpoint are not at fault.
    Downstream,
    /// The endpoint, or the path to it: counted by passive health.
    Upstream,
    /// The proxy, or its configuration.
    Proxy,
}

impl Failure {
    /// Status of the reply; for an answer cut short, the status that the access log shows.
    pub fn status(self) -> StatusCode {
        match self {
            Self::RouteNotFound => StatusCode::NOT_FOUND,
            Self::NoEndpoint | Self::BreakerOpen | Self::LimitReached | Self::Shutdown => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::DnsFailed
            | Self::ConnectRefused
            | Self::ConnectionClosed
            | Self::Unroutable
            | Self::TlsCertificate
            | Self::TlsProtocol
            | Self::StreamRefused
            | Self::ResponseMalformed
            | Self::ResponseHeadTooLarge
            | Self::ResponseIncomplete
            | Self::UpgradeFailed
            | Self::Loop => StatusCode::BAD_GATEWAY,
            Self::DnsTimeout
            | Self::ConnectTimeout
            | Self::ResponseTimeout
            | Self::WriteTimeout
            | Self::ReadTimeout => StatusCode::GATEWAY_TIMEOUT,
            Self::SlowHead | Self::SlowBody => StatusCode::REQUEST_TIMEOUT,
            Self::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Self::Refused => StatusCode::FORBIDDEN,
            Self::BadRequest(rule) => rule.status(),
            Self::ClientGone | Self::ClientStalled => CLIENT_GONE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Returns the word for header, log and metric (RFC 9209 section 2.3).
    pub fn word(self) -> &'static str {
        match self {
            Self::RouteNotFound => "destination_not_found",
            Self::NoEndpoint | Self::BreakerOpen => "destination_unavailable",
            Self::LimitReached => "connection_limit_reached",
            Self::DnsFailed => "dns_error",
            Self::DnsTimeout => "dns_timeout",
            Self::ConnectRefused => "connection_refused",
            Self::ConnectionClosed | Self::StreamRefused => "connection_terminated",
            Self::Unroutable => "destination_ip_unroutable",
            Self::ConnectTimeout => "connection_timeout",
            Self::TlsCertificate => "tls_certificate_error",
            Self::TlsProtocol => "tls_protocol_error",
            Self::ResponseTimeout => "http_response_timeout",
            Self::WriteTimeout | Self::ClientStalled => "connection_write_timeout",
            Self::ReadTimeout => "connection_read_timeout",
            Self::ResponseMalformed => "http_protocol_error",
            Self::ResponseHeadTooLarge => "http_response_header_section_size",
            Self::ResponseIncomplete => "http_response_incomplete",
            Self::UpgradeFailed => "http_upgrade_failed",
            Self::BadRequest(_) | Self::SlowHead | Self::SlowBody => "http_request_error",
            Self::Misdirected | Self::Refused => "http_request_denied",
            Self::Loop => "proxy_loop_detected",
            Self::ClientGone => "client_gone",
            Self::Shutdown => "proxy_shutdown",
            Self::Internal => "proxy_internal_error",
        }
    }

    /// Side that caused it; only [`Side::Upstream`] counts against an endpoint.
    pub fn side(self) -> Side {
        match self {
            Self::DnsFailed
            | Self::DnsTimeout
            | Self::ConnectRefused
            | Self::ConnectionClosed
            | Self::Unroutable
            | Self::ConnectTimeout
            | Self::TlsCertificate
            | Self::TlsProtocol
            | Self::StreamRefused
            | Self::ResponseTimeout
            | Self::WriteTimeout
            | Self::ReadTimeout
            | Self::ResponseMalformed
            | Self::ResponseHeadTooLarge
            | Self::ResponseIncomplete
            | Self::UpgradeFailed => Side::Upstream,
            Self::BadRequest(_)
            | Self::SlowHead
            | Self::SlowBody
            | Self::Misdirected
            | Self::Refused
            | Self::ClientGone
            | Self::ClientStalled => Side::Downstream,
            Self::RouteNotFound
            | Self::NoEndpoint
            | Self::BreakerOpen
            | Self::LimitReached
            | Self::Loop
            | Self::Shutdown
            | Self::Internal => Side::Proxy,
        }
    }

    /// One sentence for the body of the reply and the `details` of `Proxy-Status`.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::RouteNotFound => "no route matches this request",
            Self::NoEndpoint => "no endpoint of the pool can serve now",
            Self::BreakerOpen => "the breaker of the pool is open",
            Self::LimitReached => "a limit of the proxy is reached",
            Self::DnsFailed => "the name of the endpoint does not resolve",
            Self::DnsTimeout => "the name of the endpoint did not resolve in time",
            Self::ConnectRefused => "the endpoint refused the connection",
            Self::ConnectionClosed => "the endpoint closed the connection without an answer",
            Self::Unroutable => "there is no route to the endpoint",
            Self::ConnectTimeout => "the endpoint did not accept the connection in time",
            Self::TlsCertificate => "the certificate of the endpoint is not the right one",
            Self::TlsProtocol => "TLS with the endpoint failed",
            Self::StreamRefused => "the endpoint refused the stream",
            Self::ResponseTimeout => "the endpoint did not answer in time",
            Self::WriteTimeout => "the endpoint stopped reading the request",
            Self::ReadTimeout => "the endpoint stopped sending its answer",
            Self::ResponseMalformed => "the answer of the endpoint is malformed",
            Self::ResponseHeadTooLarge => "the head of the answer is too large",
            Self::ResponseIncomplete => "the answer of the endpoint was cut short",
            Self::UpgradeFailed => "the endpoint did not switch protocols",
            Self::BadRequest(rule) => rule.sentence(),
            Self::SlowHead => "the request head did not arrive in time",
            Self::SlowBody => "the request body did not arrive in time",
            Self::Loop => "the request has passed through this proxy before",
            Self::Misdirected => "this connection was made for another host",
            Self::Refused => "the request was refused",
            Self::ClientGone => "the client went away",
            Self::ClientStalled => "the client stopped reading the answer",
            Self::Shutdown => "the proxy is stopping",
            Self::Internal => "the proxy failed; this is a bug in it",
        }
    }
}

impl BadRequest {
    /// Status of the reply.
    pub fn status(self) -> StatusCode {
        match self {
            Self::RequestLine
            | Self::Target
            | Self::Path
            | Self::Header
            | Self::Underscore
            | Self::Host
            | Self::ContentLength
            | Self::TransferEncoding
            | Self::WebSocketKey
            | Self::Chunk
            | Self::BodyLength
            | Self::Http2
            | Self::NotTls
            | Self::GrpcWebText
            | Self::GrpcWebFlags
            | Self::GrpcWebLength => StatusCode::BAD_REQUEST,
            Self::Version => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Self::UnknownCoding => StatusCode::NOT_IMPLEMENTED,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::TargetTooLong => StatusCode::URI_TOO_LONG,
            Self::HeadTooLarge | Self::TooManyHeaders => {
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
            }
            Self::BodyMax | Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::LengthRequired => StatusCode::LENGTH_REQUIRED,
            Self::Expectation => StatusCode::EXPECTATION_FAILED,
        }
    }

    /// One sentence that names the rule, or the limit by its name in the configuration.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::RequestLine => "the request line is malformed",
            Self::Target => "the request target is malformed",
            Self::Path => "the path hides a separator in an encoded byte",
            Self::Version => "the HTTP version is not supported",
            Self::Header => "a header field is malformed",
            Self::Underscore => "a header name has an underscore",
            Self::Host => "Host is missing, repeated, malformed or not the authority",
            Self::ContentLength => "Content-Length is malformed",
            Self::TransferEncoding => "Transfer-Encoding is not allowed here",
            Self::UnknownCoding => "the transfer coding is not implemented",
            Self::WebSocketKey => "a WebSocket is asked for without Sec-WebSocket-Key",
            Self::Chunk => "a chunk of the body is malformed",
            Self::BodyLength => "the body does not have its announced length",
            Self::Method => "the method is not allowed",
            Self::TargetTooLong => "the target is longer than limits.target",
            Self::HeadTooLarge => "the request head is larger than limits.head",
            Self::TooManyHeaders => "the request has more fields than limits.headers",
            Self::BodyMax => "the request body is larger than body_max of the route",
            Self::BodyTooLarge => "the request body is larger than a filter allows",
            Self::LengthRequired => {
                "the endpoint speaks HTTP/1.0; a long body needs Content-Length"
            }
            Self::Expectation => "the expectation cannot be met",
            Self::Http2 => "a rule of HTTP/2 is broken",
            Self::NotTls => "plain HTTP was sent to a port for TLS",
            Self::GrpcWebText => "the text of the gRPC-Web call is not base64",
            Self::GrpcWebFlags => "the gRPC-Web call has something else in it than messages",
            Self::GrpcWebLength => "the gRPC-Web call ends in the middle of a message",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sentence())
    }
}

impl std::error::Error for Failure {}

impl From<BadRequest> for Failure {
    fn from(rule: BadRequest) -> Self {
        Self::BadRequest(rule)
    }
}

/// Status in the access log for a client that left before an answer; never sent.
pub const CLIENT_GONE: StatusCode = match StatusCode::from_u16(499) {
    Ok(status) => status,
    Err(_) => unreachable!(),
};
