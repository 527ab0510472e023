//! Checks on `register` of a listener.

use std::{collections::BTreeMap, net::IpAddr, path::Path, time::Duration};

use super::{Check, Secrets, etcd, registry, zookeeper};
use crate::config::{
    schema::{Listener, Register, RegisterCheckKind, RegisterConsul, Registry},
    setting::Spans,
    value::{BindAddress, EndpointAddress, Name, host_with_port, secret::MASK},
};

pub(super) fn check(check: &mut Check<'_>, name: &Name, listener: &Listener) {
    let Some(register) = &listener.register else {
        return;
    };
    let place = format!("listeners.{name}.register");
    check_announced(check, &place, &listener.address, register);
    match &register.registry {
        Registry::Consul(it) => check_consul(check, &format!("{place}.consul"), it),
        Registry::Etcd(it) => {
            let place = format!("{place}.etcd");
            etcd::check_registry(check, &place, it);
            check_least(check, &place, &it.spans, ("ttl", it.ttl), ETCD_TTL_MIN);
            check_entry(check, &place, &it.spans, it.id.as_deref(), &it.meta);
        }
        Registry::ZooKeeper(it) => {
            let place = format!("{place}.zookeeper");
            zookeeper::check_registry(check, &place, it);
            let session = ("session", it.session);
            check_least(check, &place, &it.spans, session, SESSION_MIN);
            check_entry(check, &place, &it.spans, it.id.as_deref(), &it.meta);
            if it.id.as_ref().is_some_and(|id| id.contains('/')) {
                let message = format!("{place}.id has a \"/\", which no name of a node has");
                check.error(it.spans.of("id"), message, "such as \"orders-1\"");
            }
        }
        Registry::Eureka(it) => {
            let place = format!("{place}.eureka");
            registry::check_eureka_servers(check, &place, &it.spans, &it.servers);
            registry::check_name(check, &place, &it.spans, "app", &it.app, "ORDERS");
            let (token, ca) = (it.token.as_ref(), it.ca.as_ref());
            registry::check_access(check, &place, &it.spans, &it.servers, token, ca);
            let interval = ("interval", it.interval);
            check_least(check, &place, &it.spans, interval, INTERVAL_MIN);
            check_entry(check, &place, &it.spans, it.id.as_deref(), &it.meta);
        }
    }
}

/// Refuses an empty id, and numbers in words.
fn check_entry(
    check: &mut Check<'_>,
    place: &str,
    spans: &Spans,
    id: Option<&str>,
    meta: &BTreeMap<String, String>,
) {
    if id.is_some_and(str::is_empty) {
        let message = format!("{place}.id is empty");
        check.error(
            spans.of("id"),
            message,
            "leave it out, or such as \"orders-1\"",
        );
    }
    for key in ["weight", "priority"] {
        let value = meta.get(key).filter(|value| value.parse::<u32>().is_err());
        if let Some(value) = value {
            let value = value.escape_debug();
            let message = format!("{place}.meta: {key} is \"{value}\", not a number");
            check.error(spans.of("meta"), message, "such as \"3\"");
        }
    }
}

fn check_least(
    check: &mut Check<'_>,
    place: &str,
    spans: &Spans,
    (key, time): (&str, Duration),
    least: Duration,
) {
    if time < least {
        let least = humantime::format_duration(least);
        let message = format!("{place}.{key} is shorter than {least}");
        check.error(spans.of(key), message, format!("at least \"{least}\""));
    }
}

/// Refuses an entry under an address that nobody could connect to.
fn check_announced(check: &mut Check<'_>, place: &str, bound: &BindAddress, register: &Register) {
    let spans = &register.spans;
    let is_masked = check.rules.secrets != Secrets::Needed;
    if let Some(host) = &register.address {
        let parsed = EndpointAddress::parse(&host_with_port(host, 1), Path::new("/"));
        let unspecified = host.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified());
        let is_known = !is_masked || host != MASK;
        if is_known && (parsed.is_err() || unspecified) {
            let message = format!("{place}.address: \"{}\" is no host", host.escape_debug());
            let hint = "a name or an IP address without a port, such as \"10.0.0.5\"";
            check.error(spans.of("address"), message, hint);
        }
    } else {
        let why = match bound {
            BindAddress::Tcp(bound) if !bound.ip().is_unspecified() => None,
            // The agent gives the address of its node.
            BindAddress::Tcp(_) if matches!(register.registry, Registry::Consul(_)) => None,
            BindAddress::Tcp(_) => Some("the listener binds every address of this machine"),
            BindAddress::Unix(_) => Some("the listener is a Unix socket"),
        };
        if let Some(why) = why {
            let message = format!("{place} does not say which address to announce: {why}");
            let hint = "add address = \"10.0.0.5\", or { env = \"POD_IP\" }";
            check.error(spans.anchor(), message, hint);
        }
    }
    let port = match (register.port, bound) {
        (Some(port), _) => Some(port),
        (None, BindAddress::Tcp(bound)) => Some(bound.port()),
        (None, BindAddress::Unix(_)) => None,
    };
    match port {
        Some(0) if register.port.is_some() => {
            let message = format!("{place}.port cannot be 0");
            check.error(spans.of("port"), message, "allowed: 1 to 65535");
        }
        Some(0) | None => {
            let message = format!("{place} does not say which port to announce");
            let hint = "add port = 8080: the listener has none that is known before the start";
            check.error(spans.anchor(), message, hint);
        }
        Some(_) => {}
    }
}

fn check_consul(check: &mut Check<'_>, place: &str, consul: &RegisterConsul) {
    let spans = &consul.spans;
    registry::check_name(check, place, spans, "service", &consul.service, "orders");
    registry::check_access(
        check,
        place,
        spans,
        [&consul.address],
        consul.token.as_ref(),
        consul.ca.as_ref(),
    );
    check_entry(check, place, spans, consul.id.as_deref(), &consul.meta);
    let Some(checked) = &consul.check else { return };
    let place = format!("{place}.check");
    if checked.deregister_after < DEREGISTER_MIN {
        let message = format!("{place}.deregister_after is shorter than Consul's 1m");
        check.error(
            checked.spans.of("deregister_after"),
            message,
            "at least \"1m\"",
        );
    }
    match &checked.kind {
        RegisterCheckKind::Ttl(ttl) if *ttl < TTL_MIN => {
            let message = format!("{place}.ttl is shorter than 3s");
            check.error(checked.spans.of("ttl"), message, "at least \"3s\"");
        }
        RegisterCheckKind::Ttl(_) => {}
        RegisterCheckKind::Http(http) => {
            let times = [("interval", http.interval), ("timeout", http.timeout)];
            check.positive(&format!("{place}.http"), &http.spans, &times);
        }
        RegisterCheckKind::Tcp(tcp) => {
            let times = [("interval", tcp.interval), ("timeout", tcp.timeout)];
            check.positive(&format!("{place}.tcp"), &tcp.spans, &times);
        }
    }
}

/// Least time that the servers of etcd keep for certain.
const ETCD_TTL_MIN: Duration = Duration::from_secs(5);
/// Least time that a session survives a pause of a server.
const SESSION_MIN: Duration = Duration::from_secs(2);
const INTERVAL_MIN: Duration = Duration::from_secs(1);
/// Least time that the proxy can keep for certain.
const TTL_MIN: Duration = Duration::from_secs(3);
/// Least time that Consul takes.
const DEREGISTER_MIN: Duration = Duration::from_secs(60);
