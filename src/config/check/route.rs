//! Checks on routes: those that never match, and settings that contradict each other.

use std::collections::HashMap;

use http::StatusCode;

use super::{Check, cache, certificate_match, error_page, filter, header, shadow, split, template};
use crate::config::diagnostic::Fault;
use crate::config::schema::{Destination, PathRule, Redirect, Rewrite, Route};
use crate::config::setting::Setting as _;
use crate::config::value::{HedgeAfter, Name, Piece, Placeholder, PoolProtocol};

pub(super) fn check(check: &mut Check<'_>) {
    let config = check.config;
    for (name, route) in &config.routes {
        let place = format!("routes.{name}");
        check_times(check, &place, route);
        check_hedge(check, &place, route);
        check_path(check, &place, route);
        check_destination(check, &place, route);
        check_grpc_web(check, name, route);
        header::check(check, name, route);
        template::check(check, &place, route);
        filter::check(check, name, route);
        cache::check(check, name, route);
        certificate_match::check(check, &place, route);
        if let Some(rewrite) = &route.rewrite {
            check_rewrite(check, &place, rewrite);
        }
        split::check_pin(check, &place, route);
        shadow::check(check, name, route);
    }
    check_twins(check);
}

fn check_times(check: &mut Check<'_>, place: &str, route: &Route) {
    let times = &route.timeouts;
    let attempt = times.attempt.unwrap_or(times.total);
    let durations = [
        ("total", times.total),
        ("attempt", attempt),
        ("idle", times.idle),
    ];
    check.positive(&format!("{place}.timeouts"), &times.spans, &durations);
    if times.spans.has("attempt") && attempt > times.total {
        let message = format!("{place}.timeouts.attempt is longer than total");
        let hint = "total ends the attempt first";
        check.warn(times.spans.of("attempt"), message, hint);
    }
    let Some(retry) = &route.retry else { return };
    let place = format!("{place}.retry");
    let attempts = retry.attempts.into();
    check.within(
        &place,
        &retry.spans,
        "attempts",
        attempts,
        (1, ATTEMPTS_MAX),
    );
    let backoff = &retry.backoff;
    check.ordered(
        &format!("{place}.backoff"),
        &backoff.spans,
        ("base", backoff.base),
        ("max", backoff.max),
    );
}

/// Refuses a hedge that would never be made.
fn check_hedge(check: &mut Check<'_>, place: &str, route: &Route) {
    let Some(hedge) = &route.hedge else { return };
    let key = format!("{place}.hedge");
    check.within(&key, &hedge.spans, "max", hedge.max.into(), (1, HEDGES_MAX));
    if let HedgeAfter::Fixed(after) = hedge.after {
        check.positive(&key, &hedge.spans, &[("after", after)]);
        let attempt = route.timeouts.attempt.unwrap_or(route.timeouts.total);
        if after >= attempt {
            let message = format!("{key}.after is not shorter than the time of an attempt");
            let hint = "the first attempt ends before the second begins";
            check.warn(hedge.spans.of("after"), message, hint);
        }
    }
    let poor = route
        .destination
        .pools(check.config)
        .into_iter()
        .find(|name| {
            let pool = check.config.pools.get(&name.value);
            let budget = pool.map(|pool| &pool.retry_budget);
            budget.is_some_and(|budget| budget.ratio.get() <= 0.0 && budget.minimum == 0)
        });
    if let Some(name) = poor {
        let message = format!(
            "{place}.hedge needs a retry budget, and pool \"{}\" has none",
            name.value
        );
        let hint = "give it one: retry_budget = { ratio = \"20%\", minimum = 3 }";
        check.error(route.spans.of("hedge"), message, hint);
    }
}

/// Warns of a `*` in a path: it is an ordinary character there, and seldom meant so.
fn check_path(check: &mut Check<'_>, place: &str, route: &Route) {
    let (key, path) = match &route.path {
        Some(PathRule::Exact(path)) => ("path", &path.0),
        Some(PathRule::Prefix(path)) => ("path_prefix", &path.0),
        Some(PathRule::Regex(_)) | None => return,
    };
    let Some((before, _)) = path.split_once('*') else {
        return;
    };
    let message = format!("{place}.{key} takes \"*\" as it is written, not as any text");
    let folder = before.trim_end_matches('/');
    let hint = match folder {
        "" => "path_prefix = \"/\" matches every path".to_owned(),
        folder => format!("path_prefix = \"{folder}\" matches it and everything below"),
    };
    check.warn(route.spans.of(key), message, hint);
}

fn check_destination(check: &mut Check<'_>, place: &str, route: &Route) {
    match &route.destination {
        Destination::Pool(_) | Destination::Rollout(_) => {}
        Destination::Split(split) => split::check(check, place, route, split),
        Destination::Redirect(redirect) => {
            if ![301, 302, 303, 307, 308].contains(&redirect.status.as_u16()) {
                let message = format!(
                    "{place}.redirect.status cannot be {}",
                    redirect.status.as_u16()
                );
                let hint = "allowed: 301, 302, 303, 307, 308";
                check.error(redirect.spans.of("status"), message, hint);
            }
            check_group(check, place, redirect);
        }
        Destination::Respond(respond) => {
            let status = respond.status;
            let bodiless = [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&status);
            if status.is_informational() {
                let message = format!("{place}.respond.status cannot be {}", status.as_u16());
                check.error(respond.spans.of("status"), message, "from 200 to 599");
            } else if bodiless && (!respond.body.is_empty() || respond.file.is_some()) {
                let message = format!("an answer with status {} has no body", status.as_u16());
                let key = if respond.file.is_some() {
                    "file"
                } else {
                    "body"
                };
                check.error(respond.spans.of(key), message, "leave the body out");
            }
            error_page::check_respond(check, place, respond);
        }
    }
    let has_pool = matches!(
        route.destination,
        Destination::Pool(_) | Destination::Split(_) | Destination::Rollout(_)
    );
    for key in [
        "version",
        "version_header",
        "retry",
        "hedge",
        "concurrency",
        "rewrite",
        "headers_request",
        "grpc_web",
        "shadow",
    ] {
        let works = has_pool || (key == "rewrite" && redirects_to_path(route));
        if !works && route.spans.has(key) {
            let message = format!("{place}.{key} has no effect");
            let hint = match (&route.destination, key) {
                (Destination::Redirect(_), "rewrite") => {
                    "this redirect uses neither {path} nor {query}"
                }
                _ => "this route sends nothing to a pool",
            };
            check.warn(route.spans.of(key), message, hint);
        }
    }
}

/// Returns true if the path after a rewrite is part of the redirect's target.
fn redirects_to_path(route: &Route) -> bool {
    let Destination::Redirect(redirect) = &route.destination else {
        return false;
    };
    let mut pieces = redirect.to.pieces().iter();
    pieces.any(|piece| matches!(piece, Piece::Fill(Placeholder::Path | Placeholder::Query)))
}

/// Warns of `$1` in a redirect: it names a group of a regular expression elsewhere, but is plain
/// text here.
fn check_group(check: &mut Check<'_>, place: &str, redirect: &Redirect) {
    let is_group = |text: &str| {
        let after = text.split('$').skip(1);
        after
            .clone()
            .any(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
            || after.clone().any(|rest| rest.starts_with('{'))
    };
    let mut pieces = redirect.to.pieces().iter();
    let written = pieces.any(|piece| matches!(piece, Piece::Text(text) if is_group(text)));
    if written {
        let message = format!("{place}.redirect.to has a \"$\" that goes out as it is written");
        let hint = "rewrite = { path_regex = { match = …, to = … } } and {path} here do it";
        check.warn(redirect.spans.of("to"), message, hint);
    }
}

/// Checks that the pool and its failover pools use HTTP/2, which gRPC needs.
fn check_grpc_web(check: &mut Check<'_>, name: &Name, route: &Route) {
    if !route.grpc_web {
        return;
    }
    let pools = &check.config.pools;
    let own = route.destination.pools(check.config);
    let named = own.iter().filter_map(|name| pools.get(&**name));
    let standby = named.flat_map(|pool| &pool.failover);
    let plain = own.iter().chain(standby).find(|pool| {
        let pool = pools.get(&***pool);
        pool.is_some_and(|pool| pool.protocol == PoolProtocol::Http1)
    });
    if let Some(pool) = plain {
        let message = format!(
            "route \"{name}\" makes gRPC of gRPC-Web, but pool \"{}\" speaks http/1.1",
            &***pool
        );
        let hint = "gRPC needs protocol = \"h2\" in the pool";
        check.error(route.spans.of("grpc_web"), message, hint);
    }
}

fn check_rewrite(check: &mut Check<'_>, place: &str, rewrite: &Rewrite) {
    let prefix = ["strip_prefix", "add_prefix"]
        .into_iter()
        .find(|key| rewrite.spans.has(key));
    if let (Some(_), Some(key)) = (&rewrite.path_regex, prefix) {
        let message = format!("{place}.rewrite has both \"path_regex\" and \"{key}\"");
        let fault = Fault::error(
            rewrite.spans.of("path_regex"),
            message,
            "either the expression or the prefixes",
        );
        check
            .faults
            .push(fault.with_related(rewrite.spans.of(key), "this is the other"));
    }
}

/// Finds routes with the same conditions; all but one of them never match.
fn check_twins(check: &mut Check<'_>) {
    let config = check.config;
    let mut seen: HashMap<String, (&Name, &Route)> = HashMap::new();
    for (name, route) in &config.routes {
        let key = conditions(route);
        let Some((winner, first)) = seen.get(&key) else {
            seen.insert(key, (name, route));
            continue;
        };
        let message = format!(
            "routes \"{winner}\" and \"{name}\" match the same requests; \"{winner}\" wins by its name"
        );
        let hint = "never reached; give it a condition of its own or a priority";
        let fault = Fault::warning(route.spans.anchor(), message, hint);
        check
            .faults
            .push(fault.with_related(first.spans.anchor(), "this one wins"));
    }
}

/// Prints all conditions of a route in a fixed order, so that routes can be compared.
fn conditions(route: &Route) -> String {
    let sorted = |items: serde_json::Value| {
        let mut items: Vec<String> = match items {
            serde_json::Value::Array(items) => items.iter().map(ToString::to_string).collect(),
            other => vec![other.to_string()],
        };
        items.sort();
        items.dedup();
        items.join(",")
    };
    let path = match &route.path {
        // A slash at the end of a prefix changes nothing.
        Some(PathRule::Prefix(path)) => format!("prefix {}", path.0.trim_end_matches('/')),
        Some(rule) => format!("{rule:?}"),
        None => "prefix ".to_owned(),
    };
    [
        route.priority.to_string(),
        path,
        sorted(route.listeners.print()),
        sorted(route.hosts.print()),
        sorted(route.methods.print()),
        sorted(route.source.print()),
        route.headers.print().to_string(),
        route.query.print().to_string(),
        route.cookies.print().to_string(),
        route.client_certificate.print().to_string(),
    ]
    .join(";")
}

/// Largest number of attempts beside the first.
const HEDGES_MAX: u64 = 3;
/// Largest number of attempts: more only make an outage worse.
const ATTEMPTS_MAX: u64 = 10;
