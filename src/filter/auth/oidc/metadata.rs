//! Metadata of a provider (OpenID Connect Discovery 1.0).

use std::{path::PathBuf, sync::Arc};

use serde_json::Value;

use super::super::remote::RemoteKeys;
use crate::config::value::{HttpUrl, JwtAlgorithm};

/// Metadata of a provider: places of its services, and what it can do.
#[derive(Debug)]
pub struct Metadata {
    /// URL that browsers are sent to for a login.
    pub(super) authorization: Box<str>,
    /// URL at which codes and refresh tokens become tokens.
    pub(super) token: HttpUrl,
    /// URL at which refresh tokens are revoked (RFC 7009).
    pub(super) revocation: Option<HttpUrl>,
    /// URL that browsers are sent to for a logout.
    pub(super) end_session: Option<Box<str>>,
    /// Keys that sign its tokens.
    pub(super) keys: Arc<RemoteKeys>,
    /// Algorithms of its ID tokens that count.
    pub(super) algorithms: Vec<JwtAlgorithm>,
    /// True if it takes the secret of a client in the body only.
    pub(super) secret_in_body: bool,
    /// True if it names itself in the answer to a login (RFC 9207).
    pub(super) names_itself: bool,
}

impl Metadata {
    /// Reads the document of an issuer. Keys that are known and at the same URL stay.
    ///
    /// # Errors
    /// The member that is missing or wrong.
    pub(super) fn read(
        text: &str,
        issuer: &str,
        ca: Option<&PathBuf>,
        known: Option<&Self>,
    ) -> Result<Self, String> {
        let read: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let text_of = |name: &str| read.get(name).and_then(Value::as_str);
        let list = |name: &str| {
            let list = read.get(name).and_then(Value::as_array);
            list.map(|list| list.iter().filter_map(Value::as_str).collect::<Vec<_>>())
        };
        match text_of("issuer") {
            Some(named) if named == issuer => {}
            Some(named) => {
                let named = &named[..named.floor_char_boundary(200)];
                return Err(format!("it names another issuer, {named:?}"));
            }
            None => return Err("it names no issuer".to_owned()),
        }
        let needs_tls = issuer.starts_with("https:");
        let url = |name: &str| match text_of(name) {
            None => Ok(None),
            Some(text) => match HttpUrl::parse(text) {
                Ok(url) if needs_tls && !url.tls => Err(format!("{name} is not https://")),
                Ok(url) => Ok(Some((text, url))),
                Err(_) => Err(format!("{name} is not a URL")),
            },
        };
        let needed = |name: &str| url(name)?.ok_or_else(|| format!("it has no {name}"));
        let (authorization, _) = needed("authorization_endpoint")?;
        let (_, token) = needed("token_endpoint")?;
        let (_, jwks) = needed("jwks_uri")?;
        let revocation = url("revocation_endpoint")?.map(|(_, url)| url);
        let end_session = url("end_session_endpoint")?.map(|(text, _)| text.into());
        let same = known.filter(|known| known.keys.url == jwks);
        let keys = match same {
            Some(known) => Arc::clone(&known.keys),
            None => Arc::new(RemoteKeys::new(jwks, ca.cloned(), super::KEYS_REFRESH)),
        };
        let offered = list("id_token_signing_alg_values_supported");
        let offered = offered.unwrap_or_else(|| vec!["RS256"]);
        let counts = |it: &JwtAlgorithm| offered.contains(&it.word());
        let algorithms: Vec<_> = JwtAlgorithm::with_public_keys().filter(counts).collect();
        if algorithms.is_empty() {
            return Err("it signs ID tokens with no algorithm that counts".to_owned());
        }
        let ways = list("token_endpoint_auth_methods_supported");
        let has = |way: &str| ways.as_ref().is_some_and(|ways| ways.contains(&way));
        let names_itself = read.get("authorization_response_iss_parameter_supported");
        Ok(Self {
            authorization: authorization.into(),
            token,
            revocation,
            end_session,
            keys,
            algorithms,
            secret_in_body: has("client_secret_post") && !has("client_secret_basic"),
            names_itself: names_itself == Some(&Value::Bool(true)),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document() -> Value {
        json!({
            "issuer": "https://login.example",
            "authorization_endpoint": "https://login.example/auth",
            "token_endpoint": "https://login.example/token",
            "jwks_uri": "https://login.example/jwks",
            "id_token_signing_alg_values_supported": ["none", "HS256", "ES256"],
        })
    }

    fn read(document: &Value, known: Option<&Metadata>) -> Result<Metadata, String> {
        Metadata::read(&document.to_string(), "https://login.example", None, known)
    }

    #[test]
    fn a_document_of_another_issuer_or_without_tls_is_refused() {
        let first = read(&document(), None).unwrap();
        assert_eq!(first.algorithms, [JwtAlgorithm::Es256]);
        let again = read(&document(), Some(&first)).unwrap();
        assert!(Arc::ptr_eq(&first.keys, &again.keys));
        for (name, value, fault) in [
            ("issuer", json!("https://login.example/"), "another issuer"),
            ("issuer", json!(null), "no issuer"),
            (
                "token_endpoint",
                json!("http://login.example/token"),
                "not https",
            ),
            ("token_endpoint", json!(null), "no token_endpoint"),
            ("jwks_uri", json!("ftp://login.example"), "jwks_uri is not"),
            (
                "authorization_endpoint",
                json!("javascript:1"),
                "is not a URL",
            ),
            (
                "id_token_signing_alg_values_supported",
                json!(["none", "HS256"]),
                "no algorithm",
            ),
        ] {
            let mut document = document();
            document[name] = value;
            let told = read(&document, None).unwrap_err();
            assert!(told.contains(fault), "{told}");
        }
    }
}
