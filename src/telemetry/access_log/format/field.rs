//! The fields of a line, each written in one place for all formats.

use std::io::Write;
use std::time::Duration;

use super::super::clock::{Moment, digits};
use super::super::record::Line;
use super::escape::Escape;
use super::redaction::Redaction;

/// One value of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Time,
    RequestId,
    TraceId,
    Listener,
    Client,
    Method,
    Host,
    Path,
    Protocol,
    Status,
    Reason,
    Route,
    Pool,
    Endpoint,
    Version,
    Attempts,
    BytesIn,
    BytesOut,
    Total,
    Upstream,
    Queue,
    Tls,
    TlsSubject,
    UserAgent,
    /// A field that the configuration adds.
    Added(Box<str>),
}

impl Field {
    /// Every field but the added ones, in the order of the JSON object.
    pub(super) const ALL: &'static [(&'static str, Self)] = &[
        ("time", Self::Time),
        ("request_id", Self::RequestId),
        ("trace_id", Self::TraceId),
        ("listener", Self::Listener),
        ("client", Self::Client),
        ("method", Self::Method),
        ("host", Self::Host),
        ("path", Self::Path),
        ("protocol", Self::Protocol),
        ("status", Self::Status),
        ("reason", Self::Reason),
        ("route", Self::Route),
        ("pool", Self::Pool),
        ("endpoint", Self::Endpoint),
        ("version", Self::Version),
        ("attempts", Self::Attempts),
        ("bytes_in", Self::BytesIn),
        ("bytes_out", Self::BytesOut),
        ("total_ms", Self::Total),
        ("upstream_ms", Self::Upstream),
        ("queue_ms", Self::Queue),
        ("tls", Self::Tls),
        ("tls_subject", Self::TlsSubject),
        ("user_agent", Self::UserAgent),
    ];

    /// The field of a template's `{name}`.
    pub(super) fn by_name(name: &str) -> Option<Self> {
        if let Some(added) = name.strip_prefix("field.") {
            return (!added.is_empty()).then(|| Self::Added(added.into()));
        }
        let mut all = Self::ALL.iter();
        all.find(|(own, _)| *own == name)
            .map(|(_, field)| field.clone())
    }

    /// Whether JSON shows it without quotes.
    pub(super) fn is_number(&self) -> bool {
        matches!(
            self,
            Self::Status
                | Self::BytesIn
                | Self::BytesOut
                | Self::Total
                | Self::Upstream
                | Self::Queue
        )
    }

    /// Appends the value; false when the exchange has none.
    pub(super) fn write(
        &self,
        line: &Line<'_>,
        redaction: &Redaction,
        escape: Escape,
        out: &mut Vec<u8>,
    ) -> bool {
        let text = match self {
            Self::Time => return put(out, |out| Moment::new(line.time).rfc3339(out)),
            Self::Status => return put(out, |out| put_number(u64::from(line.status), out)),
            Self::BytesIn => return put(out, |out| put_number(line.bytes_in, out)),
            Self::BytesOut => return put(out, |out| put_number(line.bytes_out, out)),
            Self::Total => return put(out, |out| put_ms(line.total, out)),
            Self::Upstream => return put_some(line.upstream, out, put_ms),
            Self::Queue => return put_some(line.queue, out, put_ms),
            Self::Client => {
                // Writing to a Vec cannot fail.
                return put_some(line.client, out, |client, out| {
                    let _ = write!(out, "{client}");
                });
            }
            Self::Path => return put(out, |out| redaction.path(line.path, escape, out)),
            Self::Attempts => return attempts(line, escape, out),
            Self::UserAgent => {
                return put_some(line.user_agent, out, |value, out| {
                    redaction.field("user-agent", value, escape, out);
                });
            }
            Self::Added(name) => {
                let mut fields = line.fields.iter();
                let found = fields.find(|(own, _)| own.eq_ignore_ascii_case(name));
                return put_some(found, out, |(name, value), out| {
                    redaction.field(name, value, escape, out);
                });
            }
            Self::RequestId => Some(line.request_id),
            Self::TraceId => line.trace_id,
            Self::Listener => Some(line.listener),
            Self::Method => Some(line.method),
            Self::Host => Some(line.host),
            Self::Protocol => Some(line.protocol),
            Self::Reason => line.reason,
            Self::Route => line.route,
            Self::Pool => line.pool,
            Self::Endpoint => line.endpoint,
            Self::Version => line.version,
            Self::Tls => line.tls,
            Self::TlsSubject => line.tls_subject,
        };
        put_some(text, out, |text, out| escape.put(text.as_bytes(), out))
    }

    /// Appends the value for a text line, where an absent or empty one is a dash.
    pub(super) fn write_or_dash(&self, line: &Line<'_>, redaction: &Redaction, out: &mut Vec<u8>) {
        let start = out.len();
        if !self.write(line, redaction, Escape::Text, out) || out.len() == start {
            out.push(b'-');
        }
    }
}

/// Appends a decimal number.
pub(super) fn put_number(number: u64, out: &mut Vec<u8>) {
    digits(number, 1, out);
}

/// Appends milliseconds with three decimals.
pub(super) fn put_ms(duration: Duration, out: &mut Vec<u8>) {
    let us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    put_number(us / 1000, out);
    out.push(b'.');
    digits(us % 1000, 3, out);
}

/// For text: `10.0.0.1:80=connection_refused/1.250,10.0.0.2:80=200/12.001`.
fn attempts(line: &Line<'_>, escape: Escape, out: &mut Vec<u8>) -> bool {
    for (at, attempt) in line.attempts.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        escape.put(attempt.endpoint.as_bytes(), out);
        out.push(b'=');
        escape.put(attempt.outcome.as_bytes(), out);
        out.push(b'/');
        put_ms(attempt.took, out);
    }
    !line.attempts.is_empty()
}

fn put(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) -> bool {
    write(out);
    true
}

fn put_some<T>(value: Option<T>, out: &mut Vec<u8>, write: impl FnOnce(T, &mut Vec<u8>)) -> bool {
    value.is_some_and(|value| put(out, |out| write(value, out)))
}

/// Names of a template's fields, which an added field cannot take.
pub const FIELD_NAMES: [&str; Field::ALL.len()] = {
    let mut names = [""; Field::ALL.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = Field::ALL[at].0;
        at += 1;
    }
    names
};
