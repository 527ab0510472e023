//! Answer to an operator's debug header: what became of the request up to the head of its response.
//!
//! A dictionary of RFC 9651, so that programs can read it. Only requests with leave have it; the
//! others do not come here.

use std::fmt::Write as _;

use http::HeaderValue;

use crate::{
    exchange::{AttemptKind, AttemptOutcome, Exchange},
    semantics::{Headers, Known, Value},
};

/// Adds the header to a response. Caches on the way must not give it to others.
#[cold]
pub(super) fn tell(exchange: &Exchange, headers: &mut Headers) {
    let Some(settings) = &exchange.snapshot.shared.debug_header else {
        return;
    };
    let Ok(value) = HeaderValue::try_from(told(exchange)) else {
        return;
    };
    headers.insert(&settings.name, value);
    let private = Value::from_static("private, no-store");
    headers.insert(Known::CacheControl, private);
}

fn told(exchange: &Exchange) -> String {
    let mut out = String::with_capacity(512);
    text(&mut out, "id", Some(exchange.request_id()));
    text(&mut out, "listener", Some(exchange.listener_name()));
    text(&mut out, "route", exchange.route_name());
    text(&mut out, "pool", exchange.pool_name());
    text(&mut out, "endpoint", exchange.endpoint());
    text(&mut out, "version", exchange.version());
    text(&mut out, "reason", exchange.reason());
    let detail = exchange.refused().and_then(|it| it.detail.as_deref());
    text(&mut out, "detail", detail);
    let cache = exchange.cached.as_ref().and_then(|it| it.outcome);
    text(&mut out, "cache", cache.map(|it| it.word()));
    attempts(&mut out, exchange);
    limits(&mut out, exchange);
    // Formatting into a String cannot fail.
    let generation = exchange.snapshot.shared.generation;
    let _ = write!(out, ", generation={generation}");
    if let Some(queued) = exchange.call.queued.get() {
        let _ = write!(out, ", queue_ms={:.3}", queued.as_secs_f64() * 1000.0);
    }
    if let Some(answered) = exchange.answered {
        let took = answered.saturating_duration_since(exchange.started);
        let _ = write!(out, ", head_ms={:.3}", took.as_secs_f64() * 1000.0);
    }
    out
}

/// Writes a member whose value is a string.
fn text(out: &mut String, name: &str, value: Option<&str>) {
    let Some(value) = value else {
        return;
    };
    if !out.is_empty() {
        out.push_str(", ");
    }
    out.push_str(name);
    out.push('=');
    quoted(out, value);
}

/// Writes a string; what it cannot hold is a question mark.
fn quoted(out: &mut String, value: &str) {
    out.push('"');
    for character in value.chars().take(TEXT_MAX) {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            ' '..='~' => out.push(character),
            _ => out.push('?'),
        }
    }
    out.push('"');
}

/// Writes the endpoints that were tried, with outcome and duration.
fn attempts(out: &mut String, exchange: &Exchange) {
    let call = &exchange.call;
    let (aside, beside) = (exchange.aside.borrow(), call.beside.borrow());
    let all = aside.iter().chain(&call.attempts).chain(&*beside);
    let mut separator = ", attempts=(";
    for attempt in all.take(ATTEMPTS_MAX) {
        out.push_str(separator);
        separator = " ";
        quoted(out, attempt.address());
        let outcome = match attempt.outcome {
            Some(AttemptOutcome::Answered(status)) => status.as_str().to_owned(),
            Some(AttemptOutcome::Failed(failure)) => failure.word().to_owned(),
            Some(AttemptOutcome::Lost) => "lost".to_owned(),
            None => "under_way".to_owned(),
        };
        let took_ms = attempt.took.as_secs_f64() * 1000.0;
        let _ = write!(out, ";outcome=\"{outcome}\";ms={took_ms:.3}");
        match attempt.kind {
            AttemptKind::InTurn => {}
            AttemptKind::Hedge => out.push_str(";hedge"),
            AttemptKind::Subrequest => out.push_str(";subrequest"),
        }
    }
    if separator == " " {
        out.push(')');
    }
}

/// Writes the limits of the route: places taken of those on requests at once, and the names of those
/// on rates.
fn limits(out: &mut String, exchange: &Exchange) {
    let Some(route) = exchange.route() else {
        return;
    };
    let mut separator = ", limits=(";
    for limit in route.filters.concurrency() {
        let view = limit.view();
        let (per, now) = (view.per, view.now);
        let _ = write!(
            out,
            "{separator}\"concurrency\";per=\"{per}\";in_use={};waiting={};max={}",
            now.in_use, now.waiting, view.limit
        );
        separator = " ";
    }
    for rule in route.filters.rate_rules() {
        out.push_str(separator);
        separator = " ";
        out.push_str("\"rate\";rule=");
        quoted(out, &rule.label);
    }
    if separator == " " {
        out.push(')');
    }
}

/// Maximum length of a string in characters.
const TEXT_MAX: usize = 200;

/// Maximum number of attempts shown.
const ATTEMPTS_MAX: usize = 20;
