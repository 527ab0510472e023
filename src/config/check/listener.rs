//! Checks on listeners: two at one address, limits too small for any request.

use std::collections::BTreeSet;
use std::net::{Ipv6Addr, SocketAddr};

use super::{Check, error_page, filter, register};
use crate::config::diagnostic::Fault;
use crate::config::schema::{Listener, ListenerProtocol, ProxyProtocol};
use crate::config::setting::Span;
use crate::config::value::{BindAddress, Name};

pub(super) fn check(check: &mut Check<'_>) {
    let config = check.config;
    if config.listeners.is_empty() && !check.has_broken("listeners") {
        let message = "no listener is defined, so no request could come in";
        check.faults.push(Fault::of_file(message));
    }
    for (name, listener) in &config.listeners {
        check_one(check, name, listener);
    }
    if let Some(admin) = &config.admin {
        let mode = admin.spans.has("mode").then(|| admin.spans.of("mode"));
        check_kind(check, "admin", &admin.address, mode, None);
    }
    check_addresses(check);
    let everywhere = config
        .routes
        .values()
        .any(|route| route.listeners.is_empty());
    let named = config.routes.values().flat_map(|route| &route.listeners);
    let named: BTreeSet<&Name> = named.map(|wanted| &wanted.value).collect();
    for (name, listener) in &config.listeners {
        let has_route = everywhere || named.contains(name);
        if !has_route && !check.has_broken("routes") {
            let message = format!("no route looks at listener \"{name}\"");
            let hint = "every request there is answered with 404";
            check.warn(listener.spans.anchor(), message, hint);
        }
    }
}

fn check_one(check: &mut Check<'_>, name: &Name, listener: &Listener) {
    let place = format!("listeners.{name}");
    if listener.protocols.is_empty() && !check.is_broken(&format!("{place}.protocols")) {
        let message = format!("{place}.protocols is empty");
        let hint = "\"http/1.1\", \"h2\" or both";
        check.error(listener.spans.of("protocols"), message, hint);
    }
    if listener.protocols.contains(&ListenerProtocol::H3) {
        check_http3(check, &place, listener);
    }
    let spans = &listener.spans;
    let written = |key: &str| spans.has(key).then(|| spans.of(key));
    let mode = written("mode");
    let ipv6_only = written("ipv6_only").filter(|_| listener.ipv6_only);
    check_kind(check, &place, &listener.address, mode, ipv6_only);
    if let Some(proxies) = &listener.proxy_protocol {
        check_proxies(check, &format!("{place}.proxy_protocol"), proxies);
    }
    register::check(check, name, listener);
    filter::check_listener_rates(check, name, &listener.rate_limit);
    error_page::check(
        check,
        &place,
        spans.of("error_pages"),
        &listener.error_pages,
    );
    let times = &listener.timeouts;
    let durations = [
        ("handshake", times.handshake),
        ("head", times.head),
        ("idle", times.idle),
        ("body_idle", times.body_idle),
    ];
    check.positive(&format!("{place}.timeouts"), &times.spans, &durations);
    let limits = &listener.limits;
    let place = format!("{place}.limits");
    let counts = [
        (
            "head",
            limits.head.bytes(),
            (HEAD_BYTES_MIN, HEAD_BYTES_MAX),
        ),
        ("target", limits.target.bytes(), (1, HEAD_BYTES_MAX)),
        ("headers", limits.headers.into(), (1, HEADERS_MAX)),
        ("streams", limits.streams.into(), (1, STREAMS_MAX)),
    ];
    for (key, count, bounds) in counts {
        check.within(&place, &limits.spans, key, count, bounds);
    }
    if limits.spans.has("target") && limits.target > limits.head {
        let message = format!("{place}.target is larger than head, so it is never reached");
        check.warn(
            limits.spans.of("target"),
            message,
            "the head holds the target",
        );
    }
}

/// Refuses HTTP/3 where QUIC cannot be spoken.
fn check_http3(check: &mut Check<'_>, place: &str, listener: &Listener) {
    let span = listener.spans.of("protocols");
    if cfg!(not(feature = "http3")) {
        let message = format!("{place}.protocols has \"h3\", which this program was built without");
        check.error(span, message, "a build with the cargo feature http3");
        return;
    }
    if let BindAddress::Unix(path) = &listener.address {
        let path = path.display();
        let message = format!("{place}.protocols has \"h3\", and unix:{path} has no UDP port");
        check.error(span, message, "QUIC is spoken on an address with a port");
        return;
    }
    let tls = format!("{place}.tls");
    if listener.tls.is_none() && !check.is_broken(&tls) && !check.has_broken(&tls) {
        let message = format!("{place}.protocols has \"h3\", and the listener has no TLS");
        let hint = "QUIC is never spoken in the clear: add a [listeners.NAME.tls] table";
        check.error(span, message, hint);
    }
    if let Some(proxies) = &listener.proxy_protocol {
        let message = format!("{place} has \"h3\" and proxy_protocol");
        let hint = "no header comes in front of QUIC: give it a listener of its own";
        let fault = Fault::error(span, message, hint);
        let header = proxies.spans.of("from");
        check.faults.push(fault.with_related(
            header,
            "required in front of TCP connections here".to_owned(),
        ));
    }
    if listener.protocols.len() == 1 {
        let message = format!("{place}.protocols has \"h3\" alone");
        let hint = "clients learn of it from answers over \"http/1.1\" or \"h2\"";
        check.warn(span, message, hint);
    }
}

fn check_proxies(check: &mut Check<'_>, place: &str, proxies: &ProxyProtocol) {
    let from = proxies.spans.of("from");
    if proxies.from.is_empty() && !check.is_broken(&format!("{place}.from")) {
        let message = format!("{place}.from is empty, so no peer would have to send a header");
        check.error(from, message, "the addresses of the proxies in front");
    }
    if proxies.from.iter().any(|block| block.prefix_len() == 0) {
        let message = format!("{place}.from believes every peer");
        let hint = "any client could then claim any address";
        check.warn(from, message, hint);
    }
}

fn check_addresses(check: &mut Check<'_>) {
    let config = check.config;
    let mut bound: Vec<(String, &BindAddress, Span)> = Vec::new();
    for (name, listener) in &config.listeners {
        let owner = format!("listener \"{name}\"");
        bound.push((owner, &listener.address, listener.spans.of("address")));
    }
    if let Some(admin) = &config.admin {
        bound.push((
            "[admin]".to_owned(),
            &admin.address,
            admin.spans.of("address"),
        ));
    }
    if let Some(address) = &config.metrics.address {
        let span = config.metrics.spans.of("address");
        bound.push(("[metrics]".to_owned(), address, span));
    }
    bound.sort_by_key(|(_, _, span)| span.start);
    let admin = config.admin.as_ref();
    let admin = admin.map(|it| ("[admin]", &it.address, it.spans.of("address")));
    let metrics = &config.metrics;
    let address = metrics.address.as_ref();
    let metrics = address.map(|it| ("[metrics]", it, metrics.spans.of("address")));
    for (owner, address, span) in admin.into_iter().chain(metrics) {
        let in_the_way = config
            .listeners
            .iter()
            .find(|(_, listener)| takes_both(listener) && is_ipv4_of(address, &listener.address));
        if let Some((name, listener)) = in_the_way {
            let message = format!(
                "{owner} listens at {address}, and listener \"{name}\" takes IPv4 at that port"
            );
            let hint = "another port, or ipv6_only = true in the listener";
            let fault = Fault::error(span, message, hint);
            let taken = listener.spans.of("address");
            let remark = format!("listener \"{name}\" listens here");
            check.faults.push(fault.with_related(taken, remark));
        }
    }
    for (index, (owner, address, span)) in bound.iter().enumerate() {
        for (other, taken, taken_span) in &bound[..index] {
            if overlap(address, taken) {
                let message = format!("{owner} listens at {address}, which {other} has taken");
                let fault = Fault::error(*span, message, "each needs an address of its own");
                let remark = format!("{other} listens here");
                check.faults.push(fault.with_related(*taken_span, remark));
                break;
            }
        }
    }
}

/// Tells whether it takes clients of both families.
fn takes_both(listener: &Listener) -> bool {
    let is_any = |address: &SocketAddr| address.ip() == Ipv6Addr::UNSPECIFIED;
    let is_any = matches!(&listener.address, BindAddress::Tcp(address) if is_any(address));
    is_any && !listener.ipv6_only
}

fn is_ipv4_of(a: &BindAddress, b: &BindAddress) -> bool {
    let (BindAddress::Tcp(a), BindAddress::Tcp(b)) = (a, b) else {
        return false;
    };
    a.is_ipv4() && a.port() != 0 && a.port() == b.port()
}

/// Refuses keys that have no effect on a socket at such an address.
fn check_kind(
    check: &mut Check<'_>,
    place: &str,
    address: &BindAddress,
    mode: Option<Span>,
    ipv6_only: Option<Span>,
) {
    let unix = matches!(address, BindAddress::Unix(_));
    if let Some(span) = mode.filter(|_| !unix) {
        let message = format!("{place}.mode has no effect on {address}");
        check.error(span, message, "only the file of a Unix socket has a mode");
    }
    let any = matches!(address, BindAddress::Tcp(it) if it.ip() == Ipv6Addr::UNSPECIFIED);
    if let Some(span) = ipv6_only.filter(|_| !any) {
        let message = format!("{place}.ipv6_only has no effect on {address}");
        check.error(span, message, "only [::] can take both families");
    }
}

/// Tells whether both cannot be bound at once. If an IPv4 address is bound as well, the IPv6
/// wildcard does not accept IPv4.
fn overlap(a: &BindAddress, b: &BindAddress) -> bool {
    let (BindAddress::Tcp(a), BindAddress::Tcp(b)) = (a, b) else {
        return a == b;
    };
    let wildcard = |address: &SocketAddr| address.ip().is_unspecified();
    let same_ip = a.ip() == b.ip() || wildcard(a) || wildcard(b);
    a.port() != 0 && a.port() == b.port() && a.is_ipv4() == b.is_ipv4() && same_ip
}

/// Smallest head limit: every browser's requests fit.
const HEAD_BYTES_MIN: u64 = 1024;

/// Largest head limit: a head is kept in memory as a whole.
const HEAD_BYTES_MAX: u64 = 1 << 20;

/// Largest limit on header fields: as many as the header map can hold.
const HEADERS_MAX: u64 = 4096;

/// Bound on the memory that one connection can claim.
const STREAMS_MAX: u64 = 65_535;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_takes_the_port_of_its_family() {
        let tcp = |text: &str| BindAddress::Tcp(text.parse().unwrap());
        assert!(overlap(&tcp("0.0.0.0:80"), &tcp("127.0.0.1:80")));
        assert!(overlap(&tcp("[::]:80"), &tcp("[::1]:80")));
        assert!(!overlap(&tcp("[::]:80"), &tcp("0.0.0.0:80")));
        assert!(!overlap(&tcp("127.0.0.1:0"), &tcp("127.0.0.1:0")));
        assert!(!overlap(&tcp("127.0.0.1:80"), &tcp("127.0.0.2:80")));
    }
}
