//! A field block to the head of a request, or to trailers (RFC 9113 sections 8.1 to 8.3).

use std::ops::ControlFlow;

use bytes::Bytes;
use http::{HeaderValue, Method, Uri, uri};

use super::hpack::{BlockFault, Decoder, Field, FieldName, Pseudo};
use crate::{
    failure::BadRequest,
    http1::{HeadLimits, framing::decimal},
    semantics::{
        Headers, Known, Names,
        authority::Authority,
        headers::{BYTES_MAX, LINES_MAX, NAME_BYTES_MAX},
        target::{RawTarget, TargetKind},
    },
};

/// The head of a request.
#[derive(Debug)]
pub struct RequestHead {
    /// The method.
    pub method: Method,
    /// `:path`; for a plain CONNECT, `:authority`.
    pub target: Uri,
    /// `:path` as received, if `target` cannot hold it.
    pub raw_target: Option<Box<RawTarget>>,
    /// The fields; `:authority` is the Host among them, in front. If a different Host was sent,
    /// there are two.
    pub headers: Headers,
    /// Protocol of an extended CONNECT (RFC 8441).
    pub protocol: Option<ConnectProtocol>,
    /// Value of Content-Length.
    pub content_length: Option<u64>,
}

/// Protocol of an extended CONNECT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectProtocol {
    /// A WebSocket.
    WebSocket,
    /// An unknown protocol.
    Other,
}

/// Reasons for refusing a field block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadFault {
    /// The message is malformed (section 8.1.1), by this rule. The connection remains usable.
    Malformed(BadRequest),
    /// The fields are larger than the limit. The connection remains usable.
    TooLarge,
    /// The fields are so large that they can only be an attack.
    Flood,
    /// The block cannot be decoded, so no later block can be either.
    Block(BlockFault),
}

/// Reads the head of a request.
///
/// Lines over the limit are not kept: the result has one line more than the limit then.
///
/// # Errors
/// See [`HeadFault`].
pub fn read_request(
    decoder: &mut Decoder,
    block: &[u8],
    limits: &HeadLimits,
) -> Result<RequestHead, HeadFault> {
    let mut reader = Reader::new(limits);
    let decoded = decoder.decode(block, |field| reader.take(&field));
    reader.finish(decoded)
}

/// Reads trailers.
///
/// # Errors
/// See [`HeadFault`].
pub fn read_trailers(
    decoder: &mut Decoder,
    block: &[u8],
    limits: &HeadLimits,
) -> Result<Headers, HeadFault> {
    let mut reader = Reader::of_trailers(limits);
    let decoded = decoder.decode(block, |field| reader.take(&field));
    reader.finish_trailers(decoded)
}

/// State of reading a block, whichever compression it has.
pub(crate) struct Reader<'a> {
    limits: &'a HeadLimits,
    lines_max: usize,
    /// Size of all fields (section 6.5.2).
    size: usize,
    /// The first rule that was broken.
    malformed: Option<BadRequest>,
    /// A regular field, not a pseudo field, has been read.
    regular: bool,
    method: Option<Method>,
    path: Option<Bytes>,
    scheme: bool,
    authority: bool,
    host: bool,
    protocol: Option<ConnectProtocol>,
    content_length: Option<u64>,
    /// Values of several Cookie lines, joined.
    crumbs: Vec<u8>,
    headers: Headers,
}

impl<'a> Reader<'a> {
    /// Begins to read the head of a request.
    pub(crate) fn new(limits: &'a HeadLimits) -> Self {
        Self {
            limits,
            lines_max: limits.headers_max.min(LINES_MAX),
            size: 0,
            malformed: None,
            crumbs: Vec::new(),
            regular: false,
            method: None,
            path: None,
            scheme: false,
            authority: false,
            host: false,
            protocol: None,
            content_length: None,
            headers: Headers::new(),
        }
    }

    /// Begins to read trailers.
    pub(crate) fn of_trailers(limits: &'a HeadLimits) -> Self {
        let mut reader = Self::new(limits);
        // No pseudo-header field may come any more (section 8.1).
        reader.regular = true;
        reader
    }

    /// Takes the next field; breaks if the fields are a flood.
    #[inline]
    pub(crate) fn take(&mut self, field: &Field<'_>) -> ControlFlow<()> {
        self.size += field.size();
        if self.size > self.size_max() {
            // The rest is only decoded, so that both sides agree on what follows.
            return if self.size > self.size_max().saturating_mul(FLOOD) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            };
        }
        match field.name {
            FieldName::Known(known) => self.take_known(known, field),
            FieldName::Unknown => {
                self.forbid(field.name_length > NAME_BYTES_MAX, BadRequest::Header);
                self.push(None, field);
            }
            FieldName::Pseudo(pseudo) => self.take_pseudo(pseudo, field.value()),
            FieldName::Malformed => self.forbid(true, BadRequest::Header),
        }
        ControlFlow::Continue(())
    }

    fn size_max(&self) -> usize {
        self.limits.bytes_max.min(BYTES_MAX)
    }

    #[inline]
    fn take_known(&mut self, known: Known, field: &Field<'_>) {
        if LOOKED_AT.contains(Some(known)) && !self.look_at(known, field) {
            self.regular = true;
            return;
        }
        self.push(Some(known), field);
    }

    #[inline]
    fn push(&mut self, known: Option<Known>, field: &Field<'_>) {
        self.regular = true;
        if self.headers.len() <= self.lines_max {
            self.headers
                .push_line(known, field.line, field.name_length, field.sensitive);
        }
    }

    /// Returns true if a field with a meaning of its own is kept.
    fn look_at(&mut self, known: Known, field: &Field<'_>) -> bool {
        let value = field.value();
        match known {
            Known::Host => {
                // Several are malformed as in HTTP/1.1, even equal ones.
                self.forbid(self.host, BadRequest::Host);
                self.host = true;
                self.authority_differs(value)
            }
            Known::ContentLength => {
                let length = decimal(value);
                let wrong = length.is_none() || self.content_length.is_some();
                self.forbid(wrong, BadRequest::ContentLength);
                self.content_length = length;
                true
            }
            Known::Te => {
                self.forbid(value != b"trailers", BadRequest::Header);
                true
            }
            // These are of a connection of HTTP/1.1 (section 8.2.2).
            Known::Cookie => self.is_first_cookie(field),
            _ => {
                self.forbid(true, BadRequest::Header);
                false
            }
        }
    }

    /// Notes the rule as broken if `broken` is true.
    fn forbid(&mut self, broken: bool, rule: BadRequest) {
        if broken {
            self.malformed.get_or_insert(rule);
        }
    }

    /// Returns true for the first Cookie. Further ones are joined to it: they are one line, split
    /// for better compression (section 8.2.3), and count as one.
    fn is_first_cookie(&mut self, field: &Field<'_>) -> bool {
        const BETWEEN: &[u8] = b"; ";
        let Some(first) = self.headers.get(Known::Cookie) else {
            return true;
        };
        if self.crumbs.is_empty() {
            self.crumbs.extend_from_slice(first.as_bytes());
        }
        let value = field.value();
        self.size -= field.size() - value.len() - BETWEEN.len();
        self.crumbs.extend_from_slice(BETWEEN);
        self.crumbs.extend_from_slice(value);
        false
    }

    /// Puts all cookies on one line.
    #[cold]
    fn join_cookies(&mut self) {
        let sensitive = self.headers.get(Known::Cookie);
        let sensitive = sensitive.is_some_and(|first| first.is_sensitive());
        // Valid values joined by valid bytes.
        if let Ok(mut value) = HeaderValue::try_from(std::mem::take(&mut self.crumbs)) {
            value.set_sensitive(sensitive);
            self.headers.insert(Known::Cookie, value);
        }
    }

    /// Returns true if a Host differs from the `:authority` before it.
    fn authority_differs(&self, host: &[u8]) -> bool {
        let authority = self.headers.get(Known::Host);
        let Some(authority) = authority.filter(|_| self.authority) else {
            return true;
        };
        let authority = authority.as_bytes();
        authority != host
            && !matches!(
                (Authority::parse(authority), Authority::parse(host)),
                (Ok(one), Ok(other)) if one.is_same(&other)
            )
    }

    fn take_pseudo(&mut self, pseudo: Pseudo, value: &[u8]) {
        let first = match pseudo {
            Pseudo::Method => {
                let before = self.method.take();
                self.method = Method::from_bytes(value).ok();
                self.forbid(self.method.is_none(), BadRequest::RequestLine);
                before.is_none()
            }
            Pseudo::Path => {
                let path = Bytes::copy_from_slice(value);
                self.path.replace(path).is_none()
            }
            Pseudo::Scheme => {
                self.forbid(!is_scheme(value), BadRequest::RequestLine);
                !std::mem::replace(&mut self.scheme, true)
            }
            Pseudo::Authority => {
                self.headers
                    .append(Known::Host, crate::semantics::Value::of_checked(value));
                !std::mem::replace(&mut self.authority, true)
            }
            Pseudo::Protocol => {
                let protocol = if value.eq_ignore_ascii_case(b"websocket") {
                    ConnectProtocol::WebSocket
                } else {
                    ConnectProtocol::Other
                };
                self.protocol.replace(protocol).is_none()
            }
            Pseudo::Status => false,
        };
        // Each once, and before all other fields (section 8.3).
        self.forbid(!first || self.regular, BadRequest::RequestLine);
    }

    fn check(&self, decoded: Result<(), BlockFault>) -> Result<(), HeadFault> {
        match decoded {
            Err(BlockFault::Stopped) => Err(HeadFault::Flood),
            Err(fault) => Err(HeadFault::Block(fault)),
            Ok(()) => match self.malformed {
                Some(rule) => Err(HeadFault::Malformed(rule)),
                None if self.size > self.size_max() => Err(HeadFault::TooLarge),
                None => Ok(()),
            },
        }
    }

    /// Ends trailers; `decoded` tells how their block ended.
    pub(crate) fn finish_trailers(
        self,
        decoded: Result<(), BlockFault>,
    ) -> Result<Headers, HeadFault> {
        self.check(decoded)?;
        if self.headers.len() > self.lines_max {
            return Err(HeadFault::TooLarge);
        }
        Ok(self.headers)
    }

    /// Ends the head of a request; `decoded` tells how its block ended.
    pub(crate) fn finish(
        mut self,
        decoded: Result<(), BlockFault>,
    ) -> Result<RequestHead, HeadFault> {
        self.check(decoded)?;
        if !self.crumbs.is_empty() {
            self.join_cookies();
        }
        let method = self.method.ok_or(MALFORMED_LINE)?;
        let connect = method == Method::CONNECT;
        let (target, raw_target) = if connect && self.protocol.is_none() {
            // A plain CONNECT has an authority, and nothing else (section 8.5).
            if self.path.is_some() || self.scheme || !self.authority {
                return Err(MALFORMED_LINE);
            }
            let authority = self.headers.get_owned(Known::Host);
            let authority =
                authority.and_then(|text| uri::Authority::try_from(text.as_bytes()).ok());
            (Uri::from(authority.ok_or(MALFORMED_TARGET)?), None)
        } else {
            let path = self.path.ok_or(MALFORMED_LINE)?;
            let extended = self.protocol.is_some();
            if !self.scheme || extended && !(connect && self.authority) {
                return Err(MALFORMED_LINE);
            }
            // Anything else would be read as another form of a target.
            if path.first() != Some(&b'/') && &path[..] != b"*" {
                return Err(MALFORMED_TARGET);
            }
            let kind = TargetKind::of(&path);
            if kind.is_bad() {
                return Err(MALFORMED_TARGET);
            }
            if kind.is_odd() {
                RawTarget::read(path).map_err(|_| MALFORMED_TARGET)?
            } else {
                let uri = Uri::from_maybe_shared(path);
                (uri.map_err(|_| MALFORMED_TARGET)?, None)
            }
        };
        Ok(RequestHead {
            method,
            target,
            raw_target,
            headers: self.headers,
            protocol: self.protocol,
            content_length: self.content_length,
        })
    }
}

fn is_scheme(value: &[u8]) -> bool {
    let more = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    value.first().is_some_and(u8::is_ascii_alphabetic) && value.iter().all(more)
}

/// Fields that are read while the head is decoded.
const LOOKED_AT: Names = Names::of(&[
    Known::Host,
    Known::ContentLength,
    Known::Te,
    Known::Cookie,
    Known::Connection,
    Known::ProxyConnection,
    Known::KeepAlive,
    Known::TransferEncoding,
    Known::Upgrade,
]);

const MALFORMED_LINE: HeadFault = HeadFault::Malformed(BadRequest::RequestLine);
const MALFORMED_TARGET: HeadFault = HeadFault::Malformed(BadRequest::Target);
/// Multiple of the size limit from which a head counts as a flood.
const FLOOD: usize = 4;
