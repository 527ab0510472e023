//! The end of sessions that the provider asks for (OpenID Connect Back-Channel Logout 1.0).

use http::{Method, StatusCode};
use serde_json::{Map, Value};

use super::{
    super::{Asked, denial::Denial},
    OidcAuth, answered,
    ended::Whose,
    provider::NoTokens,
    unavailable, unix_now,
};
use crate::{
    exchange::{Body, Exchange, Request, Response},
    semantics::query,
    timer,
};

impl OidcAuth {
    /// Takes a logout token, and ends the sessions that it names.
    pub(in super::super) async fn end_sessions(
        &self,
        exchange: &Exchange,
        request: &mut Request,
    ) -> Asked {
        let refused = |why: &str| {
            let detail = format!("oidc: the logout token does not count: {why}");
            Asked::Denied(Denial::forbidden(detail).status(StatusCode::BAD_REQUEST))
        };
        if *exchange.method() != Method::POST {
            let detail = "oidc: a logout of the provider is a POST";
            return Asked::Denied(Denial::method("POST", detail));
        }
        let deadline = timer::now() + self.client.timeout;
        let form = timer::until(deadline, request.body.collect(FORM_BYTES_MAX)).await;
        let Ok(Ok(form)) = form else {
            return refused("the form is too long or does not end");
        };
        let Some(token) = query::find(Some(&form), "logout_token") else {
            return refused("there is none");
        };
        let token = String::from_utf8(token.collect()).unwrap_or_default();
        let claims = match self.signed(&token).await {
            Ok(claims) => claims,
            Err(NoTokens::Unavailable(why)) => return unavailable(&why),
            Err(NoTokens::Refused(why)) => return refused(&why),
        };
        let whose = match self.whose(&claims) {
            Ok(whose) => whose,
            Err(why) => return refused(why),
        };
        let now = unix_now();
        let at = self.latest(&claims).min(now);
        let provider = &self.client.provider;
        provider.ended.end(&self.client.id, whose, at, now);
        answered(Response::new(Body::Empty), &[])
    }

    /// Reads whose sessions a logout token ends (section 2.6).
    fn whose<'c>(&self, claims: &'c Map<String, Value>) -> Result<Whose<'c>, &'static str> {
        let text = |name: &str| match claims.get(name) {
            None => Ok(None),
            Some(Value::String(text)) if !text.is_empty() => Ok(Some(text.as_str())),
            Some(_) => Err("sid, sub or jti is not a text"),
        };
        let is_event = claims
            .get("events")
            .and_then(|events| events.get(EVENT))
            .is_some_and(Value::is_object);
        if !is_event {
            return Err("it is no logout token (events)");
        }
        if claims.contains_key("nonce") {
            return Err("it has a nonce, as ID tokens have");
        }
        if !self.is_made(claims) {
            return Err("it was not made before now (iat)");
        }
        if text("jti")?.is_none() {
            return Err("it has no name of its own (jti)");
        }
        match (text("sid")?, text("sub")?) {
            (Some(sid), _) => Ok(Whose::Sid(sid)),
            (None, Some(subject)) => Ok(Whose::Subject(subject)),
            (None, None) => Err("it names neither sid nor sub"),
        }
    }
}

/// The event that makes a token a logout token.
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
const FORM_BYTES_MAX: usize = 64 << 10;
