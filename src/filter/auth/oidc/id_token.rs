//! Check of an ID token (OpenID Connect Core 1.0, section 3.1.3.7), and of what else a provider
//! signs for its client.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::digest::{self, digest};
use serde_json::{Map, Value};

use super::{
    super::jwt::{TokenKeys, TokenRules, algorithm_of, check_token},
    OidcAuth,
    provider::NoTokens,
};
use crate::config::value::{JwtAlgorithm, base64url};

impl OidcAuth {
    /// Verifies an ID token, all but its nonce. An access token that came with it must be the one
    /// that it names, if it names one.
    pub(super) async fn verify(
        &self,
        text: &str,
        access_token: Option<&str>,
    ) -> Result<Map<String, Value>, NoTokens> {
        let refused = |why: &str| {
            let why = format!("the ID token does not count: {why}");
            Err(NoTokens::Refused(why))
        };
        let claims = match self.signed(text).await {
            Err(NoTokens::Refused(why)) => return refused(&why),
            claims => claims?,
        };
        let several = matches!(claims.get("aud"), Some(Value::Array(all)) if all.len() > 1);
        let party = claims
            .get("azp")
            .map(|party| party.as_str() == Some(&*self.client.id));
        if party == Some(false) || (several && party.is_none()) {
            return refused("it is for another party (azp)");
        }
        let subject = claims.get("sub").and_then(Value::as_str);
        if subject.is_none_or(str::is_empty) {
            return refused("it has no subject");
        }
        if !self.is_made(&claims) {
            return refused("it was not made before now (iat)");
        }
        if let (Some(hash), Some(token)) = (claims.get("at_hash"), access_token) {
            let own = algorithm_of(text).map(|algorithm| token_hash(algorithm, token));
            if own.is_none() || hash.as_str() != own.as_deref() {
                return refused("it came with another access token (at_hash)");
            }
        }
        Ok(claims)
    }

    /// Verifies what the provider has signed for this client: signature, issuer, audience, times.
    pub(super) async fn signed(&self, text: &str) -> Result<Map<String, Value>, NoTokens> {
        let provider = &self.client.provider;
        let away = |why: &str| NoTokens::Unavailable(why.to_owned());
        let metadata = provider.metadata();
        let metadata = metadata.ok_or_else(|| away("it has not been reached yet"))?;
        let keys = TokenKeys::Remote(Arc::clone(&metadata.keys));
        let rules = TokenRules {
            algorithms: metadata.algorithms.clone(),
            issuer: Some(provider.issuer().to_owned()),
            audience: vec![self.client.id.to_string()],
            claims: Vec::new(),
            leeway: self.leeway.as_secs_f64(),
        };
        let checked = Box::pin(check_token(&keys, &rules, text.as_bytes())).await;
        let claims = checked.map_err(|fault| NoTokens::Refused(fault.to_string()))?;
        claims.ok_or_else(|| away("its keys have not been fetched yet"))
    }

    /// Returns true if a token says when it was made, and that is over.
    pub(super) fn is_made(&self, claims: &Map<String, Value>) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let latest = now.unwrap_or_default() + self.leeway;
        let made = claims.get("iat").and_then(Value::as_f64);
        made.is_some_and(|made| made <= latest.as_secs_f64())
    }

    /// The latest time, by the own clock, at which a token was made, in seconds of Unix time.
    pub(super) fn latest(&self, claims: &Map<String, Value>) -> u64 {
        let made = claims.get("iat").and_then(Value::as_f64);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "such a cast keeps to the bounds"
        )]
        let made = made.unwrap_or_default() as u64;
        made.saturating_add(self.leeway.as_secs())
    }
}

/// Hash by which an ID token names an access token (section 3.1.3.6): the first half of the hash
/// that its signature takes, which for Ed25519 is SHA-512 (RFC 8032).
fn token_hash(algorithm: JwtAlgorithm, token: &str) -> String {
    use JwtAlgorithm as A;
    let hash = match algorithm {
        A::Rs256 | A::Ps256 | A::Es256 | A::Hs256 => &digest::SHA256,
        A::Rs384 | A::Ps384 | A::Es384 | A::Hs384 => &digest::SHA384,
        A::Rs512 | A::Ps512 | A::Es512 | A::Hs512 | A::EdDsa => &digest::SHA512,
    };
    let whole = digest(hash, token.as_bytes());
    let whole = whole.as_ref();
    base64url::encode(&whole[..whole.len() / 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_access_token_has_the_hash_of_the_standard() {
        // OpenID Connect Core 1.0, appendix A.3: an ID token with its access token.
        let token = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y";
        assert_eq!(
            token_hash(JwtAlgorithm::Rs256, token),
            "77QmUPtjPfzWtF2AnpK9RQ"
        );
        for (algorithm, length) in [(JwtAlgorithm::Es384, 32), (JwtAlgorithm::EdDsa, 43)] {
            assert_eq!(token_hash(algorithm, token).len(), length);
        }
    }
}
