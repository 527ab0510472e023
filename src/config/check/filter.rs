//! Checks on the filters of a route.

use std::time::Duration;

use super::{Check, error_page};
use crate::config::{
    diagnostic::Fault,
    schema::{Concurrency, ConcurrencyScope, RateLimits, RateStore, RedisStore, Route, RouteFault},
    value::{Name, OriginPattern, RateKey, duration, nearest::alternatives},
};

pub(super) fn check(check: &mut Check<'_>, name: &Name, route: &Route) {
    check_uses(check, name, route);
    super::access::check(check, name, route);
    super::auth::check(check, name, route);
    check_cors(check, name, route);
    check_compress(check, name, route);
    let (place, span) = (format!("routes.{name}"), route.spans.of("error_pages"));
    error_page::check(check, &place, span, &route.error_pages);
    if let Some(file) = route.maintenance.as_ref().and_then(|it| it.file.as_ref()) {
        error_page::check_page(check, &format!("{place}.maintenance"), file);
    }
    check_rates(check, name, route);
    check_concurrency(check, name, route);
    if let Some(fault) = &route.fault {
        check_fault(check, name, fault);
    }
}

/// Refuses names that are neither a policy nor a filter of the embedding program, and one that is
/// there twice.
fn check_uses(check: &mut Check<'_>, name: &Name, route: &Route) {
    let registered = check.rules.filters;
    for (place, used) in route.uses.iter().enumerate() {
        let before = route.uses[..place].iter();
        if let Some(first) = before.into_iter().find(|it| it.value == used.value) {
            let message = format!("route \"{name}\" uses filter \"{used}\" twice");
            let fault = Fault::error(used.span, message, "name it once");
            check
                .faults
                .push(fault.with_related(first.span, "the first one"));
        } else if !registered.contains(&&*used.value) {
            let message = format!("route \"{name}\" uses \"{used}\", which is not defined");
            let policies = check.config.policies.tables().keys();
            let known = policies.map(|it| &**it).chain(registered.iter().copied());
            let known: Vec<&str> = known.collect();
            let hint = if known.is_empty() {
                "define its filters in [policies.NAME]".to_owned()
            } else {
                alternatives("defined", used, &known)
            };
            check.error(used.span, message, hint);
        }
    }
    if route.uses.len() > USES_MAX {
        let message = format!("route \"{name}\" uses {} filters", route.uses.len());
        check.error(
            route.spans.of("use"),
            message,
            format!("at most {USES_MAX}"),
        );
    }
}

/// Refuses an effort that no encoding knows, and compression without an encoding.
fn check_compress(check: &mut Check<'_>, name: &Name, route: &Route) {
    let Some(compress) = &route.compress else {
        return;
    };
    let place = format!("routes.{name}.compress");
    if let Some(level) = compress.level {
        check.within(&place, &compress.spans, "level", level.into(), (1, 9));
    }
    let broken = check.is_broken(&place) || check.is_broken(&format!("{place}.encodings"));
    if compress.encodings.is_empty() && !broken {
        let message = format!("{place}.encodings is empty");
        let hint = "name one of \"zstd\", \"br\", \"gzip\", or remove the key for all of them";
        check.error(compress.spans.of("encodings"), message, hint);
    }
}

/// Refuses credentials for any origin, and a list of origins without one.
fn check_cors(check: &mut Check<'_>, name: &Name, route: &Route) {
    let Some(cors) = &route.cors else { return };
    let place = format!("routes.{name}.cors");
    let broken = check.is_broken(&place) || check.is_broken(&format!("{place}.origins"));
    if cors.origins.is_empty() && !broken {
        let message = format!("{place} has no origins");
        let hint = "the pages that may read answers: origins = [\"https://shop.example\"]";
        check.error(cors.spans.anchor(), message, hint);
    }
    let any = cors
        .origins
        .iter()
        .find(|it| it.value == OriginPattern::Any);
    if let Some(any) = any.filter(|_| cors.credentials) {
        let message = format!("{place}: credentials = true does not go with the origin \"*\"");
        let hint = "any page could act as the user: name the origins, or remove credentials";
        check.error(any.span, message, hint);
    }
    if cors.max_age > CORS_AGE_MAX {
        let message = format!(
            "{place}.max_age cannot be {}",
            duration::text(&cors.max_age)
        );
        check.error(cors.spans.of("max_age"), message, "at most 24h");
    }
}

/// Browsers keep no preflight for longer.
const CORS_AGE_MAX: Duration = Duration::from_secs(86_400);

fn check_rates(check: &mut Check<'_>, name: &Name, route: &Route) {
    let place = format!("routes.{name}.rate_limit");
    check_rules(check, &place, &route.rate_limit);
}

/// Refuses rules of a listener that need to know the route.
pub(super) fn check_listener_rates(check: &mut Check<'_>, name: &Name, rules: &RateLimits) {
    let place = format!("listeners.{name}.rate_limit");
    check_rules(check, &place, rules);
    for rule in &rules.0 {
        if rule.key == RateKey::Route {
            let message = format!("{place}.key cannot be \"route\": the route is not known yet");
            let hint = "for all requests of the listener together: \"constant:NAME\"";
            check.error(rule.spans.of("key"), message, hint);
        }
        if let RateKey::Claim(_) = rule.key {
            let message = format!("{place}.key cannot be of a token: a listener checks none");
            check.error(
                rule.spans.of("key"),
                message,
                "write the rule on the routes",
            );
        }
        if rule.cost.is_some() {
            let message = format!("{place} cannot have a cost: a listener sees no answers");
            let hint = "write the rule on the routes";
            check.error(rule.spans.of("cost"), message, hint);
        }
    }
}

/// Refuses rules without room, and two of one name.
fn check_rules(check: &mut Check<'_>, place: &str, rules: &RateLimits) {
    let rules = &rules.0;
    for (at, rule) in rules.iter().enumerate() {
        let burst = rule.burst.unwrap_or(1).into();
        check.within(place, &rule.spans, "burst", burst, (1, BURST_MAX));
        let keys = rule.keys_max.into();
        check.within(place, &rule.spans, "keys_max", keys, (1, KEYS_MAX));
        if let RateStore::Redis(redis) = &rule.store {
            check_redis(check, &format!("{place}.store.redis"), redis);
            if rule.cost.is_some() {
                let message = format!("{place}.cost does not go with a store of several proxies");
                let hint = "the store is asked before the answer: remove cost or store";
                check.error(rule.spans.of("cost"), message, hint);
            }
        }
        let label = rule.label();
        if let Some(first) = rules[..at].iter().find(|it| it.label() == label) {
            let message = format!("{place} has two rules named \"{label}\"");
            let hint = "give one of them a name: name = \"…\"";
            let fault = Fault::error(rule.spans.anchor(), message, hint);
            check
                .faults
                .push(fault.with_related(first.spans.anchor(), "the first one"));
        }
    }
}

/// Refuses faults where they are off, and those that do nothing.
fn check_fault(check: &mut Check<'_>, name: &Name, fault: &RouteFault) {
    let place = format!("routes.{name}.fault");
    let spans = &fault.spans;
    if !check.config.proxy.faults && !check.is_broken("proxy") {
        let message = format!("route \"{name}\" has a fault, and faults are off");
        let hint = "remove it; or, for tests only, write faults = true in [proxy]";
        check.error(spans.anchor(), message, hint);
    }
    if fault.delay.is_none()
        && fault.abort.is_none()
        && fault.ask.is_none()
        && !check.is_broken(&place)
    {
        let message = format!("{place} has neither delay, abort nor ask");
        check.error(
            spans.anchor(),
            message,
            "one of them says what happens to a request",
        );
    }
    if let Some(delay) = fault.delay
        && (delay.is_zero() || delay > RouteFault::DELAY_MAX)
    {
        let message = format!("{place}.delay cannot be {}", duration::text(&delay));
        check.error(spans.of("delay"), message, "more than 0, and at most 1m");
    }
    if let Some(abort) = fault.abort
        && !(abort.is_client_error() || abort.is_server_error())
    {
        let message = format!("{place}.abort cannot be {}", abort.as_u16());
        check.error(spans.of("abort"), message, "from 400 to 599");
    }
}

fn check_redis(check: &mut Check<'_>, place: &str, redis: &RedisStore) {
    let spans = &redis.spans;
    let bounds = (Duration::from_millis(1), REDIS_TIMEOUT_MAX);
    if redis.timeout < bounds.0 || redis.timeout > bounds.1 {
        let written = duration::text(&redis.timeout);
        let message = format!("{place}.timeout cannot be {written}");
        check.error(
            spans.of("timeout"),
            message,
            "from 1ms to 1s: a request may wait for it",
        );
    }
    let fits = |byte: u8| byte.is_ascii_graphic();
    if redis.prefix.is_empty() || redis.prefix.len() > PREFIX_MAX || !redis.prefix.bytes().all(fits)
    {
        let message = format!(
            "{place}.prefix: \"{}\" is not the beginning of a key",
            redis.prefix.escape_debug()
        );
        check.error(
            spans.of("prefix"),
            message,
            "1 to 64 printable characters of ASCII, without spaces",
        );
    }
    if let Some(password) = &redis.password {
        check.secret(&format!("{place}.password"), spans.of("password"), password);
    } else if redis.username.is_some() {
        let message = format!("{place} has a username and no password");
        check.error(
            spans.of("username"),
            message,
            "add password = { env = \"NAME\" }",
        );
    }
    match &redis.ca {
        Some(_) if !redis.url.tls => {
            let message = format!("{place}.ca is for TLS, and the url is not rediss://");
            check.error(spans.of("ca"), message, "remove it, or write rediss://");
        }
        _ => {}
    }
}

/// A request waits for it.
const REDIS_TIMEOUT_MAX: Duration = Duration::from_secs(1);
const PREFIX_MAX: usize = 64;

/// Refuses a limit that lets nothing through, and a queue without an end.
fn check_concurrency(check: &mut Check<'_>, name: &Name, route: &Route) {
    let limits = route.concurrency.iter().flat_map(|limits| &limits.0);
    let mut seen: Vec<&Concurrency> = Vec::new();
    for limit in limits {
        check_limit(check, &format!("routes.{name}.concurrency"), limit);
        if let Some(first) = seen.iter().find(|it| it.per == limit.per) {
            let per = limit.per.word();
            let message = format!("routes.{name}.concurrency has two limits per \"{per}\"");
            let fault = Fault::error(limit.spans.anchor(), message, "the lower one is enough");
            check
                .faults
                .push(fault.with_related(first.spans.anchor(), "the first one"));
        }
        seen.push(limit);
    }
}

fn check_limit(check: &mut Check<'_>, place: &str, limit: &Concurrency) {
    let spans = &limit.spans;
    match limit.max {
        None if !limit.adaptive && !check.is_broken(place) => {
            let message = format!("{place} has neither max nor adaptive");
            let hint = "requests at once: max = 500, or adaptive = true";
            check.error(spans.anchor(), message, hint);
        }
        Some(max) if limit.adaptive && (1..ADAPTIVE_MIN).contains(&max) => {
            let message = format!("{place}.max = {max} is less than adaptive can go down to");
            let hint = "from 4 to 1000000, or without adaptive";
            check.error(spans.of("max"), message, hint);
        }
        max => {
            let max = max.unwrap_or(1).into();
            check.within(place, spans, "max", max, (1, AT_ONCE_MAX));
        }
    }
    if limit.adaptive && limit.per == ConcurrencyScope::ClientIp {
        let message = format!("{place}.adaptive needs per = \"route\"");
        let hint = "one client's requests tell too little about the latency";
        check.error(spans.of("adaptive"), message, hint);
    }
    check.within(place, spans, "queue", limit.queue.into(), (0, QUEUE_MAX));
    match limit.queue_timeout {
        Some(timeout) if limit.queue > 0 => {
            check.positive(place, spans, &[("queue_timeout", timeout)]);
        }
        None if limit.queue > 0 => {
            let message = format!("{place}.queue needs queue_timeout");
            let hint = "the time that a request may wait: queue_timeout = \"1s\"";
            check.error(spans.of("queue"), message, hint);
        }
        _ => {
            let keys = ["queue_timeout", "priority"];
            for key in keys.into_iter().filter(|key| spans.has(key)) {
                let message = format!("{place}.{key} has no effect");
                let hint = "nothing waits: set queue = 100, or remove it";
                check.warn(spans.of(key), message, hint);
            }
        }
    }
}

/// Smallest limit that adapts.
const ADAPTIVE_MIN: u32 = 4;
const AT_ONCE_MAX: u64 = 1_000_000;
const QUEUE_MAX: u64 = 100_000;
const BURST_MAX: u64 = 1_000_000;
/// Takes half a gigabyte.
const KEYS_MAX: u64 = 10_000_000;
/// More would be a mistake.
const USES_MAX: usize = 64;
