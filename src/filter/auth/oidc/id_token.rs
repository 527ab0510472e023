//! Check of an ID token (OpenID Connect Core 1.0, section 3.1.3.7).

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::{Map, Value};

use super::{
    super::jwt::{TokenKeys, TokenRules, check_token},
    OidcAuth,
    provider::NoTokens,
};

impl OidcAuth {
    /// Verifies an ID token, all but its nonce.
    pub(super) async fn verify(&self, text: &str) -> Result<Map<String, Value>, NoTokens> {
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
        let refused =
            |why: String| NoTokens::Refused(format!("the ID token does not count: {why}"));
        let checked = Box::pin(check_token(&keys, &rules, text.as_bytes())).await;
        let claims = checked.map_err(|fault| refused(fault.to_string()))?;
        let claims = claims.ok_or_else(|| away("its keys have not been fetched yet"))?;
        let several = matches!(claims.get("aud"), Some(Value::Array(all)) if all.len() > 1);
        let party = claims
            .get("azp")
            .map(|party| party.as_str() == Some(&*self.client.id));
        if party == Some(false) || (several && party.is_none()) {
            return Err(refused("it is for another party (azp)".to_owned()));
        }
        let subject = claims.get("sub").and_then(Value::as_str);
        if subject.is_none_or(str::is_empty) {
            return Err(refused("it has no subject".to_owned()));
        }
        let made = claims.get("iat").and_then(Value::as_f64);
        let latest = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        if made.is_none_or(|made| made > (latest + self.leeway).as_secs_f64()) {
            return Err(refused("it was not made before now (iat)".to_owned()));
        }
        Ok(claims)
    }
}
