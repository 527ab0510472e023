//! Client address of a request, and the forwarding fields sent to the endpoint.
//!
//! `X-Forwarded-For`, `-Proto`, `-Host` and `Forwarded` (RFC 7239) tell where a request came from.
//! Those of a trusted proxy are believed and continued, those of anyone else are replaced.

mod element;

use std::{net::IpAddr, sync::LazyLock};

use http::HeaderValue;
use ipnet::IpNet;
use smallvec::SmallVec;

use super::address;
use super::authority::Authority;
use super::headers::{Headers, Known, Names, ReadyLine, Value};
use super::hop_by_hop::tokens;
use super::token::is_token_byte;
use super::variable;
use element::{Element, elements_from_right, parse_node};

/// The networks whose forwarding fields are believed.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies {
    networks: Box<[IpNet]>,
}

impl TrustedProxies {
    /// Trusts these networks; by default none.
    pub fn new(networks: impl IntoIterator<Item = IpNet>) -> Self {
        Self {
            networks: networks.into_iter().collect(),
        }
    }

    /// Tells whether an address is in one of the networks; an IPv4 address mapped into IPv6 counts
    /// as the IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        if self.networks.is_empty() {
            return false;
        }
        let address = address.to_canonical();
        self.networks
            .iter()
            .any(|network| network.contains(&address))
    }

    /// Returns the trust in the fields of a peer.
    pub fn trust(&self, peer: IpAddr) -> Trust {
        if self.contains(peer) {
            Trust::Trusted
        } else {
            Trust::Untrusted
        }
    }
}

/// Trust in the forwarding fields of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// They are believed and continued.
    Trusted,
    /// They are replaced.
    Untrusted,
}

/// Scheme of a request to the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Without TLS.
    Http,
    /// With TLS.
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

    /// The line of `X-Forwarded-Proto` with it.
    fn as_line(self) -> &'static ReadyLine {
        static LINES: LazyLock<[ReadyLine; 2]> = LazyLock::new(|| {
            [Scheme::Http, Scheme::Https].map(|scheme| {
                let value = Value::of_checked(scheme.as_str().as_bytes());
                ReadyLine::new(Known::XForwardedProto, value)
            })
        });
        let [http, https] = &*LINES;
        match self {
            Self::Http => http,
            Self::Https => https,
        }
    }
}

/// Returns the address of the client: the first untrusted one, from the peer backwards.
///
/// Walks `X-Forwarded-For`, or `Forwarded` if only that is present. The walk stops at a value that
/// is not an address, and after 64 hops; the last address before that is the result.
pub fn client_address(peer: IpAddr, trusted: &TrustedProxies, headers: &Headers) -> IpAddr {
    let peer = peer.to_canonical();
    if !trusted.contains(peer) {
        return peer;
    }
    if headers.contains(Known::XForwardedFor) {
        let lines = headers.get_all(Known::XForwardedFor).rev();
        let nodes = lines.flat_map(|line| line.as_bytes().rsplit(|&byte| byte == b','));
        return walk(peer, trusted, nodes);
    }
    walk(peer, trusted, elements(headers).map(|element| element.node))
}

/// Returns the elements of all lines of `Forwarded`, the nearest first.
fn elements(headers: &Headers) -> impl Iterator<Item = Element<'_>> {
    let lines = headers.get_all(Known::Forwarded).rev();
    lines.flat_map(|line| elements_from_right(line.as_bytes()))
}

/// Returns the element of `Forwarded` about the client: the farthest that a trusted proxy wrote.
fn element_of_client<'a>(trusted: &TrustedProxies, headers: &'a Headers) -> Option<Element<'a>> {
    let mut last = None;
    for element in elements(headers).take(HOPS_MAX) {
        last = Some(element);
        if !parse_node(element.node).is_some_and(|address| trusted.contains(address)) {
            break;
        }
    }
    last
}

/// Returns the scheme that the client used, if a trusted peer says so: by `X-Forwarded-Proto`, or
/// by `Forwarded` if that is missing.
pub fn client_scheme(
    own: Scheme,
    trust: Trust,
    trusted: &TrustedProxies,
    headers: &Headers,
) -> Scheme {
    if trust == Trust::Untrusted {
        return own;
    }
    let said = match headers.get(Known::XForwardedProto) {
        // The first value is that of the proxy which met the client.
        Some(value) => tokens(value).next(),
        None if headers.contains(Known::Forwarded) => {
            element_of_client(trusted, headers).map(|element| element.proto)
        }
        None => None,
    };
    // Some proxies say of a WebSocket that it is one.
    let is = |scheme: &[u8], names: [&str; 2]| {
        names
            .iter()
            .any(|name| scheme.eq_ignore_ascii_case(name.as_bytes()))
    };
    match said {
        Some(scheme) if is(scheme, ["https", "wss"]) => Scheme::Https,
        Some(scheme) if is(scheme, ["http", "ws"]) => Scheme::Http,
        _ => own,
    }
}

/// Returns the host that the client asked for, if a trusted peer says so: by `X-Forwarded-Host`, or
/// by `Forwarded` if that is missing.
pub fn client_host(trust: Trust, trusted: &TrustedProxies, headers: &Headers) -> Option<Authority> {
    if trust == Trust::Untrusted {
        return None;
    }
    let said = match headers.get(Known::XForwardedHost) {
        Some(value) => tokens(value).next()?,
        None if headers.contains(Known::Forwarded) => element_of_client(trusted, headers)?.host,
        None => return None,
    };
    Authority::parse(said).ok()
}

/// Scheme and host that the client asked for, as far as they are known.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The scheme that it used.
    pub scheme: Scheme,
    /// The host.
    pub host: Option<Value<'a>>,
}

/// Forwarding fields that one connection adds to its requests; made once per connection.
#[derive(Clone, Debug)]
pub struct Hop {
    scheme: Scheme,
    /// True for an IPv6 address, which `Forwarded` puts in brackets.
    bracketed: bool,
    /// `X-Forwarded-For` with the address of the peer alone.
    address: ReadyLine,
}

impl Hop {
    /// Makes the fields that a peer with this scheme adds.
    pub fn new(peer: IpAddr, scheme: Scheme) -> Self {
        let peer = peer.to_canonical();
        let text = address::text(peer);
        Self {
            scheme,
            bracketed: peer.is_ipv6(),
            address: ReadyLine::new(Known::XForwardedFor, Value::of_checked(&text)),
        }
    }

    /// The value of `X-Forwarded-For` for the peer alone.
    pub fn address(&self) -> Value<'_> {
        self.address.value()
    }

    /// Writes the fields into a request that goes to an endpoint.
    ///
    /// For a trusted peer addresses are appended, and scheme and host stay as it sent them. If it
    /// used only one of the two ways to list addresses, the other is not begun, since the peer
    /// would look like the client there. Scheme and host are the same in both ways: a value sent in
    /// one is written in the other. For any other peer all fields of these names are removed, along
    /// with the other `X-Forwarded-*` and `X-Real-IP`. `host` is the host that the request asks
    /// for, before any rewrite.
    pub fn write(
        &self,
        headers: &mut Headers,
        trust: Trust,
        client: Asked<'_>,
        host: Option<Value<'_>>,
    ) {
        let sent = match trust {
            Trust::Trusted => headers.names(),
            Trust::Untrusted => {
                remove_forged(headers);
                // What is left, `Forwarded`, is replaced.
                Names::default()
            }
        };
        let sent_address = sent.contains(Some(Known::XForwardedFor));
        let sent_element = sent.contains(Some(Known::Forwarded));
        if sent_address {
            append_to_line(headers, Known::XForwardedFor, &[self.address()]);
        } else if !sent_element {
            headers.insert_ready(&self.address);
        }
        if sent_element {
            append_to_line(
                headers,
                Known::Forwarded,
                &self.element_for(self.scheme, host),
            );
        } else if !sent_address {
            headers.insert_joined(
                Known::Forwarded,
                &self.element_for(client.scheme, client.host),
            );
        }
        if !sent.contains(Some(Known::XForwardedProto)) {
            headers.insert_ready(client.scheme.as_line());
        }
        if let Some(host) = client.host
            && !sent.contains(Some(Known::XForwardedHost))
        {
            headers.insert(Known::XForwardedHost, host);
        }
    }

    /// Returns the parts of the proxy's own element of `Forwarded`, with the host quoted if needed.
    fn element_for<'a>(&'a self, scheme: Scheme, host: Option<Value<'a>>) -> [Value<'a>; 6] {
        const NOTHING: Value<'_> = Value::from_static("");
        const NAME: Value<'_> = Value::from_static(";host=");
        const OPENING: Value<'_> = Value::from_static(";host=\"");
        const CLOSING: Value<'_> = Value::from_static("\"");
        let (opening, closing) = match (self.bracketed, scheme) {
            (false, Scheme::Http) => ("for=", ";proto=http"),
            (false, Scheme::Https) => ("for=", ";proto=https"),
            (true, Scheme::Http) => ("for=\"[", "]\";proto=http"),
            (true, Scheme::Https) => ("for=\"[", "]\";proto=https"),
        };
        let opening = Value::of_checked(opening.as_bytes());
        let closing = Value::of_checked(closing.as_bytes());
        let (before, host, after) = match host {
            None => (NOTHING, NOTHING, NOTHING),
            Some(host) if host.as_bytes().iter().all(|&byte| is_token_byte(byte)) => {
                (NAME, host, NOTHING)
            }
            // A valid authority has nothing in it that ends the quotes.
            Some(host) => (OPENING, host, CLOSING),
        };
        [opening, self.address(), closing, before, host, after]
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

/// Joins the lines of a field that a trusted peer sent into one and appends `own`; some endpoints
/// read only the first line.
fn append_to_line(headers: &mut Headers, name: Known, own: &[Value<'_>]) {
    let mut line: SmallVec<[u8; 256]> = SmallVec::new();
    for value in headers.get_all(name) {
        if !value.is_empty() {
            line.extend_from_slice(value.as_bytes());
            line.extend_from_slice(b", ");
        }
    }
    for part in own {
        line.extend_from_slice(part.as_bytes());
    }
    if let Ok(line) = HeaderValue::from_bytes(&line) {
        headers.insert(name, line);
    }
}

/// Removes fields that only a trusted proxy may send and that the proxy does not write itself, and
/// those that a server may take for them.
fn remove_forged(headers: &mut Headers) {
    headers.remove_all(FORGEABLE);
    headers.retain_unknown(|name| {
        let start = name.get(..FORGEABLE_PREFIX.len());
        let is_forged = start.is_some_and(|start| variable::is_same(start, FORGEABLE_PREFIX))
            || variable::is_same(name, Known::XRealIp.as_str().as_bytes());
        !is_forged
    });
}

/// Fields that only a trusted peer may send, besides all others that begin with the prefix.
const FORGEABLE: Names = Names::of(&[
    Known::XForwardedFor,
    Known::XForwardedProto,
    Known::XForwardedHost,
    Known::XRealIp,
]);
const FORGEABLE_PREFIX: &[u8] = b"x-forwarded-";

/// Maximum number of hops in a walk; no path through proxies is that long.
const HOPS_MAX: usize = 64;

#[cfg(test)]
mod tests;
