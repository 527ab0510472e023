//! `oidc` of `auth` compiled.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};

use super::auth::challenge;
use crate::{
    config::{schema, value::HostPattern},
    filter::{Credentials, OidcAuth, Provider, ProviderClient, SealKeys, WithholdCookies},
    state::Registry,
};

/// Makes the method. None if it is not as the check wants it.
pub(super) fn build(
    registry: &mut Registry,
    name: &Arc<str>,
    route: &schema::Route,
    written: &schema::OidcAuth,
) -> Option<OidcAuth> {
    let (issuer, client_id) = (&*written.issuer, &*written.client_id);
    // A client of the same provider keeps what is known of it, over reloads as well.
    let identity = format!("{issuer} {:?}", written.ca).into();
    let new = Provider::new(issuer, written.ca.clone())?;
    let provider = registry.filter(&"".into(), "oidc", &identity, || new);
    let cookie = cookie_of(written);
    let secrets = written.session.secret.0.iter();
    let secrets = secrets.filter_map(|secret| secret.reveal().ok());
    let callback = written.callback_of(route)?;
    Some(OidcAuth {
        client: ProviderClient {
            provider,
            id: client_id.into(),
            secret: written.client_secret.clone(),
            timeout: written.timeout,
        },
        keys: SealKeys::new(secrets, issuer, client_id)?,
        credentials: Credentials::Session(cookie.clone()),
        cookie,
        callback: callback.path.into(),
        origin: callback.origin.map(Into::into),
        logout: written.logout_of(route)?.path.into(),
        back_channel: written.back_channel_of().map(|it| it.path.into()),
        logged_out: written.logged_out.as_deref().map(Into::into),
        scopes: written.scopes.join(" ").into(),
        parameters: written.parameters.clone(),
        claims: written.claims.clone(),
        forward: written.forward.clone(),
        user: written.user.as_str().into(),
        leeway: written.leeway,
        lifetime: written.session.lifetime,
        challenge: challenge("Session", name, ""),
    })
}

/// Withholds the cookies of logins on routes that have hosts in common with this one. Those that a
/// way of its own reads stay for it.
pub(super) fn withheld(
    config: &schema::Config,
    name: &str,
    route: &schema::Route,
) -> Option<WithholdCookies> {
    let own: Vec<Box<str>> = ways(route).filter_map(read_by).collect();
    let others = config.routes.iter().filter(|(other, it)| {
        let is_met = || hosts_overlap(&it.hosts, &route.hosts);
        ***other != *name && it.auth.is_some() && is_met()
    });
    let logins = others.flat_map(|(_, other)| ways(other));
    let logins = logins.filter_map(|way| match way {
        schema::AuthStep::Oidc(oidc) if !oidc.session.other_routes => Some(cookie_of(oidc)),
        _ => None,
    });
    let mut names: Vec<Box<str>> = logins.filter(|it| !own.contains(it)).collect();
    names.sort_unstable();
    names.dedup();
    WithholdCookies::new(names)
}

fn ways(route: &schema::Route) -> impl Iterator<Item = &schema::AuthStep> {
    route.auth.iter().flat_map(|auth| auth.ways())
}

/// The cookie that a way reads.
fn read_by(way: &schema::AuthStep) -> Option<Box<str>> {
    match way {
        schema::AuthStep::Oidc(oidc) => Some(cookie_of(oidc)),
        schema::AuthStep::ApiKey(key) => match &key.source {
            schema::KeySource::Cookie(cookie) => Some(cookie.as_str().into()),
            _ => None,
        },
        schema::AuthStep::Jwt(jwt) => match &jwt.source {
            Some(schema::KeySource::Cookie(cookie)) => Some(cookie.as_str().into()),
            _ => None,
        },
        _ => None,
    }
}

/// Returns true if a host may be of both lists; an empty one has all.
fn hosts_overlap(one: &[HostPattern], other: &[HostPattern]) -> bool {
    let mut all = one.iter().flat_map(|it| other.iter().map(move |o| (it, o)));
    one.is_empty() || other.is_empty() || all.any(|(one, other)| one.overlaps(other))
}

fn cookie_of(written: &schema::OidcAuth) -> Box<str> {
    match &written.session.cookie {
        Some(cookie) => cookie.as_str().into(),
        None => usual_cookie(&written.issuer, &written.client_id).into(),
    }
}

/// A name that two providers on one host do not share.
fn usual_cookie(issuer: &str, client_id: &str) -> String {
    let digest = digest(&SHA256, format!("{issuer}\n{client_id}").as_bytes());
    let digits = digest.as_ref().iter().take(4);
    let digits: String = digits.map(|byte| format!("{byte:02x}")).collect();
    format!("sluicegate_{digits}")
}
