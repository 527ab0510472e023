//! Checks on the authentication of a route.

use std::time::Duration;

use http::uri::PathAndQuery;

use super::{Check, certificate_match::is_asked_for, header::check_names};
use crate::config::{
    schema::{Auth, AuthStep, AuthSteps, ForwardAuth, JwksSource, JwtAuth, KeySource, Route},
    setting::Span,
    value::{Name, RateKey, duration, header},
};

pub(super) fn check(check: &mut Check<'_>, name: &Name, route: &Route) {
    let place = format!("routes.{name}.auth");
    let has_token = |auth: &Auth| auth.ways().any(AuthStep::has_claims);
    let of_claims = route.rate_limit.0.iter();
    for rule in of_claims.filter(|rule| matches!(rule.key, RateKey::Claim(_))) {
        if !route.auth.as_ref().is_some_and(has_token) && !check.is_broken(&place) {
            let message = format!(
                "routes.{name}.rate_limit.key is of a token, and auth has neither jwt nor oidc"
            );
            let hint = "a claim that nobody has checked limits nobody: add auth = { jwt = { … } }";
            check.error(rule.spans.of("key"), message, hint);
        }
    }
    let Some(auth) = &route.auth else { return };
    let steps = &auth.0;
    if steps.0.is_empty() && !check.is_broken(&place) {
        let message = format!("{place} is empty: everybody passes");
        let hint =
            "name a way in, such as { basic = { file = \"users.htpasswd\" } }, or remove the key";
        check.error(route.spans.of("auth"), message, hint);
    }
    for step in &steps.0 {
        match &step.value {
            AuthStep::Any(any) => check_any(check, &place, (name, route), step.span, any),
            other => check_step(check, &place, (name, route), step.span, other),
        }
    }
}

/// Refuses a choice between less than two, and one within another.
fn check_any(
    check: &mut Check<'_>,
    place: &str,
    route: (&Name, &Route),
    span: Span,
    any: &AuthSteps,
) {
    let place = format!("{place}.any");
    if any.0.len() < 2 && !check.is_broken(&place) {
        let message = format!("{place} needs at least two ways in");
        check.error(span, message, "a single one stands without any");
    }
    for step in &any.0 {
        if let AuthStep::Any(_) = step.value {
            let message = format!("{place} has another any in it");
            check.error(step.span, message, "put all ways in one list");
        } else {
            check_step(check, &place, route, step.span, &step.value);
        }
    }
}

fn check_step(
    check: &mut Check<'_>,
    place: &str,
    (name, route): (&Name, &Route),
    span: Span,
    step: &AuthStep,
) {
    let place = format!("{place}.{}", step.word());
    match step {
        AuthStep::Basic(basic) => {
            let fits = |byte: u8| (b' '..=b'~').contains(&byte) && !matches!(byte, b'"' | b'\\');
            let realm = basic.realm.as_deref().unwrap_or("x");
            if realm.is_empty() || realm.len() > REALM_MAX || !realm.bytes().all(fits) {
                let message = format!("{place}.realm is not a realm");
                let hint = "1 to 100 printable characters of ASCII without \" and \\";
                check.error(basic.spans.of("realm"), message, hint);
            }
        }
        AuthStep::ApiKey(key) => {
            let (kind, name) = match &key.source {
                KeySource::Header(_) => return,
                KeySource::Query(name) => ("query", name),
                KeySource::Cookie(name) => ("cookie", name),
            };
            if header::name(name).is_err() {
                let message = format!("{place}.{kind} {name:?} is not a name");
                let hint = "letters, digits and some signs, without spaces";
                check.error(key.spans.anchor(), message, hint);
            }
        }
        AuthStep::Mtls(_) if !is_asked_for(check, route) => {
            let message =
                format!("{place} lets nobody in: no listener asks clients for certificates");
            let hint = "add client_ca to the [listeners.NAME.tls] that it is for";
            check.error(span, message, hint);
        }
        AuthStep::Oidc(oidc) => super::oidc::check(check, &place, name, route, oidc),
        AuthStep::Jwt(jwt) => check_token(check, &place, jwt),
        AuthStep::Forward(forward) => check_forward(check, &place, forward),
        AuthStep::Mtls(_) | AuthStep::Any(_) => {}
    }
}

/// Refuses keys that nobody reads, and names that are none.
fn check_token(check: &mut Check<'_>, place: &str, jwt: &JwtAuth) {
    let spans = &jwt.spans;
    let names = jwt.forward.iter().map(|(name, _)| name);
    check_names(
        check,
        &format!("{place}.forward"),
        names,
        spans.of("forward"),
    );
    let refresh = (Duration::from_secs(10), Duration::from_secs(86_400));
    if jwt.refresh < refresh.0 || jwt.refresh > refresh.1 {
        let message = format!("{place}.refresh cannot be {}", duration::text(&jwt.refresh));
        check.error(spans.of("refresh"), message, "from 10s to 24h");
    }
    if jwt.leeway > Duration::from_secs(600) {
        let message = format!("{place}.leeway cannot be {}", duration::text(&jwt.leeway));
        check.error(spans.of("leeway"), message, "at most 10m");
    }
    let secret = jwt.algorithms.iter().any(|it| it.is_shared_secret());
    match &jwt.jwks {
        JwksSource::Url(url) => {
            if jwt.ca.is_some() && !url.tls {
                let message = format!("{place}.ca is for TLS, and the url is not https://");
                check.error(spans.of("ca"), message, "remove it, or write https://");
            }
            if secret {
                let message = format!(
                    "{place}.algorithms has one with a secret, and the keys come from a URL"
                );
                let hint = "who can read the URL could make tokens: keep the secret in jwks = { file = … }";
                check.error(spans.of("algorithms"), message, hint);
            }
        }
        JwksSource::File(file) => {
            for key in ["ca", "refresh"].into_iter().filter(|key| spans.has(key)) {
                let message = format!("{place}.{key} has no effect: the keys are in a file");
                check.warn(spans.of(key), message, "remove it");
            }
            let counts = jwt.counting();
            let keys = &file.content.keys;
            let fits = keys.iter().any(|key| counts.iter().any(|it| key.fits(*it)));
            // None, where files are not read.
            if !keys.is_empty() && !fits {
                let message =
                    format!("{place}: no key of the file is for an algorithm that counts");
                let hint = "name its algorithm; those with a secret, such as HS256, count only if they are named";
                check.error(spans.of("jwks"), message, hint);
            }
        }
    }
    if let Some(KeySource::Query(name) | KeySource::Cookie(name)) = &jwt.source
        && header::name(name).is_err()
    {
        let message = format!("{place}: {name:?} is not a name");
        check.error(
            spans.anchor(),
            message,
            "letters, digits and some signs, without spaces",
        );
    }
}

/// Refuses a pool that is not there, and a path that is none.
fn check_forward(check: &mut Check<'_>, place: &str, forward: &ForwardAuth) {
    let config = check.config;
    check.refer("pools", &forward.pool, &config.pools, |wanted| {
        format!("{place} asks pool \"{wanted}\", which is not defined")
    });
    if !forward.path.starts_with('/') || PathAndQuery::try_from(&*forward.path).is_err() {
        let message = format!("{place}.path {:?} is not a path", forward.path);
        check.error(forward.spans.of("path"), message, "such as \"/verify\"");
    }
    let (names, span) = (forward.headers.iter(), forward.spans.of("headers"));
    check_names(check, &format!("{place}.headers"), names, span);
    let timeout = forward.timeout;
    if timeout.is_zero() || timeout > Duration::from_secs(60) {
        let message = format!("{place}.timeout cannot be {}", duration::text(&timeout));
        check.error(
            forward.spans.of("timeout"),
            message,
            "more than 0, and at most 1m",
        );
    }
}

const REALM_MAX: usize = 100;
