//! A response head from bytes (RFC 9112 sections 4, 5 and 6.3).
//!
//! As strict as towards clients: a compromised or broken endpoint must not be able to send an
//! answer that ends elsewhere for the client than for the proxy.

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Method, StatusCode, Version};

use super::HeadLimits;
use super::field::{FieldFault, Fields};
use super::framing::{Codings, Framing, Length};
use super::scan::{self, Lines};
use crate::{
    failure::Failure,
    semantics::{Headers, Known},
};

/// The head of a response.
#[derive(Clone, Debug)]
pub struct ResponseHead {
    /// The status, from 100 to 999; 1xx are heads of their own, further heads follow.
    pub status: StatusCode,
    /// HTTP/1.0 or HTTP/1.1.
    pub version: Version,
    /// All fields as received; values are slices of the head.
    pub headers: Headers,
    /// Framing of the body.
    pub framing: Framing,
    /// The connection can carry another exchange once this body has ended.
    pub keep_alive: bool,
}

/// Reasons for refusing a response head; the connection cannot be used any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseFault {
    /// It is not an HTTP/1 response head, or its framing is ambiguous.
    Malformed,
    /// It is larger, or has more fields, than the limit.
    TooLarge,
}

/// Takes a response head off `buffer`; none until its end has arrived.
///
/// `scanned` is used as in [`super::parse_request_head`]. The method of the request decides whether
/// a body follows.
///
/// # Errors
/// The head is malformed or too large.
pub fn parse_response_head(
    buffer: &mut BytesMut,
    scanned: &mut usize,
    limits: &HeadLimits,
    request_method: &Method,
) -> Result<Option<ResponseHead>, ResponseFault> {
    let mut lines = Lines::default();
    let whole =
        scan::head_lines(buffer, 0, scanned, &mut lines).map_err(|_| ResponseFault::Malformed)?;
    if !whole {
        let known = buffer.len().min(PREFIX.len());
        if buffer[..known] != PREFIX[..known] {
            return Err(ResponseFault::Malformed);
        }
        if buffer.len() >= limits.bytes_max {
            return Err(ResponseFault::TooLarge);
        }
        return Ok(None);
    }
    let bytes = lines.ends.last().map_or(0, |end| end + 1);
    if bytes > limits.bytes_max {
        return Err(ResponseFault::TooLarge);
    }
    let head = buffer.split_to(bytes).freeze();
    *scanned = 0;
    parse_head(&head, &lines, limits, request_method).map(Some)
}

fn parse_head(
    head: &Bytes,
    lines: &Lines,
    limits: &HeadLimits,
    request_method: &Method,
) -> Result<ResponseHead, ResponseFault> {
    let (&first, ends) = lines.ends.split_first().ok_or(ResponseFault::Malformed)?;
    let line = &head[..first.saturating_sub(1)];
    let (version, status) = parse_status_line(line).ok_or(ResponseFault::Malformed)?;
    let mut fields = Fields::parse(head, first + 1, ends, lines.suspect, limits.headers_max)?;
    if let Length::Repeated(length) = fields.length {
        // An answer to HEAD hands its length on as it stands among the fields.
        let length = HeaderValue::from(length);
        fields.headers.insert(Known::ContentLength, length);
    }
    let framing = framing(&fields, version, status, request_method)?;
    let keep_alive = framing != Framing::UntilClose
        && status != StatusCode::SWITCHING_PROTOCOLS
        && fields.connection.persists(version)
        // Who says that a body follows may send one.
        && !(framing == Framing::None && status == StatusCode::NO_CONTENT && fields.codings != Codings::Absent);
    Ok(ResponseHead {
        status,
        version,
        headers: fields.headers,
        framing,
        keep_alive,
    })
}

/// Reads `version SP status [SP reason]`. The blank after the status is optional: many servers
/// without a reason omit it, which is harmless.
fn parse_status_line(line: &[u8]) -> Option<(Version, StatusCode)> {
    let rest = line.strip_prefix(PREFIX)?;
    let (version, rest) = match rest {
        [b'1', b' ', rest @ ..] => (Version::HTTP_11, rest),
        [b'0', b' ', rest @ ..] => (Version::HTTP_10, rest),
        _ => return None,
    };
    let (status, reason) = rest.split_at_checked(3)?;
    let status = StatusCode::from_bytes(status).ok()?;
    let reason_fits = match reason {
        [] => true,
        [b' ', reason @ ..] => reason
            .iter()
            .all(|&byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f)),
        _ => false,
    };
    reason_fits.then_some((version, status))
}

/// Applies RFC 9112 section 6.3 to a response, in its strictest reading.
fn framing(
    fields: &Fields,
    version: Version,
    status: StatusCode,
    request_method: &Method,
) -> Result<Framing, ResponseFault> {
    let coded = fields.codings != Codings::Absent;
    let never_a_body = status.is_informational() || status == StatusCode::NO_CONTENT;
    // RFC 9112 section 6.1: no Transfer-Encoding from HTTP/1.0. With 1xx and 204, where it has
    // no place either, it means nothing: these end with their head.
    if coded && version != Version::HTTP_11 {
        return Err(ResponseFault::Malformed);
    }
    if coded && never_a_body {
        return Ok(Framing::None);
    }
    let framing = match (fields.codings, fields.length) {
        (Codings::Absent, Length::Absent) => Framing::UntilClose,
        (Codings::Absent, Length::Once(length) | Length::Repeated(length)) => {
            Framing::Length(length)
        }
        (Codings::Chunked, Length::Absent) => Framing::Chunked,
        _ => return Err(ResponseFault::Malformed),
    };
    let bodiless = never_a_body
        || status == StatusCode::NOT_MODIFIED
        || *request_method == Method::HEAD
        || (*request_method == Method::CONNECT && status.is_success());
    Ok(if bodiless { Framing::None } else { framing })
}

impl From<FieldFault> for ResponseFault {
    fn from(fault: FieldFault) -> Self {
        match fault {
            FieldFault::Malformed => Self::Malformed,
            FieldFault::TooMany => Self::TooLarge,
        }
    }
}

impl From<ResponseFault> for Failure {
    fn from(fault: ResponseFault) -> Self {
        match fault {
            ResponseFault::Malformed => Self::ResponseMalformed,
            ResponseFault::TooLarge => Self::ResponseHeadTooLarge,
        }
    }
}

const PREFIX: &[u8] = b"HTTP/1.";
