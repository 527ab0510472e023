//! Renewal of a session with its refresh token (OpenID Connect Core 1.0, section 12).

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{
    OidcAuth,
    provider::{NoTokens, Tokens},
    session::{Session, Written},
    unix_now,
};
impl OidcAuth {
    /// Renews a session if that is due. None if it is not.
    pub(super) async fn renewed(
        self: &Arc<Self>,
        session: &Session,
        now: u64,
    ) -> Result<Option<Arc<Session>>, NoTokens> {
        let Some(token) = session
            .written
            .refresh_token
            .as_ref()
            .filter(|_| session.is_due(now))
        else {
            return Ok(None);
        };
        let renewals = &self.client.provider.renewals;
        let refresh = || {
            let (auth, session) = (Arc::clone(self), session.clone());
            async move { Box::pin(auth.refresh(session)).await }
        };
        let renewed = renewals.once(token, self.client.timeout, refresh).await;
        renewed.map(Some)
    }

    async fn refresh(&self, session: Session) -> Result<Session, NoTokens> {
        let old = session.written;
        let token = old.refresh_token.unwrap_or_default();
        let grant = [("grant_type", "refresh_token"), ("refresh_token", &*token)];
        let tokens = self
            .client
            .tokens(&self.client.provider.renewals, &grant)
            .await?;
        let now = unix_now();
        // OpenID Connect Core 1.0, section 12.2.
        let (id_token, claims) = match tokens.id_token {
            None => (old.id_token, session.claims),
            Some(ref text) => {
                let claims = self.verify(text, tokens.access_token.as_deref()).await?;
                if claims.get("sub") != session.claims.get("sub") {
                    return Err(NoTokens::Refused(
                        "the new ID token is of another subject".into(),
                    ));
                }
                let (new, known) = (claims.get("nonce"), session.claims.get("nonce"));
                if new.is_some() && new != known {
                    return Err(NoTokens::Refused(
                        "the new ID token has another nonce".into(),
                    ));
                }
                (text.clone(), claims)
            }
        };
        let until = self.until(&tokens, &claims, old.began, now);
        let written = Written {
            id_token,
            // Without a new one the old one goes on.
            refresh_token: tokens.refresh_token.or(Some(token)),
            began: old.began,
            got: now,
            until,
            login: old.login,
            sid: old.sid,
        };
        Ok(Session::new(written, claims))
    }

    /// Time until which tokens count, in no case longer than a session.
    pub(super) fn until(
        &self,
        tokens: &Tokens,
        claims: &Map<String, Value>,
        began: u64,
        now: u64,
    ) -> u64 {
        let expiry = claims
            .get("exp")
            .and_then(Value::as_f64)
            .unwrap_or_default();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "such a cast keeps to the bounds"
        )]
        let expiry = expiry as u64;
        let until = tokens
            .expires_in
            .map_or(expiry, |it| now.saturating_add(it));
        until.min(began + self.lifetime.as_secs())
    }
}
