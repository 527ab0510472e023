//! Checks on pools: endpoints, health, ejection, picker.

use std::collections::HashMap;

use super::Check;
use crate::config::{
    diagnostic::Fault,
    schema::{AbsentEndpoint, Breaker, Ejection, Health, Pool, ProbeKind},
    value::{
        BindAddress, EndpointAddress, Name, PickerSpec, PoolProtocol, nearest::alternatives,
        picker::WEIGHT_MAX,
    },
};

pub(super) fn check(check: &mut Check<'_>) {
    let config = check.config;
    for (name, pool) in &config.pools {
        let place = format!("pools.{name}");
        check_endpoints(check, name, pool);
        check_loops(check, name, pool);
        check_picker(check, &place, pool);
        if let Some(health) = &pool.health {
            check_health(check, &format!("{place}.health"), health);
            if matches!(health.probe, ProbeKind::Grpc(_)) && pool.protocol == PoolProtocol::Http1 {
                let message = format!("{place}.health asks by gRPC, but the pool speaks http/1.1");
                let hint = "gRPC needs protocol = \"h2\" in the pool; or ask with http or tcp";
                check.error(health.spans.of("grpc"), message, hint);
            }
        }
        if let Some(ejection) = &pool.ejection {
            check_ejection(check, &format!("{place}.ejection"), ejection);
        }
        if let Some(breaker) = &pool.breaker {
            check_breaker(check, &format!("{place}.breaker"), breaker);
        }
        let times = &pool.timeouts;
        let durations = [
            ("connect", times.connect),
            ("idle", times.idle),
            ("lifetime", times.lifetime),
        ];
        check.positive(&format!("{place}.timeouts"), &times.spans, &durations);
        check_limits(check, &place, pool);
        check_announce(check, name, pool);
        if let Some(discover) = &pool.discover {
            super::discover::check(check, &format!("{place}.discover"), discover);
            if discover.absent == Some(AbsentEndpoint::UntilCheckFails) && pool.health.is_none() {
                let message =
                    format!("{place}.discover.absent waits for checks, and the pool has none");
                let hint =
                    "add health = { http = { path = \"/healthz\" } }, or absent = \"remove\"";
                check.error(discover.spans.of("absent"), message, hint);
            }
        }
        if let Some(session) = &pool.session {
            super::session::check(check, &format!("{place}.session"), session);
        }
    }
}

fn check_endpoints(check: &mut Check<'_>, name: &Name, pool: &Pool) {
    if pool.endpoints.is_empty() && pool.discover.is_some() {
        return;
    }
    if pool.endpoints.is_empty() {
        let broken = check.is_broken(&format!("pools.{name}.endpoints"))
            || check.has_broken(&format!("pools.{name}.discover"));
        if !broken {
            let message = format!("pool \"{name}\" has no endpoint");
            let hint = "endpoints = [\"127.0.0.1:9001\"], or discover = { file = { path = \"app.json\" } }";
            check.error(pool.spans.of("endpoints"), message, hint);
        }
        return;
    }
    let mut seen: HashMap<&EndpointAddress, _> = HashMap::new();
    for endpoint in &pool.endpoints {
        let span = endpoint.spans.of("address");
        if let Some(first) = seen.insert(&endpoint.address, span) {
            let message = format!("pool \"{name}\" lists {} twice", endpoint.address);
            let hint = "an address is an endpoint's identity; use weight to send it more";
            let fault = Fault::error(span, message, hint);
            check
                .faults
                .push(fault.with_related(first, "the first one"));
        }
    }
    let is_whole = pool.discover.is_none();
    if is_whole && pool.endpoints.iter().all(|endpoint| endpoint.weight == 0) {
        let message = format!("all endpoints of pool \"{name}\" have weight 0");
        let hint = "the pool takes no new traffic";
        check.warn(pool.spans.of("endpoints"), message, hint);
    }
    for endpoint in &pool.endpoints {
        let spans = &endpoint.spans;
        let place = format!("pools.{name}.endpoints");
        check.within(
            &place,
            spans,
            "weight",
            endpoint.weight.into(),
            (0, WEIGHT_MAX.into()),
        );
    }
    let Some(zone) = &pool.zone else { return };
    let in_zone = |zone: &str| {
        let mut zones = pool.endpoints.iter().filter_map(|e| e.zone.as_deref());
        zones.any(|other| other == zone)
    };
    if is_whole && !in_zone(&zone.prefer) {
        let message = format!(
            "no endpoint of pool \"{name}\" is in zone \"{}\"",
            zone.prefer
        );
        check.warn(
            zone.spans.of("prefer"),
            message,
            "the preference has no effect",
        );
    }
}

/// Checks `proxy_protocol` of a pool: the header is valid for a whole connection, but many clients
/// share one over HTTP/2.
fn check_announce(check: &mut Check<'_>, name: &Name, pool: &Pool) {
    if pool.proxy_protocol.is_some() && pool.protocol != PoolProtocol::Http1 {
        let message = format!("pool \"{name}\" may speak h2, where clients share a connection");
        let hint =
            "proxy_protocol needs protocol = \"http/1.1\"; h2 endpoints read X-Forwarded-For";
        check.error(pool.spans.of("proxy_protocol"), message, hint);
    }
}

/// Warns of an endpoint that is one of the proxy's own listeners.
fn check_loops(check: &mut Check<'_>, name: &Name, pool: &Pool) {
    for endpoint in &pool.endpoints {
        let own = check.config.listeners.iter().find(|(_, listener)| {
            match (&endpoint.address, &listener.address) {
                (EndpointAddress::Socket(to), BindAddress::Tcp(at)) => {
                    let everywhere = at.ip().is_unspecified() && to.ip().is_loopback();
                    to.port() == at.port() && (to.ip() == at.ip() || everywhere)
                }
                (EndpointAddress::Unix(to), BindAddress::Unix(at)) => to == at,
                _ => false,
            }
        });
        if let Some((listener, _)) = own {
            let address = &endpoint.address;
            let message =
                format!("pool \"{name}\" sends to {address}, which is listener \"{listener}\"");
            let hint = "requests would loop";
            check.warn(endpoint.spans.of("address"), message, hint);
        }
    }
}

fn check_picker(check: &mut Check<'_>, place: &str, pool: &Pool) {
    match &pool.picker {
        PickerSpec::Custom(name) if !check.rules.pickers.contains(&&**name) => {
            let mut names: Vec<&str> = PickerSpec::WORDS.iter().map(|(word, _)| *word).collect();
            names.extend(["ring_hash", "maglev"]);
            names.extend(check.rules.pickers);
            let hint = if ["ring_hash", "maglev"].contains(&&**name) {
                format!("it needs a key: {{ {name} = {{ key = \"client_ip\" }} }}")
            } else {
                alternatives("allowed", name, &names)
            };
            let message = format!("{place}.picker cannot be \"{name}\"");
            check.error(pool.spans.of("picker"), message, hint);
        }
        PickerSpec::RoundRobin => {
            let weights = || pool.endpoints.iter().map(|e| e.weight).filter(|w| *w > 0);
            if weights().max() != weights().min() {
                let message =
                    format!("{place}: \"round_robin\" ignores weights, which differ here");
                let hint = "use \"weighted_round_robin\", or leave the weights out";
                check.warn(pool.spans.of("picker"), message, hint);
            }
        }
        _ => {}
    }
}

fn check_health(check: &mut Check<'_>, place: &str, health: &Health) {
    let durations = [
        ("interval", health.interval),
        ("interval_down", health.interval_down),
        ("timeout", health.timeout),
    ];
    check.positive(place, &health.spans, &durations);
    for (key, count) in [("rise", health.rise), ("fall", health.fall)] {
        check.within(place, &health.spans, key, count.into(), (1, u64::MAX));
    }
    check.ordered(
        place,
        &health.spans,
        ("timeout", health.timeout),
        ("interval", health.interval),
    );
}

fn check_ejection(check: &mut Check<'_>, place: &str, ejection: &Ejection) {
    let durations = [("interval", ejection.interval), ("base", ejection.base)];
    check.positive(place, &ejection.spans, &durations);
    check.ordered(
        place,
        &ejection.spans,
        ("base", ejection.base),
        ("max", ejection.max),
    );
    if ejection.failure_ratio.get() == 0.0 {
        let message =
            format!("{place}.failure_ratio cannot be 0: it would eject without a failure");
        let hint = "\"100%\" ejects only for nothing but failures; ejection = false never does";
        check.error(ejection.spans.of("failure_ratio"), message, hint);
    }
}

fn check_breaker(check: &mut Check<'_>, place: &str, breaker: &Breaker) {
    let durations = [("window", breaker.window), ("open", breaker.open)];
    check.positive(place, &breaker.spans, &durations);
    let volume = ("volume_min", breaker.volume_min.into());
    check.within(place, &breaker.spans, volume.0, volume.1, (1, u64::MAX));
    if breaker.failure_ratio.get() == 0.0 {
        let message = format!("{place}.failure_ratio cannot be 0: it would open without a failure");
        let hint = "\"100%\" opens it only when every call fails";
        check.error(breaker.spans.of("failure_ratio"), message, hint);
    }
}

fn check_limits(check: &mut Check<'_>, place: &str, pool: &Pool) {
    let limits = &pool.limits;
    if limits.queue > 0 {
        let place = format!("{place}.limits");
        let durations = [("queue_timeout", limits.queue_timeout)];
        check.positive(&place, &limits.spans, &durations);
        let bounded = limits.connections != Some(0);
        if !bounded && [limits.requests, limits.per_endpoint] == [0, 0] {
            let message = format!("{place}.queue has no effect");
            check.warn(
                limits.spans.of("queue"),
                message,
                "nothing has to wait: no other limit is set",
            );
        }
    }
}
