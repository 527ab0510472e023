//! Checks on logins at an OpenID provider.

use std::time::Duration;

use super::{Check, header::check_names};
use crate::config::{
    schema::{AuthStep, OidcAuth, OwnPath, Route, route::PathRule},
    value::{HttpUrl, Name, duration, header},
};

pub(super) fn check(
    check: &mut Check<'_>,
    place: &str,
    name: &Name,
    route: &Route,
    oidc: &OidcAuth,
) {
    check_provider(check, place, oidc);
    check_paths(check, place, name, route, oidc);
    check_session(check, place, oidc);
    let spans = &oidc.spans;
    let names = oidc.forward.iter().map(|(name, _)| name);
    check_names(
        check,
        &format!("{place}.forward"),
        names,
        spans.of("forward"),
    );
    for (key, time, max) in [("timeout", oidc.timeout, 30), ("leeway", oidc.leeway, 600)] {
        let too_short = key == "timeout" && time.is_zero();
        if too_short || time > Duration::from_secs(max) {
            let message = format!("{place}.{key} cannot be {}", duration::text(&time));
            let max = duration::text(&Duration::from_secs(max));
            check.error(spans.of(key), message, format!("at most {max}"));
        }
    }
}

/// Refuses an issuer that is no URL, and parameters of the proxy's own.
fn check_provider(check: &mut Check<'_>, place: &str, oidc: &OidcAuth) {
    let spans = &oidc.spans;
    match HttpUrl::parse(&oidc.issuer) {
        Err(mismatch) => {
            let message = format!("{place}.issuer: {mismatch}");
            check.error(
                spans.of("issuer"),
                message,
                "such as \"https://login.example\"",
            );
        }
        Ok(url) if url.path.contains('?') => {
            let message = format!("{place}.issuer has a query");
            check.error(spans.of("issuer"), message, "remove it");
        }
        Ok(url) if oidc.ca.is_some() && !url.tls => {
            let message = format!("{place}.ca is for TLS, and the issuer is not https://");
            check.error(spans.of("ca"), message, "remove it, or write https://");
        }
        Ok(url) if !url.tls && !url.address.is_local() => {
            let message =
                format!("{place}.issuer is not https://: who is on the way can log in as anybody");
            check.warn(spans.of("issuer"), message, "use https://");
        }
        Ok(_) => {}
    }
    let is_plain =
        |text: &str| !text.is_empty() && text.bytes().all(|it| (b' '..=b'~').contains(&it));
    if !is_plain(&oidc.client_id) {
        let message = format!("{place}.client_id is not a name");
        check.error(
            spans.of("client_id"),
            message,
            "printable characters of ASCII",
        );
    }
    if let Some(secret) = &oidc.client_secret {
        check.secret(
            &format!("{place}.client_secret"),
            spans.of("client_secret"),
            secret,
        );
    }
    let has_spaces = |it: &String| it.is_empty() || !it.bytes().all(|it| it.is_ascii_graphic());
    if !oidc.scopes.iter().any(|it| it == "openid") || oidc.scopes.iter().any(has_spaces) {
        let message = format!("{place}.scopes must have \"openid\", and each scope on its own");
        check.error(
            spans.of("scopes"),
            message,
            "such as [\"openid\", \"email\"]",
        );
    }
    let own = oidc
        .parameters
        .iter()
        .find(|(name, _)| OWN.contains(&&**name));
    if let Some((name, _)) = own {
        let message = format!("{place}.parameters: {name} is set by the proxy");
        check.error(spans.of("parameters"), message, "remove it");
    }
}

/// Refuses paths that no route with this provider matches.
fn check_paths(check: &mut Check<'_>, place: &str, name: &Name, route: &Route, oidc: &OidcAuth) {
    let spans = &oidc.spans;
    let callback = oidc.callback_of(route);
    let logout = oidc.logout_of(route);
    let own = [("callback", &callback), ("logout", &logout)];
    let back_channel = oidc.back_channel_of();
    let written = oidc.backchannel_logout.as_ref();
    let written = written.map(|_| ("backchannel_logout", &back_channel));
    for (key, path) in own.into_iter().chain(written) {
        let span = if spans.has(key) {
            spans.of(key)
        } else {
            spans.anchor()
        };
        let Some(path) = path else {
            let message = format!("{place}.{key} is not a plain path");
            check.error(span, message, format!("such as \"/oidc/{key}\""));
            continue;
        };
        let config = check.config;
        let with_provider = config.routes.iter().filter(|(other, route)| {
            let mut ways = route.auth.iter().flat_map(|auth| auth.ways());
            *other == name || ways.any(|way| matches!(way, AuthStep::Oidc(it) if is_same(it, oidc)))
        });
        let mut rules = with_provider.map(|(_, route)| route.path.as_ref());
        if !rules.any(|rule| matches_path(rule, &path.path)) {
            let message = format!(
                "{place}.{key} {:?} is matched by no route with this provider",
                path.path
            );
            let hint = format!("let a route with this provider match it, or write {key} = \"…\"");
            check.error(span, message, hint);
        }
    }
    let path = |it: Option<OwnPath>| it.map(|it| it.path);
    let (callback, logout, back_channel) = (path(callback), path(logout), path(back_channel));
    for (key, one, other, others) in [
        ("logout", &logout, "callback", &callback),
        ("backchannel_logout", &back_channel, "callback", &callback),
        ("backchannel_logout", &back_channel, "logout", &logout),
    ] {
        if one.is_some() && one == others {
            let message = format!("{place}.{key} is the same path as {other}");
            check.error(spans.of(key), message, "take another one");
        }
    }
    if let Some(out) = &oidc.logged_out
        && (!out.starts_with('/') || out.starts_with("//"))
        && HttpUrl::parse(out).is_err()
    {
        let message = format!("{place}.logged_out is neither a path nor a URL");
        check.error(spans.of("logged_out"), message, "such as \"/\"");
    }
}

fn check_session(check: &mut Check<'_>, place: &str, oidc: &OidcAuth) {
    let (session, place) = (&oidc.session, format!("{place}.session"));
    let span = session.spans.of("secret");
    let secrets = &session.secret.0;
    if secrets.is_empty() || secrets.len() > SECRETS_MAX {
        let message = format!("{place}.secret has {} secrets", secrets.len());
        check.error(span, message, format!("1 to {SECRETS_MAX}"));
    }
    for secret in secrets {
        check.secret(&format!("{place}.secret"), span, secret);
        if secret
            .reveal()
            .is_ok_and(|secret| secret.len() < SECRET_MIN)
        {
            let message = format!("{place}.secret is shorter than {SECRET_MIN} bytes");
            check.error(
                span,
                message,
                "such as the output of `openssl rand -base64 32`",
            );
        }
    }
    if let Some(cookie) = &session.cookie {
        let fits = header::name(cookie).is_ok() && cookie.len() <= COOKIE_MAX;
        let has_prefix = ["__host-", "__secure-"].iter().any(|prefix| {
            cookie
                .get(..prefix.len())
                .is_some_and(|it| it.eq_ignore_ascii_case(prefix))
        });
        if !fits || has_prefix {
            let message = format!("{place}.cookie: \"{cookie}\" cannot be the name of a cookie");
            let hint = "letters, digits, `-` and `_`; the proxy adds __Host- itself";
            check.error(session.spans.of("cookie"), message, hint);
        }
    }
    let (min, max) = (Duration::from_secs(60), Duration::from_secs(30 * 86_400));
    if session.lifetime < min || session.lifetime > max {
        let written = duration::text(&session.lifetime);
        let message = format!("{place}.lifetime cannot be {written}");
        check.error(session.spans.of("lifetime"), message, "from 1m to 30d");
    }
}

/// Returns true if logins of one are logins of the other.
fn is_same(one: &OidcAuth, other: &OidcAuth) -> bool {
    one.issuer == other.issuer && one.client_id == other.client_id
}

/// Returns true if requests for a plain path come to a route with this rule.
fn matches_path(rule: Option<&PathRule>, path: &str) -> bool {
    let matches = |rule: &PathRule| rule.matcher().is_ok_and(|it| it.matches(path));
    rule.is_none_or(matches)
}

/// Parameters that the proxy sets.
const OWN: [&str; 9] = [
    "response_type",
    "response_mode",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
];
const SECRETS_MAX: usize = 8;
const SECRET_MIN: usize = 32;
const COOKIE_MAX: usize = 64;
