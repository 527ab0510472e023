//! Fields of a line, each written in one place for all formats.

use std::time::Duration;

use super::super::clock::{Moment, put_digits};
use super::super::record::Line;
use super::escape::Escape;
use super::redaction::Redaction;
use crate::semantics::address;

/// Declares the fields of a line, in the order of the JSON object, each with the constants that
/// JSON writes on both sides of the value.
macro_rules! fields {
    ($($field:ident $name:literal $quote:literal)*) => {
        /// One value of a line.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub(super) enum Field {
            $($field,)*
            /// A field that the configuration adds.
            Added(Box<str>),
        }

        impl Field {
            /// All fields but the added ones, in the order of the JSON object.
            const ALL: &'static [(&'static str, Self)] = &[$(($name, Self::$field),)*];

            /// Appends all fields but the added ones as members of a JSON object, each after a
            /// comma; fields that do not apply to the exchange are left out.
            pub(super) fn put_members(line: &Line<'_>, redaction: &Redaction, out: &mut Vec<u8>) {
                $(
                    if Self::$field.applies(line) {
                        out.extend_from_slice(concat!(",\"", $name, "\":", $quote).as_bytes());
                        Self::$field.put(line, redaction, Escape::Json, out);
                        out.extend_from_slice($quote.as_bytes());
                    }
                )*
            }
        }
    };
}

fields! {
    Time "time" "\""
    RequestId "request_id" "\""
    TraceId "trace_id" "\""
    SpanId "span_id" "\""
    Listener "listener" "\""
    Client "client" "\""
    Method "method" "\""
    Host "host" "\""
    Path "path" "\""
    Protocol "protocol" "\""
    Status "status" ""
    Reason "reason" "\""
    Route "route" "\""
    Pool "pool" "\""
    Endpoint "endpoint" "\""
    Version "version" "\""
    Attempts "attempts" ""
    BytesIn "bytes_in" ""
    BytesOut "bytes_out" ""
    Total "total_ms" ""
    Upstream "upstream_ms" ""
    Queue "queue_ms" ""
    Tls "tls" "\""
    TlsSubject "tls_subject" "\""
    User "user" "\""
    UserAgent "user_agent" "\""
}

impl Field {
    /// Returns the field of a template's `{name}`.
    pub(super) fn by_name(name: &str) -> Option<Self> {
        if let Some(added) = name.strip_prefix("field.") {
            return (!added.is_empty()).then(|| Self::Added(added.into()));
        }
        let mut all = Self::ALL.iter();
        all.find(|(own, _)| *own == name)
            .map(|(_, field)| field.clone())
    }

    /// Returns true if the exchange has such a value.
    #[inline(always)]
    pub(super) fn applies(&self, line: &Line<'_>) -> bool {
        match self {
            Self::TraceId => line.trace_id.is_some(),
            Self::SpanId => line.span_id.is_some(),
            Self::User => line.user.is_some(),
            Self::Client => line.client.is_some(),
            Self::Reason => line.reason.is_some(),
            Self::Route => line.route.is_some(),
            Self::Pool => line.pool.is_some(),
            Self::Endpoint => line.endpoint.is_some(),
            Self::Version => line.version.is_some(),
            Self::Upstream => line.upstream.is_some(),
            Self::Queue => line.queue.is_some(),
            Self::Tls => line.tls.is_some(),
            Self::TlsSubject => line.tls_subject.is_some(),
            Self::UserAgent => line.user_agent.is_some(),
            _ => true,
        }
    }

    /// Appends the value, if the exchange has one.
    #[inline(always)]
    pub(super) fn put(
        &self,
        line: &Line<'_>,
        redaction: &Redaction,
        escape: Escape,
        out: &mut Vec<u8>,
    ) {
        let text = match self {
            Self::Time => return Moment::new(line.time).rfc3339(out),
            Self::Status => return put_number(u64::from(line.status), out),
            Self::BytesIn => return put_number(line.bytes_in, out),
            Self::BytesOut => return put_number(line.bytes_out, out),
            Self::Total => return put_ms(line.total, out),
            Self::Upstream => return put_some(line.upstream, out, put_ms),
            Self::Queue => return put_some(line.queue, out, put_ms),
            Self::Client => {
                return put_some(line.client, out, |client, out| {
                    out.extend_from_slice(&address::text(client));
                });
            }
            Self::Path => return redaction.path(line.path, escape, out),
            Self::Attempts => return put_attempts(line, escape, out),
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
            Self::SpanId => line.span_id,
            Self::User => line.user,
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
        put_some(text, out, |text, out| escape.put(text.as_bytes(), out));
    }

    /// Appends the value for a text line, where an absent or empty one is a dash.
    pub(super) fn write_or_dash(&self, line: &Line<'_>, redaction: &Redaction, out: &mut Vec<u8>) {
        let start = out.len();
        self.put(line, redaction, Escape::Text, out);
        if out.len() == start {
            out.push(b'-');
        }
    }
}

/// Appends a decimal number.
pub(super) fn put_number(number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Appends milliseconds with three decimals.
fn put_ms(duration: Duration, out: &mut Vec<u8>) {
    let us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    put_number(us / 1000, out);
    let mut decimals = *b".000";
    put_digits(&mut decimals[1..], us % 1000);
    out.extend_from_slice(&decimals);
}

fn put_attempts(line: &Line<'_>, escape: Escape, out: &mut Vec<u8>) {
    match escape {
        Escape::Json => json_attempts(line, out),
        Escape::Text | Escape::Nothing => text_attempts(line, out),
    }
}

fn json_attempts(line: &Line<'_>, out: &mut Vec<u8>) {
    out.push(b'[');
    for (at, attempt) in line.attempts.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        out.extend_from_slice(b"{\"endpoint\":\"");
        Escape::Json.put(attempt.endpoint.as_bytes(), out);
        out.extend_from_slice(b"\",\"outcome\":\"");
        Escape::Json.put(attempt.outcome.as_bytes(), out);
        out.extend_from_slice(b"\",\"ms\":");
        put_ms(attempt.took, out);
        if attempt.hedge {
            out.extend_from_slice(b",\"hedge\":true");
        }
        if attempt.subrequest {
            out.extend_from_slice(b",\"subrequest\":true");
        }
        out.push(b'}');
    }
    out.push(b']');
}

/// `10.0.0.1:80=connection_refused/1.250,10.0.0.2:80=200/12.001`.
fn text_attempts(line: &Line<'_>, out: &mut Vec<u8>) {
    for (at, attempt) in line.attempts.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        Escape::Text.put(attempt.endpoint.as_bytes(), out);
        out.push(b'=');
        Escape::Text.put(attempt.outcome.as_bytes(), out);
        out.push(b'/');
        put_ms(attempt.took, out);
    }
}

fn put_some<T>(value: Option<T>, out: &mut Vec<u8>, write: impl FnOnce(T, &mut Vec<u8>)) {
    if let Some(value) = value {
        write(value, out);
    }
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
