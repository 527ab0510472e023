//! Content of the spans of an exchange: OpenTelemetry's conventions for HTTP spans.
//!
//! The exchange is a span of the server; each attempt is a span of the client below it. The name of
//! a span has the method and the route, never the path, so that there are few of them.

use std::{
    net::IpAddr,
    time::{Duration, UNIX_EPOCH},
};

use super::{
    encode::{Encode, SpanHead, SpanKind},
    settings::TraceSettings,
};
use crate::{
    semantics::trace::{SpanId, TraceId},
    telemetry::access_log::{AttemptView, Line},
};

/// The identities of an exchange's trace.
#[derive(Clone, Copy, Debug)]
pub struct TraceView<'a> {
    /// The trace.
    pub trace: TraceId,
    /// The span of the exchange.
    pub span: SpanId,
    /// The sender's span.
    pub parent: Option<SpanId>,
    /// True if the exchange failed, other than by its client.
    pub failed: bool,
    /// Condition of the route on the path.
    pub route_path: Option<&'a str>,
}

/// Writes the spans of an exchange; returns their number.
pub(super) fn write(
    line: &Line<'_>,
    trace: &TraceView<'_>,
    settings: &TraceSettings,
    out: &mut impl Encode,
) -> u64 {
    let end = line.time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let start = end.saturating_sub(line.total);
    let target = settings.names.masked_url(line.path);
    let method = known_method(line.method);
    out.open(&SpanHead {
        trace: trace.trace,
        span: trace.span,
        parent: trace.parent,
        kind: SpanKind::Server,
        name: (name_of(method), line.route),
        start,
        took: line.total,
        remote: None,
    });
    if let Some(path) = trace.route_path {
        out.text("http.route", path);
    }
    exchange(line, method, &target, trace.failed, out);
    out.close(trace.failed);
    for (number, attempt) in line.attempts.iter().enumerate() {
        let status = status_of(attempt.outcome);
        let failed = status.is_none_or(|status| status >= 400) && attempt.outcome != LOST;
        let (host, port) = host_and_port(attempt.endpoint);
        out.open(&SpanHead {
            trace: trace.trace,
            span: trace.span.below(attempt.span),
            parent: Some(trace.span),
            kind: SpanKind::Client,
            name: (name_of(method), None),
            start: start + attempt.began,
            took: attempt.took,
            remote: host.parse::<IpAddr>().ok().map(|ip| (ip, port)),
        });
        put_method(line.method, method, out);
        out.text("server.address", host);
        if let Some(port) = port {
            out.number("server.port", port.into());
        }
        let scheme = if attempt.secure { "https" } else { "http" };
        let url = format!("{scheme}://{}{target}", attempt.endpoint);
        out.text("url.full", &url);
        of_attempt(attempt, status, failed, number, out);
        out.close(failed);
    }
    1 + line.attempts.len() as u64
}

fn exchange(
    line: &Line<'_>,
    method: Option<&str>,
    target: &str,
    failed: bool,
    out: &mut impl Encode,
) {
    put_method(line.method, method, out);
    out.text("url.scheme", line.scheme);
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    if !path.is_empty() {
        out.text("url.path", path);
    }
    if let Some(query) = query {
        out.text("url.query", query);
    }
    if !line.host.is_empty() {
        let (host, port) = host_and_port(line.host);
        out.text("server.address", host);
        if let Some(port) = port {
            out.number("server.port", port.into());
        }
    }
    if let Some(client) = line.client {
        out.text("client.address", &client.to_string());
    }
    let version = line.protocol.strip_prefix("HTTP/").unwrap_or("");
    out.text("network.protocol.version", version.trim_end_matches(".0"));
    if let Some(agent) = line.user_agent {
        out.text("user_agent.original", &String::from_utf8_lossy(agent));
    }
    out.number("http.response.status_code", line.status.into());
    out.number("http.request.body.size", line.bytes_in);
    out.number("http.response.body.size", line.bytes_out);
    if failed {
        match line.reason {
            Some(reason) => out.text("error.type", reason),
            None => out.text("error.type", &line.status.to_string()),
        }
    }
    let own = [
        ("sluicegate.request_id", Some(line.request_id)),
        ("sluicegate.listener", Some(line.listener)),
        ("sluicegate.route", line.route),
        ("sluicegate.pool", line.pool),
        ("sluicegate.reason", line.reason),
    ];
    for (key, value) in own {
        if let Some(value) = value {
            out.text(key, value);
        }
    }
    if let Some(queue) = line.queue {
        out.number("sluicegate.queue_ms", whole_ms(queue));
    }
}

fn of_attempt(
    attempt: &AttemptView<'_>,
    status: Option<u16>,
    failed: bool,
    number: usize,
    out: &mut impl Encode,
) {
    if let Some(status) = status {
        out.number("http.response.status_code", status.into());
    }
    if failed {
        out.text("error.type", attempt.outcome);
    }
    if number > 0 && !attempt.hedge && !attempt.subrequest {
        out.number("http.request.resend_count", number as u64);
    }
    out.text("sluicegate.pool", attempt.pool);
    if let Some(version) = attempt.version {
        out.text("sluicegate.version", version);
    }
    if attempt.hedge {
        out.text(
            "sluicegate.hedge",
            if attempt.outcome == LOST {
                "lost"
            } else {
                "won"
            },
        );
    }
    if attempt.subrequest {
        out.text("sluicegate.subrequest", "true");
    }
    if !attempt.waited.is_zero() {
        out.number("sluicegate.waited_ms", whole_ms(attempt.waited));
    }
}

/// Writes the method; one that the standards do not know could make names without end.
fn put_method(sent: &str, known: Option<&str>, out: &mut impl Encode) {
    match known {
        Some(method) => out.text("http.request.method", method),
        None => {
            out.text("http.request.method", "_OTHER");
            if !sent.is_empty() {
                out.text("http.request.method_original", sent);
            }
        }
    }
}

fn name_of(method: Option<&str>) -> &str {
    method.unwrap_or("HTTP")
}

fn known_method(sent: &str) -> Option<&'static str> {
    METHODS.into_iter().find(|method| *method == sent)
}

fn status_of(outcome: &str) -> Option<u16> {
    outcome.parse().ok()
}

fn whole_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Parts an authority; the brackets of an IPv6 address go.
pub(in crate::telemetry) fn host_and_port(authority: &str) -> (&str, Option<u16>) {
    if let Some(path) = authority.strip_prefix("unix:") {
        return (path, None);
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port.parse().ok()),
        _ => (authority, None),
    };
    let bare = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    (bare.unwrap_or(host), port)
}

const LOST: &str = "lost";
const METHODS: [&str; 10] = [
    "GET", "POST", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "CONNECT", "TRACE", "QUERY",
];
