//! The way of a login: to the provider, and back with its answer.

use std::{sync::Arc, time::Duration};

use http::{HeaderValue, Method, StatusCode};
use serde_json::Value;

use super::{
    super::{Asked, denial::Denial},
    OidcAuth,
    attempt::{self, ATTEMPT_SECS, ATTEMPTS_MAX, Attempt},
    cookie::Jar,
    navigation,
    provider::{NoTokens, told},
    redirect,
    seal::Purpose,
    session::{Session, Written},
    unavailable, unix_now, with_query,
};
use crate::{
    config::value::base64url,
    exchange::{Exchange, Request},
    semantics::query,
};

impl OidcAuth {
    /// Sends a client to the provider, if it is one that can go there.
    pub(super) fn begin_login(
        &self,
        exchange: &Exchange,
        request: &Request,
        jar: Jar<'_>,
        why: &str,
    ) -> Asked {
        if !navigation::is_navigation(exchange.method(), &request.headers) {
            let detail = format!("oidc: {why}");
            return Asked::Denied(Denial::unauthorized(&self.challenge, detail));
        }
        let Some(metadata) = self.client.provider.metadata() else {
            return unavailable("the provider has not been reached yet");
        };
        let Some(origin) = self.origin(exchange, request) else {
            let detail = "oidc: the request names no host";
            return Asked::Denied(Denial::login(StatusCode::BAD_REQUEST, detail));
        };
        let wanted = request.uri.path_and_query().map(|wanted| wanted.as_str());
        let wanted = wanted.filter(|it| it.starts_with('/') && it.len() <= WANTED_BYTES_MAX);
        let wanted = format!("{origin}{}", wanted.unwrap_or("/"));
        let now = unix_now();
        let attempt = Attempt::new(format!("{origin}{}", self.callback), wanted, now);
        let Some(sealed) = self.keys.seal(Purpose::Attempt, &attempt.write()) else {
            return unavailable("there is no key for cookies");
        };
        let mut cookies = self.make_room(jar, now);
        cookies.push(jar.set_attempt(attempt.id(), &sealed, ATTEMPT_SECS));
        let challenge = attempt.challenge();
        let mut parameters = vec![
            ("response_type", "code"),
            ("client_id", &*self.client.id),
            ("redirect_uri", &*attempt.callback),
            ("scope", &*self.scopes),
            ("state", &*attempt.state),
            ("nonce", &*attempt.nonce),
            ("code_challenge", &*challenge),
            ("code_challenge_method", "S256"),
        ];
        let more = self.parameters.iter();
        parameters.extend(more.map(|(name, value)| (&**name, &**value)));
        let place = with_query(&metadata.authorization, &parameters);
        redirect(StatusCode::FOUND, &place, &cookies)
    }

    /// Lines that remove attempts, so that one more has room: those that are over or unknown, and
    /// the oldest.
    fn make_room(&self, jar: Jar<'_>, now: u64) -> Vec<HeaderValue> {
        let attempts = jar.attempts().map(|(id, sealed)| {
            let text = self.keys.open(Purpose::Attempt, sealed);
            let attempt = text.and_then(|text| Attempt::read(&text, now));
            (attempt.map_or(0, |attempt| attempt.began), id)
        });
        let mut attempts: Vec<_> = attempts.take(ATTEMPTS_SEEN_MAX).collect();
        attempts.sort_unstable();
        let over = attempts.iter().filter(|(began, _)| *began == 0).count();
        let surplus = (attempts.len() + 1).saturating_sub(ATTEMPTS_MAX);
        let removed = attempts.iter().take(over.max(surplus));
        removed.map(|(_, id)| jar.remove_attempt(id)).collect()
    }

    /// Takes the answer of the provider to a login.
    pub(super) async fn end_login(
        self: &Arc<Self>,
        exchange: &Exchange,
        request: &Request,
        jar: Jar<'_>,
    ) -> Asked {
        if *exchange.method() != Method::GET {
            let detail = "oidc: the end of a login is a GET";
            return Asked::Denied(Denial::method("GET", detail));
        }
        let query = request.uri.query().map(str::as_bytes);
        let parameter = |name: &str| {
            let value = query::find(query, name)?.take(PARAMETER_BYTES_MAX);
            String::from_utf8(value.collect()).ok()
        };
        let now = unix_now();
        let state = parameter("state").unwrap_or_default();
        let sealed = attempt::id_of(&state).and_then(|id| jar.attempt(id));
        let text = sealed.and_then(|sealed| self.keys.open(Purpose::Attempt, sealed));
        let attempt = text.and_then(|text| Attempt::read(&text, now));
        let attempt = attempt.filter(|attempt| attempt.has_state(&state));
        let Some(attempt) = attempt else {
            // Who is in already has only come back to this page.
            let is_in = self
                .open(jar, now)
                .is_ok_and(|session| !session.is_over(now));
            if let Some(origin) = self.origin(exchange, request).filter(|_| is_in) {
                return redirect(StatusCode::SEE_OTHER, &format!("{origin}/"), &[]);
            }
            let detail = "oidc: the login was not begun by this browser, or has taken too long";
            return Asked::Denied(Denial::login(StatusCode::BAD_REQUEST, detail));
        };
        let used = jar.remove_attempt(attempt.id());
        let wanted = attempt.wanted.clone();
        let session = match self.log_in(attempt, parameter).await {
            Ok(session) => session,
            // The same answer may be of use again.
            Err(NoTokens::Unavailable(why)) => return unavailable(&why),
            Err(NoTokens::Refused(why)) => {
                let denial = Denial::login(StatusCode::FORBIDDEN, format!("oidc: {why}"));
                return Asked::Denied(denial.cookies(vec![used]));
            }
        };
        let Some(mut cookies) = self.cookies(jar, &session, now) else {
            let detail = "oidc: the session is too large for cookies: ask for fewer claims";
            let denial = Denial::login(StatusCode::FORBIDDEN, detail);
            return Asked::Denied(denial.cookies(vec![used]));
        };
        cookies.push(used);
        redirect(StatusCode::SEE_OTHER, &wanted, &cookies)
    }

    /// Asks for the tokens of a login, once however often the answer of the provider comes.
    async fn log_in(
        self: &Arc<Self>,
        attempt: Attempt,
        parameter: impl Fn(&str) -> Option<String>,
    ) -> Result<Arc<Session>, NoTokens> {
        let refused = |why: &str| Err(NoTokens::Refused(why.to_owned()));
        let provider = &self.client.provider;
        let names_itself = provider.metadata().is_some_and(|it| it.names_itself);
        match parameter("iss") {
            Some(named) if named != provider.issuer() => {
                return refused("another provider answers");
            }
            None if names_itself => return refused("the provider does not name itself"),
            _ => {}
        }
        if let Some(error) = parameter("error") {
            return refused(&format!("the provider refuses: {}", told(&error)));
        }
        let Some(code) = parameter("code") else {
            return refused("the provider gives no code");
        };
        let key = format!("{}\n{code}", attempt.state);
        let exchange = || {
            let auth = Arc::clone(self);
            async move { Box::pin(auth.exchange(attempt, code)).await }
        };
        let time = self.client.timeout + KEYS_PATIENCE;
        provider.logins.once(&key, time, exchange).await
    }

    /// Exchanges a code for tokens.
    async fn exchange(&self, attempt: Attempt, code: String) -> Result<Session, NoTokens> {
        let refused = |why: &str| Err(NoTokens::Refused(why.to_owned()));
        let grant = [
            ("grant_type", "authorization_code"),
            ("code", &*code),
            ("redirect_uri", &*attempt.callback),
            ("code_verifier", &*attempt.verifier),
        ];
        let logins = &self.client.provider.logins;
        let tokens = self.client.tokens(logins, &grant).await?;
        let Some(id_token) = tokens.id_token.as_ref() else {
            return refused("the provider gives no ID token");
        };
        let claims = self
            .verify(id_token, tokens.access_token.as_deref())
            .await?;
        if claims.get("nonce").and_then(Value::as_str) != Some(&*attempt.nonce) {
            return refused("the ID token is for another login (nonce)");
        }
        let now = unix_now();
        let until = self.until(&tokens, &claims, now, now);
        let written = Written {
            id_token: id_token.clone(),
            refresh_token: tokens.refresh_token,
            began: now,
            got: now,
            until,
            login: Some(base64url::encode(&rand::random::<[u8; 16]>())),
            sid: claims.get("sid").and_then(Value::as_str).map(str::to_owned),
        };
        Ok(Session::new(written, claims))
    }
}

/// Bytes of the path and query that a client is led back to.
const WANTED_BYTES_MAX: usize = 1600;
/// Time for keys that have to be fetched to check an ID token.
const KEYS_PATIENCE: Duration = Duration::from_secs(3);
/// Bytes of a parameter of an answer.
const PARAMETER_BYTES_MAX: usize = 4096;
/// Attempts that are looked at.
const ATTEMPTS_SEEN_MAX: usize = 64;
