//! A request head from bytes (RFC 9112 sections 2.2, 3, 5 and 6).
//!
//! The first code to read a client's bytes. Strict where the standard leaves a choice; Host and the
//! authority are checked later, by `semantics::authority`.

use bytes::{Buf, Bytes, BytesMut};
use http::{Method, Version};
use memchr::memchr;

use super::HeadLimits;
use super::field::{Expect, FieldFault, Fields};
use super::framing::{Codings, Framing, Length};
use super::scan::{self, Lines};
use crate::{
    failure::BadRequest,
    semantics::{Headers, target::TargetKind, token::is_token_byte},
};

/// The head of a request.
#[derive(Clone, Debug)]
pub struct RequestHead {
    /// The method, in the client's spelling; CONNECT and TRACE included.
    pub method: Method,
    /// The request target as received; without spaces, control bytes and `#`.
    pub target: Bytes,
    /// The target has bytes that `http::Uri` does not allow.
    pub odd_target: bool,
    /// HTTP/1.0 or HTTP/1.1.
    pub version: Version,
    /// All fields as received, hop-by-hop ones included; values are slices of the head.
    pub headers: Headers,
    /// Framing of the body; never until-close.
    pub framing: Framing,
    /// The client lets the connection persist after this exchange.
    pub keep_alive: bool,
    /// The client asks to switch protocols: Upgrade, named by Connection, in HTTP/1.1,
    /// without a body.
    pub upgrade: bool,
    /// The client waits for 100 Continue before it sends the body.
    pub expect_continue: bool,
}

/// Takes a request head off `buffer`; none until its end has arrived.
///
/// `scanned` starts at zero for each head and is kept by the caller between calls; it is reset to
/// zero when a head was taken. One empty line before the head is skipped.
///
/// # Errors
/// The rule that the head breaks. Faults before the end are reported at once. The connection cannot
/// be used any further: the start of the next message is unknown.
pub fn parse_request_head(
    buffer: &mut BytesMut,
    scanned: &mut usize,
    limits: &HeadLimits,
) -> Result<Option<RequestHead>, BadRequest> {
    let start = if buffer.starts_with(b"\r\n") { 2 } else { 0 };
    let mut lines = Lines::default();
    let whole = scan::head_lines(buffer, start, scanned, &mut lines).map_err(|fault| {
        if fault.first {
            BadRequest::RequestLine
        } else {
            BadRequest::Header
        }
    })?;
    if !whole {
        check_partial(&buffer[start.min(buffer.len())..], limits)?;
        return Ok(None);
    }
    let bytes = lines.ends.last().map_or(0, |end| end + 1);
    if bytes > limits.bytes_max {
        check_target_length(&buffer[start..], limits)?;
        return Err(BadRequest::HeadTooLarge);
    }
    buffer.advance(start);
    let head = buffer.split_to(bytes).freeze();
    *scanned = 0;
    parse_head(&head, &lines, limits).map(Some)
}

fn parse_head(head: &Bytes, lines: &Lines, limits: &HeadLimits) -> Result<RequestHead, BadRequest> {
    let (&first, ends) = lines.ends.split_first().ok_or(BadRequest::RequestLine)?;
    let line = RequestLine::parse(&head[..first.saturating_sub(1)], limits)?;
    let fields = Fields::parse(head, first + 1, ends, lines.suspect, limits.headers_max)?;
    let framing = framing(&fields, line.version)?;
    let switchable = line.version == Version::HTTP_11;
    // What comes with a body cannot be taken: the offer is ignored (RFC 9110 section 7.8).
    let upgrade = switchable && fields.upgrade && fields.connection.upgrade && !framing.has_body();
    if fields.expect == Expect::Unknown {
        return Err(BadRequest::Expectation);
    }
    Ok(RequestHead {
        target: head.slice_ref(line.target),
        odd_target: line.odd,
        method: line.method,
        version: line.version,
        keep_alive: fields.connection.persists(line.version),
        upgrade,
        // RFC 9110 section 10.1.1: ignored in HTTP/1.0, and void without content.
        expect_continue: switchable && fields.expect == Expect::Continue && framing.has_body(),
        headers: fields.headers,
        framing,
    })
}

/// Applies RFC 9112 section 6.3 to a request, in its strictest reading.
fn framing(fields: &Fields, version: Version) -> Result<Framing, BadRequest> {
    if fields.codings == Codings::Absent {
        return match fields.length {
            Length::Absent => Ok(Framing::None),
            Length::Once(length) => Ok(Framing::Length(length)),
            Length::Repeated(_) | Length::Invalid => Err(BadRequest::ContentLength),
        };
    }
    if fields.length != Length::Absent || version != Version::HTTP_11 {
        return Err(BadRequest::TransferEncoding);
    }
    match fields.codings {
        Codings::Chunked => Ok(Framing::Chunked),
        Codings::Unknown { .. } => Err(BadRequest::UnknownCoding),
        Codings::Absent | Codings::Invalid => Err(BadRequest::TransferEncoding),
    }
}

/// The parts of `method SP target SP version`.
struct RequestLine<'a> {
    method: Method,
    target: &'a [u8],
    odd: bool,
    version: Version,
}

impl<'a> RequestLine<'a> {
    fn parse(line: &'a [u8], limits: &HeadLimits) -> Result<Self, BadRequest> {
        let method_end = memchr(b' ', line).ok_or(BadRequest::RequestLine)?;
        let (method, rest) = (&line[..method_end], &line[method_end + 1..]);
        let method = Method::from_bytes(method).map_err(|_| BadRequest::RequestLine)?;
        let (target, version) = split_version(rest)?;
        if target.len() > limits.target_max {
            return Err(BadRequest::TargetTooLong);
        }
        let kind = check_target(target, &method)?;
        Ok(Self {
            method,
            target,
            odd: kind.is_odd(),
            version,
        })
    }
}

fn split_version(rest: &[u8]) -> Result<(&[u8], Version), BadRequest> {
    if let Some(target) = rest.strip_suffix(b" HTTP/1.1") {
        return Ok((target, Version::HTTP_11));
    }
    if let Some(target) = rest.strip_suffix(b" HTTP/1.0") {
        return Ok((target, Version::HTTP_10));
    }
    let space = memchr(b' ', rest).ok_or(BadRequest::RequestLine)?;
    match &rest[space + 1..] {
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            Err(BadRequest::Version)
        }
        _ => Err(BadRequest::RequestLine),
    }
}

/// Checks the bytes of a target and its form (RFC 9112 section 3.2).
fn check_target(target: &[u8], method: &Method) -> Result<TargetKind, BadRequest> {
    let kind = TargetKind::of(target);
    if kind.is_bad() || target.is_empty() {
        let blank = target.iter().any(|byte| matches!(byte, b' ' | b'\t'));
        return Err(if blank || target.is_empty() {
            BadRequest::RequestLine
        } else {
            BadRequest::Target
        });
    }
    let fits = if *method == Method::CONNECT {
        is_authority_form(target)
    } else {
        match target {
            [b'/', ..] => true,
            b"*" => *method == Method::OPTIONS,
            _ => is_absolute_form(target),
        }
    };
    if fits {
        Ok(kind)
    } else {
        Err(BadRequest::Target)
    }
}

/// Returns true for `host ":" port`; the host itself is not checked, as CONNECT is not served.
fn is_authority_form(target: &[u8]) -> bool {
    let Some(colon) = memchr::memrchr(b':', target) else {
        return false;
    };
    let (host, port) = (&target[..colon], &target[colon + 1..]);
    !host.is_empty()
        && !host.iter().any(|byte| matches!(byte, b'/' | b'?' | b'@'))
        && !port.is_empty()
        && port.len() <= 5
        && port.iter().all(u8::is_ascii_digit)
}

/// Returns true for `scheme "://" authority …` with a non-empty authority.
fn is_absolute_form(target: &[u8]) -> bool {
    let Some(colon) = memchr(b':', target) else {
        return false;
    };
    let (scheme, rest) = (&target[..colon], &target[colon + 1..]);
    let scheme_fits = scheme.first().is_some_and(u8::is_ascii_alphabetic)
        && scheme
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
    let authority = rest.strip_prefix(b"//").and_then(|rest| rest.first());
    scheme_fits && authority.is_some_and(|byte| !matches!(byte, b'/' | b'?'))
}

/// Finds faults before the head is complete.
fn check_partial(partial: &[u8], limits: &HeadLimits) -> Result<(), BadRequest> {
    // TLS to a plain port, and other things that are not HTTP, end here at once.
    let hopeless = match partial {
        [] | [b'\r'] => false,
        [first, ..] => !is_token_byte(*first),
    };
    if hopeless {
        return Err(BadRequest::RequestLine);
    }
    if partial.len() > limits.target_max {
        check_target_length(partial, limits)?;
    }
    if partial.len() >= limits.bytes_max {
        return Err(BadRequest::HeadTooLarge);
    }
    Ok(())
}

/// Finds a target over the limit in the start of a head, whose end may be missing.
fn check_target_length(partial: &[u8], limits: &HeadLimits) -> Result<(), BadRequest> {
    let Some(method_end) = memchr(b' ', partial) else {
        return Ok(());
    };
    let rest = &partial[method_end + 1..];
    let target = &rest[..rest.len().min(limits.target_max.saturating_add(1))];
    let too_long =
        target.len() > limits.target_max && memchr::memchr2(b' ', b'\n', target).is_none();
    if too_long {
        Err(BadRequest::TargetTooLong)
    } else {
        Ok(())
    }
}

impl From<FieldFault> for BadRequest {
    fn from(fault: FieldFault) -> Self {
        match fault {
            FieldFault::Malformed => Self::Header,
            FieldFault::TooMany => Self::TooManyHeaders,
        }
    }
}
