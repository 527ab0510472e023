//! Encoder of heads (RFC 9112 sections 3 to 6).
//!
//! The framing fields are written from [`Framing`], never copied from the received head: the
//! outgoing framing is the one that the codec understood, not the one that a peer wrote.

use bytes::{BufMut, BytesMut};
use http::{Method, StatusCode, Version};

use super::Framing;
use crate::semantics::{Headers, Known, Names, headers::write_field, target::is_target_byte};

/// State of the connection after the response: kept open or closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeepAlive {
    /// Another request may follow.
    Keep,
    /// The connection is closed after this response.
    Close,
}

/// Appends a request head in HTTP/1.1, Host first.
///
/// Content-Length and Transfer-Encoding come from `framing`; those in `headers` are left out.
/// Connection is written as it stands in `headers`, and with TE names it. A byte of `target` that cannot stand in a
/// request line is written percent-encoded, so that no rewrite can split it.
#[inline(never)] // On its own the compiler sees better what to keep in registers.
pub fn encode_request_head(
    out: &mut BytesMut,
    method: &Method,
    target: &[u8],
    headers: &Headers,
    framing: &Framing,
) {
    let method = method.as_str().as_bytes();
    out.reserve(target.len() + FIRST_LINE_AND_FRAMING + headers.wire_bytes());
    out.put_slice(method);
    out.put_u8(b' ');
    put_target(out, target);
    out.put_slice(b" HTTP/1.1\r\n");
    if let Some(host) = headers.get(Known::Host) {
        write_field(out, b"host", host.as_bytes());
    }
    headers.write(out, FRAMING_AND_HOST);
    if headers.contains(Known::Te) {
        // It is of this connection (RFC 9110 section 10.1.4). A list may have several lines.
        out.put_slice(b"connection: TE\r\n");
    }
    put_framing(out, framing);
    out.put_slice(b"\r\n");
}

/// Appends a response head for a client of `version`.
///
/// - Content-Length and Transfer-Encoding come from `framing`; those in `headers` are
///   left out, but for the Content-Length of an answer without a body that has one all
///   the same (to HEAD, or 304). 1xx and 204 have neither.
/// - Connection is the codec's: `close` or, for 1.0, `keep-alive`; with Upgrade in `headers`, as in
///   a 426, also `upgrade`. The one in `headers` is written for 101 only. [`Framing::UntilClose`] always closes.
/// - `date` is written when `headers` has no Date, but not for 1xx.
///
/// The status line says HTTP/1.1 to every client (RFC 9110 section 2.5). HTTP/1.0 has no chunks:
/// use [`Framing::towards`] for the head and for the body.
pub fn encode_response_head(
    out: &mut BytesMut,
    version: Version,
    status: StatusCode,
    headers: &Headers,
    framing: &Framing,
    keep_alive: KeepAlive,
    date: Option<&[u8; 29]>,
) {
    out.reserve(FIRST_LINE_AND_FRAMING + headers.wire_bytes());
    put_status_line(out, status);
    let interim = status.is_informational();
    let switching = status == StatusCode::SWITCHING_PROTOCOLS;
    let framing = framing.towards(version);
    let dated = interim || headers.contains(Known::Date);
    let left_out = if switching {
        FRAMING
    } else {
        FRAMING_AND_CONNECTION
    };
    headers.write(out, left_out);
    if let (false, Some(date)) = (dated, date) {
        write_field(out, b"date", date);
    }
    if !interim && status != StatusCode::NO_CONTENT {
        put_framing(out, &framing);
        if framing == Framing::None
            && let Some(length) = headers.get(Known::ContentLength)
        {
            write_field(out, b"content-length", length.as_bytes());
        }
    }
    if !interim {
        let upgrade = headers.contains(Known::Upgrade);
        put_connection(out, version, &framing, keep_alive, upgrade);
    }
    out.put_slice(b"\r\n");
}

/// Appends the interim response that lets a client send its body.
pub fn encode_continue(out: &mut BytesMut) {
    out.put_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
}

fn put_status_line(out: &mut BytesMut, status: StatusCode) {
    if status == StatusCode::OK {
        out.put_slice(b"HTTP/1.1 200 OK\r\n");
        return;
    }
    out.put_slice(b"HTTP/1.1 ");
    out.put_slice(status.as_str().as_bytes());
    out.put_u8(b' ');
    out.put_slice(status.canonical_reason().unwrap_or("").as_bytes());
    out.put_slice(b"\r\n");
}

fn put_connection(
    out: &mut BytesMut,
    version: Version,
    framing: &Framing,
    keep_alive: KeepAlive,
    upgrade: bool,
) {
    let close = keep_alive == KeepAlive::Close || *framing == Framing::UntilClose;
    if close {
        out.put_slice(b"connection: close\r\n");
    } else if version == Version::HTTP_10 {
        out.put_slice(b"connection: keep-alive\r\n");
    }
    if upgrade {
        // A list may have several lines.
        out.put_slice(b"connection: upgrade\r\n");
    }
}

fn put_framing(out: &mut BytesMut, framing: &Framing) {
    match framing {
        Framing::None | Framing::UntilClose => {}
        Framing::Length(length) => {
            let mut digits = itoa::Buffer::new();
            write_field(out, b"content-length", digits.format(*length).as_bytes());
        }
        Framing::Chunked => out.put_slice(b"transfer-encoding: chunked\r\n"),
    }
}

fn put_target(out: &mut BytesMut, target: &[u8]) {
    let mut bad = false;
    for &byte in target {
        bad |= !is_target_byte(byte);
    }
    if !bad {
        out.put_slice(target);
        return;
    }
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in target {
        if is_target_byte(byte) {
            out.put_u8(byte);
        } else {
            let high = DIGITS[usize::from(byte >> 4)];
            let low = DIGITS[usize::from(byte & 0xf)];
            out.put_slice(&[b'%', high, low]);
        }
    }
}

const FRAMING: Names = Names::of(&[Known::ContentLength, Known::TransferEncoding]);
const FRAMING_AND_HOST: Names = FRAMING.with(Names::of(&[Known::Host]));
const FRAMING_AND_CONNECTION: Names = FRAMING.with(Names::of(&[Known::Connection]));

/// Room for everything in a head except the lines that are passed on.
const FIRST_LINE_AND_FRAMING: usize = 160;
