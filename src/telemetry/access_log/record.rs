//! Record of one exchange, as a line of the access log shows it.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

/// One exchange at its end, borrowed from its record.
#[derive(Clone, Debug)]
pub struct Line<'a> {
    /// Time at which the request head was read.
    pub time: SystemTime,
    /// Identity of the request, as in `x-request-id`.
    pub request_id: &'a str,
    /// Identity of its trace, if it is traced.
    pub trace_id: Option<&'a str>,
    /// Identity of its span in the trace.
    pub span_id: Option<&'a str>,
    /// Name of the listener.
    pub listener: &'a str,
    /// Address of the client, as reported by trusted proxies; none on a Unix socket.
    pub client: Option<IpAddr>,
    /// Request method.
    pub method: &'a str,
    /// `http` or `https`, as the client asked.
    pub scheme: &'a str,
    /// Host or authority as sent.
    pub host: &'a str,
    /// Path and query as sent.
    pub path: &'a str,
    /// `HTTP/1.1`, `HTTP/2.0` …
    pub protocol: &'a str,
    /// Status sent to the client, or the one of the failure if none was sent.
    pub status: u16,
    /// Reason why the proxy answered itself or cut the answer: a word of `Failure`.
    pub reason: Option<&'a str>,
    /// Route that matched.
    pub route: Option<&'a str>,
    /// Pool that was used.
    pub pool: Option<&'a str>,
    /// Endpoint that answered, or was tried last.
    pub endpoint: Option<&'a str>,
    /// Version of that endpoint.
    pub version: Option<&'a str>,
    /// Each attempt, in order.
    pub attempts: &'a [AttemptView<'a>],
    /// Reason why the last attempt, which failed, was not followed by another.
    pub not_retried: Option<&'a str>,
    /// Bytes of the request body read.
    pub bytes_in: u64,
    /// Bytes of the response body sent.
    pub bytes_out: u64,
    /// Time from the request head to the end of the response.
    pub total: Duration,
    /// Time spent waiting for the endpoint that answered.
    pub upstream: Option<Duration>,
    /// Time spent in a queue of the proxy.
    pub queue: Option<Duration>,
    /// TLS version and cipher of the downstream connection.
    pub tls: Option<&'a str>,
    /// Subject of the client's verified certificate.
    pub tls_subject: Option<&'a str>,
    /// Name of the authenticated client.
    pub user: Option<&'a str>,
    /// User-Agent as sent, which may be any bytes.
    pub user_agent: Option<&'a [u8]>,
    /// Names and values of the fields that the configuration adds.
    pub fields: &'a [(&'a str, &'a [u8])],
}

/// One attempt of an exchange.
#[derive(Clone, Copy, Debug)]
pub struct AttemptView<'a> {
    /// Endpoint that was tried.
    pub endpoint: &'a str,
    /// Status, or the word of the failure.
    pub outcome: &'a str,
    /// Time from its start to its outcome.
    pub took: Duration,
    /// Wait before it.
    pub waited: Duration,
    /// True for an attempt made beside another that was slow.
    pub hedge: bool,
    /// True for an attempt of a subrequest by a filter.
    pub subrequest: bool,
    /// Time from the start of the exchange to its own.
    pub began: Duration,
    /// Number of its span in the trace.
    pub span: u16,
    /// Pool of the endpoint.
    pub pool: &'a str,
    /// Version of the endpoint.
    pub version: Option<&'a str>,
    /// True if the endpoint is spoken to over TLS.
    pub secure: bool,
}
