//! `oidc` of `auth` compiled.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};

use super::auth::challenge;
use crate::{
    config::schema,
    filter::{Credentials, OidcAuth, Provider, ProviderClient, SealKeys},
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
    let cookie: Box<str> = match &written.session.cookie {
        Some(cookie) => cookie.as_str().into(),
        None => usual_cookie(issuer, client_id).into(),
    };
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

/// A name that two providers on one host do not share.
fn usual_cookie(issuer: &str, client_id: &str) -> String {
    let digest = digest(&SHA256, format!("{issuer}\n{client_id}").as_bytes());
    let digits = digest.as_ref().iter().take(4);
    let digits: String = digits.map(|byte| format!("{byte:02x}")).collect();
    format!("sluicegate_{digits}")
}
