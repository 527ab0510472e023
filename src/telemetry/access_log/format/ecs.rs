//! One JSON object with the names of the Elastic Common Schema (ECS 8).
//!
//! Names with dots: Elasticsearch and Filebeat take them as nested. Values without a name there are
//! below `sluicegate`.

use super::super::record::Line;
use super::escape::Escape;
use super::field::{Field, put_number};
use super::redaction::Redaction;
use crate::telemetry::trace::host_and_port;

/// Writes one object; fields that do not apply to the exchange are left out.
pub(super) fn write(line: &Line<'_>, redaction: &Redaction, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"@timestamp\":\"");
    Field::Time.put(line, redaction, Escape::Json, out);
    out.extend_from_slice(b"\",\"log.level\":\"info\",\"message\":\"");
    Field::Method.put(line, redaction, Escape::Json, out);
    out.push(b' ');
    Field::Path.put(line, redaction, Escape::Json, out);
    out.push(b' ');
    put_number(line.status.into(), out);
    out.extend_from_slice(HEAD);
    let outcome = match line.reason {
        None if line.status < 400 => "success",
        None | Some(_) => "failure",
    };
    out.extend_from_slice(outcome.as_bytes());
    out.extend_from_slice(b"\",\"event.duration\":");
    let nanos = line.total.as_nanos();
    put_number(u64::try_from(nanos).unwrap_or(u64::MAX), out);
    let (host, port) = host_and_port(line.host);
    if !host.is_empty() {
        member("url.domain", out);
        quoted(host, out);
    }
    if let Some(port) = port {
        member("url.port", out);
        put_number(port.into(), out);
    }
    let version = line.protocol.strip_prefix("HTTP/").unwrap_or("");
    member("http.version", out);
    quoted(version.trim_end_matches(".0"), out);
    if let Some((version, cipher)) = line.tls.and_then(|tls| tls.split_once('/')) {
        out.extend_from_slice(b",\"tls.version_protocol\":\"tls\"");
        member("tls.version", out);
        quoted(version.trim_start_matches("TLSv"), out);
        // The name of IANA's registry.
        out.extend_from_slice(b",\"tls.cipher\":\"TLS_");
        Escape::Json.put(cipher.as_bytes(), out);
        out.push(b'"');
    }
    for (name, field, quote) in NAMES {
        if field.applies(line) {
            member(name, out);
            out.extend_from_slice(quote.as_bytes());
            field.put(line, redaction, Escape::Json, out);
            out.extend_from_slice(quote.as_bytes());
        }
    }
    for (name, value) in line.fields {
        out.extend_from_slice(b",\"sluicegate.");
        Escape::Json.put(name.as_bytes(), out);
        out.extend_from_slice(b"\":\"");
        redaction.field(name, value, Escape::Json, out);
        out.push(b'"');
    }
    out.push(b'}');
}

fn member(name: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

fn quoted(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    Escape::Json.put(text.as_bytes(), out);
    out.push(b'"');
}

const HEAD: &[u8] =
    b"\",\"ecs.version\":\"8.11.0\",\"event.kind\":\"event\",\"event.category\":[\"web\"],\
    \"event.type\":[\"access\"],\"event.dataset\":\"sluicegate.access\",\"event.outcome\":\"";

/// Names of the fields whose values are those of the other formats, with what encloses them.
const NAMES: &[(&str, Field, &str)] = &[
    ("event.reason", Field::Reason, "\""),
    ("client.ip", Field::Client, "\""),
    ("http.request.id", Field::RequestId, "\""),
    ("http.request.method", Field::Method, "\""),
    ("http.request.body.bytes", Field::BytesIn, ""),
    ("http.response.status_code", Field::Status, ""),
    ("http.response.body.bytes", Field::BytesOut, ""),
    ("url.original", Field::Path, "\""),
    ("user_agent.original", Field::UserAgent, "\""),
    ("user.name", Field::User, "\""),
    ("trace.id", Field::TraceId, "\""),
    ("span.id", Field::SpanId, "\""),
    ("tls.client.subject", Field::TlsSubject, "\""),
    ("sluicegate.listener", Field::Listener, "\""),
    ("sluicegate.route", Field::Route, "\""),
    ("sluicegate.pool", Field::Pool, "\""),
    ("sluicegate.endpoint", Field::Endpoint, "\""),
    ("sluicegate.version", Field::Version, "\""),
    ("sluicegate.attempts", Field::Attempts, ""),
    ("sluicegate.upstream_ms", Field::Upstream, ""),
    ("sluicegate.queue_ms", Field::Queue, ""),
];
