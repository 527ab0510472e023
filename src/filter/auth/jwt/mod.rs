//! Signed tokens (JWT).

mod strict_json;
mod token;

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use http::{HeaderName, HeaderValue};
use serde_json::{Map, Value};

pub use self::token::TokenRules;
pub(in super::super) use self::token::unmet;
use self::token::{Token, TokenFault};
use super::{
    Asked,
    basic::after_scheme,
    credentials::{Credentials, Found},
    denial::Denial,
    fields::Leave,
    remote::RemoteKeys,
};
use crate::{
    config::value::{Jwks, JwtAlgorithm, base64url},
    exchange::{Identity, Reason, Request, claim_text},
};

/// Checks a token.
#[derive(Debug)]
pub struct JwtAuth {
    /// The keys.
    pub keys: TokenKeys,
    /// Conditions on a token.
    pub rules: TokenRules,
    /// Place of the token.
    pub credentials: Credentials,
    /// True if the endpoint gets the token.
    pub keep: bool,
    /// Claims that the endpoint gets in fields.
    pub forward: Vec<(HeaderName, String)>,
    /// Value of `WWW-Authenticate` without a token.
    pub challenge: HeaderValue,
    /// The same for one that does not count.
    pub invalid: HeaderValue,
}

/// Source of the keys.
#[derive(Debug)]
pub enum TokenKeys {
    /// A file.
    Fixed(Arc<Jwks>),
    /// A URL.
    Remote(Arc<RemoteKeys>),
}

impl JwtAuth {
    pub(super) async fn ask(&self, request: &Request) -> Asked {
        let absent = |detail: &str| Asked::Denied(Denial::unauthorized(&self.challenge, detail));
        let found = match self.credentials.find(request) {
            Found::Nothing => return absent("jwt: the request has no token"),
            Found::Several => return absent("jwt: the request has several tokens"),
            Found::One(found) => found,
        };
        let text = if self.credentials == Credentials::AUTHORIZATION {
            match after_scheme(&found, b"bearer") {
                Some(text) => text,
                None => return absent("jwt: Authorization is not of the scheme Bearer"),
            }
        } else {
            &*found
        };
        match check_token(&self.keys, &self.rules, text).await {
            Ok(Some(claims)) => {
                let leave = Leave {
                    fields: fields_of(&self.forward, &claims),
                    ..Leave::default()
                };
                let identity = Identity {
                    user: claim_text(&claims, "sub").map(Into::into),
                    claims: Some(claims),
                };
                Asked::Passed(identity, leave)
            }
            Ok(None) => {
                let reason = Reason::new("destination_unavailable");
                let detail = "jwt: the keys have not been fetched yet";
                Asked::Denied(Denial::unavailable(reason, detail))
            }
            Err(fault @ TokenFault::Claim(_)) => {
                Asked::Denied(Denial::forbidden(format!("jwt: {fault}")))
            }
            Err(fault) => {
                let detail = format!("jwt: the token does not count: {fault}");
                Asked::Denied(Denial::unauthorized(&self.invalid, detail))
            }
        }
    }
}

/// Checks a token and returns its claims; none while there are no keys.
///
/// # Errors
/// The reason why it does not count.
pub(super) async fn check_token(
    keys: &TokenKeys,
    rules: &TokenRules,
    text: &[u8],
) -> Result<Option<Map<String, Value>>, TokenFault> {
    let token = Token::parse(text)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.unwrap_or_default().as_secs_f64();
    let remote = match keys {
        TokenKeys::Fixed(keys) => return token.verify(keys, rules, now).map(Some),
        TokenKeys::Remote(remote) => remote,
    };
    if let Some(keys) = remote.now() {
        match token.verify(&keys, rules, now) {
            Err(TokenFault::UnknownKey) => {}
            checked => return checked.map(Some),
        }
    }
    match remote.next().await {
        Some(keys) => token.verify(&keys, rules, now).map(Some),
        None => Ok(None),
    }
}

/// The algorithm of a token that was verified before.
pub(super) fn algorithm_of(text: &str) -> Option<JwtAlgorithm> {
    Token::parse(text.as_bytes())
        .ok()
        .map(|token| token.algorithm)
}

/// The claims of a token that was verified before.
pub(super) fn payload_of(text: &[u8]) -> Option<Map<String, Value>> {
    let payload = text.split(|byte| *byte == b'.').nth(1)?;
    strict_json::object(&base64url::decode(payload)?)
}

/// Fields with claims, as far as they fit.
pub(super) fn fields_of(
    wanted: &[(HeaderName, String)],
    claims: &Map<String, Value>,
) -> Vec<(HeaderName, HeaderValue)> {
    let fields = wanted.iter().filter_map(|(name, claim)| {
        let value = HeaderValue::from_str(&claim_text(claims, claim)?).ok()?;
        Some((name.clone(), value))
    });
    fields.collect()
}
