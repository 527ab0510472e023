//! Who the client is, and what the endpoint is told of it.
//!
//! `X-Forwarded-For`, `-Proto`, `-Host` and `Forwarded` (RFC 7239) say where a request came
//! from. They are worth what their writer is: those of a trusted proxy are believed and
//! continued, those of anyone else are replaced.

mod element;

use std::{cell::RefCell, net::IpAddr};

use http::header::FORWARDED;
use http::{HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;
use smallvec::SmallVec;

use super::hop_by_hop::tokens;
use element::{parse_node, read_elements};

/// The networks whose forwarding fields are believed.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies {
    networks: Box<[IpNet]>,
}

impl TrustedProxies {
    /// Trusts these networks; none is the default.
    pub fn new(networks: impl IntoIterator<Item = IpNet>) -> Self {
        Self {
            networks: networks.into_iter().collect(),
        }
    }

    /// Tells whether an address is in one of the networks; an IPv4 address mapped into IPv6
    /// counts as what it is.
    pub fn contains(&self, address: IpAddr) -> bool {
        if self.networks.is_empty() {
            return false;
        }
        let address = address.to_canonical();
        self.networks
            .iter()
            .any(|network| network.contains(&address))
    }

    /// How much the fields of a peer are worth.
    pub fn trust(&self, peer: IpAddr) -> Trust {
        if self.contains(peer) {
            Trust::Trusted
        } else {
            Trust::Untrusted
        }
    }
}

/// How much the forwarding fields of a peer are worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// They are believed and continued.
    Trusted,
    /// They are replaced.
    Untrusted,
}

/// The scheme in which a request reached the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// In the clear.
    Http,
    /// Under TLS.
    Https,
}

impl Scheme {
    /// `http` or `https`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// The address of the client: the first untrusted one, walking from the peer backwards.
///
/// `X-Forwarded-For` is walked, or `Forwarded` when only that is there. The walk stops at
/// what is no address, and after 64 hops; the last address before that is the answer.
pub fn client_address(peer: IpAddr, trusted: &TrustedProxies, headers: &HeaderMap) -> IpAddr {
    let peer = peer.to_canonical();
    if !trusted.contains(peer) {
        return peer;
    }
    if headers.contains_key(&X_FORWARDED_FOR) {
        let lines = headers.get_all(&X_FORWARDED_FOR).iter().rev();
        let nodes = lines.flat_map(|line| line.as_bytes().rsplit(|&byte| byte == b','));
        return walk(peer, trusted, nodes);
    }
    let mut nodes: SmallVec<[&[u8]; 8]> = SmallVec::new();
    for line in headers.get_all(FORWARDED) {
        read_elements(line.as_bytes(), |element| nodes.push(element.node));
    }
    walk(peer, trusted, nodes.into_iter().rev())
}

/// The scheme that the client used, as far as a trusted peer says so.
pub fn client_scheme(own: Scheme, trust: Trust, headers: &HeaderMap) -> Scheme {
    if trust == Trust::Untrusted {
        return own;
    }
    // The first value is that of the proxy which met the client.
    let said = headers
        .get(&X_FORWARDED_PROTO)
        .and_then(|value| tokens(value).next());
    match said {
        Some(scheme) if scheme.eq_ignore_ascii_case(b"https") => Scheme::Https,
        Some(scheme) if scheme.eq_ignore_ascii_case(b"http") => Scheme::Http,
        _ => own,
    }
}

/// What one connection adds to the forwarding fields of its requests; made once for it.
#[derive(Clone, Debug)]
pub struct Hop {
    scheme: Scheme,
    /// The address of the peer, as in `X-Forwarded-For`.
    address: HeaderValue,
    /// `for=…;proto=…`, as in `Forwarded`.
    element: Box<[u8]>,
    /// The host asked for last, and the element made for it: nearly always the next one's.
    last: RefCell<Option<(HeaderValue, HeaderValue)>>,
}

impl Hop {
    /// What a peer that speaks this scheme adds.
    pub fn new(peer: IpAddr, scheme: Scheme) -> Self {
        let text = text_of(peer.to_canonical());
        let (opening, closing) = match peer.to_canonical() {
            IpAddr::V4(_) => ("", ""),
            IpAddr::V6(_) => ("\"[", "]\""),
        };
        let parts: [&[u8]; 6] = [
            b"for=",
            opening.as_bytes(),
            &text,
            closing.as_bytes(),
            b";proto=",
            scheme.as_str().as_bytes(),
        ];
        Self {
            scheme,
            element: parts.concat().into(),
            // The text of an address is always a valid value.
            address: HeaderValue::from_bytes(&text).unwrap_or(UNKNOWN),
            last: RefCell::new(None),
        }
    }

    /// The value of `X-Forwarded-For` for the peer alone.
    pub fn address(&self) -> &HeaderValue {
        &self.address
    }

    /// Writes the fields into a request that goes to an endpoint.
    ///
    /// For a trusted peer addresses are appended, and scheme and host stay as it said when it
    /// did; of the two ways to list addresses one that it did not use while it used the other
    /// is not begun, since there the peer would look like the client. For any other peer all that it sent under these names goes, along with the other
    /// `X-Forwarded-*` and `X-Real-IP`. `host` is what the client asked for, before any rewrite.
    pub fn write(&self, headers: &mut HeaderMap, trust: Trust, host: Option<&HeaderValue>) {
        let mut sent = Sent::scan(headers);
        if trust == Trust::Untrusted {
            if sent.forgeable {
                remove_forged(headers);
            }
            // What is left, `Forwarded`, is replaced.
            sent = Sent::default();
        }
        let Sent {
            address: sent_address,
            element: sent_element,
            ..
        } = sent;
        if sent_address {
            append_to_line(headers, &X_FORWARDED_FOR, self.address.as_bytes());
        } else if !sent_element {
            headers.insert(X_FORWARDED_FOR, self.address.clone());
        }
        if sent_element {
            append_to_line(headers, &FORWARDED, &self.element_for(host));
        } else if !sent_address && let Some(element) = self.element_value(host) {
            headers.insert(FORWARDED, element);
        }
        if !sent.scheme {
            let scheme = HeaderValue::from_static(self.scheme.as_str());
            headers.insert(X_FORWARDED_PROTO, scheme);
        }
        match host {
            _ if sent.host => {}
            Some(host) => {
                headers.insert(X_FORWARDED_HOST, host.clone());
            }
            None => {}
        }
    }

    /// The own element as a value of its own.
    fn element_value(&self, host: Option<&HeaderValue>) -> Option<HeaderValue> {
        let Some(host) = host else {
            return HeaderValue::from_bytes(&self.element).ok();
        };
        let mut last = self.last.borrow_mut();
        if let Some((_, element)) = last.as_ref().filter(|(known, _)| known == host) {
            return Some(element.clone());
        }
        let element = HeaderValue::from_bytes(&self.element_for(Some(host))).ok()?;
        // Not the value itself: that would keep the whole head it is part of.
        let host = HeaderValue::from_bytes(host.as_bytes()).ok()?;
        *last = Some((host, element.clone()));
        Some(element)
    }

    /// The own element of `Forwarded`, with the host quoted if it has to be.
    fn element_for(&self, host: Option<&HeaderValue>) -> SmallVec<[u8; 160]> {
        let mut element = SmallVec::from_slice(&self.element);
        if let Some(host) = host {
            let host = host.as_bytes();
            // Of what a valid authority holds, only these are no part of a token.
            let quote = memchr::memchr3(b':', b'[', b']', host).is_some();
            element.extend_from_slice(if quote { b";host=\"" } else { b";host=" });
            element.extend_from_slice(host);
            if quote {
                element.push(b'"');
            }
        }
        element
    }
}

/// An address as text; one of IPv4 without the machinery of formatting, which a new
/// connection would feel.
fn text_of(address: IpAddr) -> SmallVec<[u8; 40]> {
    let mut text = SmallVec::new();
    match address {
        IpAddr::V4(address) => {
            for (place, octet) in address.octets().into_iter().enumerate() {
                if place > 0 {
                    text.push(b'.');
                }
                text.extend_from_slice(itoa::Buffer::new().format(octet).as_bytes());
            }
        }
        IpAddr::V6(address) => text.extend_from_slice(address.to_string().as_bytes()),
    }
    text
}

/// Which of the fields a request has, found in one pass.
#[derive(Clone, Copy, Debug, Default)]
struct Sent {
    address: bool,
    element: bool,
    scheme: bool,
    host: bool,
    /// One that only a trusted peer may send, and that is not replaced in any case.
    forgeable: bool,
}

impl Sent {
    fn scan(headers: &HeaderMap) -> Self {
        let mut sent = Self::default();
        for name in headers.keys() {
            let text = name.as_str();
            if text.starts_with('x') && is_forgeable(text) {
                sent.forgeable = true;
                sent.address |= *name == X_FORWARDED_FOR;
                sent.scheme |= *name == X_FORWARDED_PROTO;
                sent.host |= *name == X_FORWARDED_HOST;
            }
            sent.element |= *name == FORWARDED;
        }
        sent
    }
}

/// Walks hops from the nearest to the farthest and stops at the first that is not trusted.
fn walk<'a>(
    peer: IpAddr,
    trusted: &TrustedProxies,
    nodes: impl Iterator<Item = &'a [u8]>,
) -> IpAddr {
    let mut client = peer;
    for node in nodes.take(HOPS_MAX) {
        let Some(address) = parse_node(node) else {
            break;
        };
        client = address;
        if !trusted.contains(client) {
            break;
        }
    }
    client
}

/// Makes one line of a field that a trusted peer sent and puts `own` at its end; some
/// endpoints read only the first line.
fn append_to_line(headers: &mut HeaderMap, name: &HeaderName, own: &[u8]) {
    let mut line: SmallVec<[u8; 256]> = SmallVec::new();
    for value in headers.get_all(name) {
        if !value.is_empty() {
            line.extend_from_slice(value.as_bytes());
            line.extend_from_slice(b", ");
        }
    }
    line.extend_from_slice(own);
    if let Ok(line) = HeaderValue::from_bytes(&line) {
        headers.insert(name, line);
    }
}

/// Removes what only a trusted proxy may say and the proxy does not write itself.
fn remove_forged(headers: &mut HeaderMap) {
    let forged: SmallVec<[HeaderName; 2]> = headers
        .keys()
        .filter(|name| is_forgeable(name.as_str()))
        .cloned()
        .collect();
    for name in &forged {
        headers.remove(name);
    }
}

fn is_forgeable(name: &str) -> bool {
    name.starts_with("x-forwarded-") || name == "x-real-ip"
}

/// Hops that a walk takes at most; no path through proxies is that long.
const HOPS_MAX: usize = 64;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// What RFC 7239 section 6.2 calls a peer of no known address.
const UNKNOWN: HeaderValue = HeaderValue::from_static("unknown");

#[cfg(test)]
mod tests;
