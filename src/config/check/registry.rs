//! Checks on sources of endpoints that are asked by HTTP.

use std::{path::PathBuf, time::Duration};

use super::Check;
use crate::config::{
    schema::{DiscoverConsul, DiscoverEureka, DiscoverHttp},
    setting::Spans,
    value::{HttpUrl, Secret},
};

pub(super) fn check_http(check: &mut Check<'_>, place: &str, http: &DiscoverHttp) {
    let spans = &http.spans;
    check_interval(
        check,
        place,
        spans,
        http.interval,
        Duration::from_millis(100),
    );
    check_access(
        check,
        place,
        spans,
        [&http.url],
        http.token.as_ref(),
        http.ca.as_ref(),
    );
}

pub(super) fn check_consul(check: &mut Check<'_>, place: &str, consul: &DiscoverConsul) {
    let spans = &consul.spans;
    check_name(check, place, spans, "service", &consul.service, "orders");
    check_access(
        check,
        place,
        spans,
        [&consul.address],
        consul.token.as_ref(),
        consul.ca.as_ref(),
    );
}

pub(super) fn check_eureka(check: &mut Check<'_>, place: &str, eureka: &DiscoverEureka) {
    let spans = &eureka.spans;
    check_eureka_servers(check, place, spans, &eureka.servers);
    check_name(check, place, spans, "app", &eureka.app, "ORDERS");
    check_interval(check, place, spans, eureka.interval, Duration::from_secs(1));
    let (token, ca) = (eureka.token.as_ref(), eureka.ca.as_ref());
    check_access(check, place, spans, &eureka.servers, token, ca);
}

/// Refuses an empty list of servers.
pub(super) fn check_eureka_servers(
    check: &mut Check<'_>,
    place: &str,
    spans: &Spans,
    servers: &[HttpUrl],
) {
    if servers.is_empty() && !check.is_broken(&format!("{place}.servers")) {
        let message = format!("{place}.servers lists no server");
        let hint = "such as [\"http://127.0.0.1:8761/eureka\"]";
        check.error(spans.of("servers"), message, hint);
    }
}

/// Refuses an empty name.
pub(super) fn check_name(
    check: &mut Check<'_>,
    place: &str,
    spans: &Spans,
    key: &str,
    name: &str,
    example: &str,
) {
    if name.is_empty() && !check.is_broken(&format!("{place}.{key}")) {
        let message = format!("{place}.{key} is empty");
        check.error(spans.of(key), message, format!("such as \"{example}\""));
    }
}

/// Refuses an interval that is too short for the service that is asked.
fn check_interval(
    check: &mut Check<'_>,
    place: &str,
    spans: &Spans,
    interval: Duration,
    least: Duration,
) {
    if interval < least {
        let least = humantime::format_duration(least);
        let message = format!("{place}.interval is shorter than {least}");
        check.error(
            spans.of("interval"),
            message,
            format!("at least \"{least}\""),
        );
    }
}

/// Checks how a service is reached: its token, and the authorities that certify it.
pub(super) fn check_access<'a>(
    check: &mut Check<'_>,
    place: &str,
    spans: &Spans,
    urls: impl IntoIterator<Item = &'a HttpUrl> + Clone,
    token: Option<&Secret>,
    ca: Option<&PathBuf>,
) {
    if let Some(token) = token {
        check.secret(&format!("{place}.token"), spans.of("token"), token);
        let is_open = |url: &HttpUrl| !url.tls && !url.address.is_local();
        if urls.clone().into_iter().any(is_open) {
            let message = format!("{place} sends its token in plain text");
            check.warn(spans.of("token"), message, SECRET_ON_THE_WAY);
        }
    }
    if ca.is_some() && !urls.into_iter().any(|url| url.tls) {
        let message = format!("{place}.ca is for TLS, and the URL is not https://");
        check.error(spans.of("ca"), message, "remove it, or write https://");
    }
}

/// Remedy that keeps a secret of a service from those who read on the way to it.
pub(super) const SECRET_ON_THE_WAY: &str = "servers with https:// keep it secret on the way";
