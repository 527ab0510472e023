//! Check of a signed token (JWS in its compact form, RFC 7515; JWT, RFC 7519 and 8725).
//!
//! Pure: the time is passed in. Which keys and algorithms count is said by the configuration and
//! the keys; the token only chooses among them.

use aws_lc_rs::{hmac, signature};
use serde_json::{Map, Value};

use super::strict_json;
use crate::{
    config::value::{EcCurve, Jwk, JwkKey, Jwks, JwtAlgorithm, ValueMatch, base64url},
    exchange::find_claim,
};

/// A token that was taken apart; nothing of it is verified.
pub(super) struct Token<'a> {
    pub(super) algorithm: JwtAlgorithm,
    kid: Option<Box<str>>,
    /// Header and payload as they were signed.
    signed: &'a [u8],
    payload: &'a [u8],
    signature: Vec<u8>,
}

/// Conditions on the claims.
#[derive(Debug)]
pub struct TokenRules {
    /// Algorithms that count.
    pub algorithms: Vec<JwtAlgorithm>,
    /// Value of `iss`; none: any.
    pub issuer: Option<String>,
    /// Values of which `aud` must have one; none: any.
    pub audience: Vec<String>,
    /// Conditions on other claims, all of which must hold.
    pub claims: Vec<(String, ValueMatch)>,
    /// Seconds by which clocks may differ.
    pub leeway: f64,
}

/// Reasons why a token does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in super::super) enum TokenFault {
    #[error("it is malformed: {0}")]
    Malformed(&'static str),
    #[error("its algorithm is not allowed")]
    Algorithm,
    #[error("no key has the name that it gives")]
    UnknownKey,
    #[error("its signature is wrong")]
    Signature,
    #[error("it has expired")]
    Expired,
    #[error("it has no time of expiry")]
    NoExpiry,
    #[error("it does not hold yet")]
    NotYet,
    #[error("it is from another issuer")]
    Issuer,
    #[error("it is for another audience")]
    Audience,
    #[error("its claim \"{0}\" is not as the route wants it")]
    Claim(String),
}

impl<'a> Token<'a> {
    /// Takes a token apart.
    pub(super) fn parse(text: &'a [u8]) -> Result<Self, TokenFault> {
        let malformed = TokenFault::Malformed;
        if text.len() > TOKEN_BYTES_MAX {
            return Err(malformed("it is longer than 16 KiB"));
        }
        let mut parts = text.split(|byte| *byte == b'.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(malformed("it has not three parts"));
        };
        let decode =
            |part| base64url::decode(part).ok_or(TokenFault::Malformed("a part is not base64url"));
        let signature = decode(signature)?;
        let read = strict_json::object(&decode(header)?);
        let read = read.ok_or(TokenFault::Malformed(NAMES_TWICE))?;
        if read.contains_key("crit") {
            return Err(malformed("it has extensions that must be understood"));
        }
        let kid = match read.get("kid") {
            None => None,
            Some(Value::String(kid)) if kid.len() <= KID_BYTES_MAX => Some(kid.as_str().into()),
            Some(_) => return Err(malformed("kid is not a short text")),
        };
        let word = read.get("alg").and_then(Value::as_str);
        let algorithm = word.and_then(JwtAlgorithm::find);
        Ok(Self {
            algorithm: algorithm.ok_or(TokenFault::Algorithm)?,
            kid,
            signed: &text[..header.len() + 1 + payload.len()],
            payload,
            signature,
        })
    }

    /// Verifies signature and claims, and returns the claims.
    pub(super) fn verify(
        &self,
        keys: &Jwks,
        rules: &TokenRules,
        now: f64,
    ) -> Result<Map<String, Value>, TokenFault> {
        if !rules.algorithms.contains(&self.algorithm) {
            return Err(TokenFault::Algorithm);
        }
        let named = |key: &&Jwk| self.kid.is_none() || key.kid == self.kid;
        let mut named = keys.keys.iter().filter(named).peekable();
        if named.peek().is_none() {
            return Err(TokenFault::UnknownKey);
        }
        let mut fitting = named.filter(|key| key.fits(self.algorithm)).peekable();
        if fitting.peek().is_none() {
            return Err(TokenFault::Algorithm);
        }
        if !fitting.any(|key| self.is_signed_by(&key.key)) {
            return Err(TokenFault::Signature);
        }
        let payload = base64url::decode(self.payload);
        let claims = payload.and_then(|payload| strict_json::object(&payload));
        let fault = "the claims are not an object with each name once";
        let claims = claims.ok_or(TokenFault::Malformed(fault))?;
        rules.check(&claims, now)?;
        Ok(claims)
    }

    /// Verifies the signature. The key fits the algorithm.
    fn is_signed_by(&self, key: &JwkKey) -> bool {
        use JwtAlgorithm as A;
        let verified = match key {
            JwkKey::Rsa(n, e) => {
                let parameters = match self.algorithm {
                    A::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
                    A::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
                    A::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
                    A::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
                    A::Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
                    A::Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
                    _ => return false,
                };
                let key = signature::RsaPublicKeyComponents { n, e };
                key.verify(parameters, self.signed, &self.signature)
            }
            JwkKey::Ec(curve, point) => {
                let algorithm = match curve {
                    EcCurve::P256 => &signature::ECDSA_P256_SHA256_FIXED,
                    EcCurve::P384 => &signature::ECDSA_P384_SHA384_FIXED,
                    EcCurve::P521 => &signature::ECDSA_P521_SHA512_FIXED,
                };
                let key = signature::UnparsedPublicKey::new(algorithm, point);
                key.verify(self.signed, &self.signature)
            }
            JwkKey::Ed25519(key) => {
                let key = signature::UnparsedPublicKey::new(&signature::ED25519, key);
                key.verify(self.signed, &self.signature)
            }
            JwkKey::Secret(secret) => {
                let algorithm = match self.algorithm {
                    A::Hs256 => hmac::HMAC_SHA256,
                    A::Hs384 => hmac::HMAC_SHA384,
                    A::Hs512 => hmac::HMAC_SHA512,
                    _ => return false,
                };
                let key = hmac::Key::new(algorithm, secret);
                hmac::verify(&key, self.signed, &self.signature)
            }
        };
        verified.is_ok()
    }
}

impl TokenRules {
    fn check(&self, claims: &Map<String, Value>, now: f64) -> Result<(), TokenFault> {
        let time = |name: &str| match claims.get(name) {
            None => Ok(None),
            Some(value) => match value.as_f64() {
                Some(time) => Ok(Some(time)),
                None => Err(TokenFault::Malformed("a time is not a number")),
            },
        };
        let expiry = time("exp")?.ok_or(TokenFault::NoExpiry)?;
        if now >= expiry + self.leeway {
            return Err(TokenFault::Expired);
        }
        if time("nbf")?.is_some_and(|start| now < start - self.leeway) {
            return Err(TokenFault::NotYet);
        }
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        if let Some(issuer) = &self.issuer
            && text("iss") != Some(issuer)
        {
            return Err(TokenFault::Issuer);
        }
        let is_meant = |value: &Value| {
            let value = value.as_str();
            value.is_some_and(|value| self.audience.iter().any(|it| it == value))
        };
        let fits = self.audience.is_empty()
            || match claims.get("aud") {
                Some(Value::Array(list)) => list.iter().any(is_meant),
                Some(one) => is_meant(one),
                None => false,
            };
        if !fits {
            return Err(TokenFault::Audience);
        }
        match unmet(&self.claims, claims) {
            Some(name) => Err(TokenFault::Claim(name.to_owned())),
            None => Ok(()),
        }
    }
}

/// The name of the first condition that claims do not meet.
pub(in super::super::super) fn unmet<'a>(
    wanted: &'a [(String, ValueMatch)],
    claims: &Map<String, Value>,
) -> Option<&'a str> {
    let mut wanted = wanted.iter();
    let unmet = wanted.find(|(name, wanted)| !matches(wanted, find_claim(claims, name)));
    unmet.map(|(name, _)| &**name)
}

/// Returns true if a claim matches; of a list, one item must.
fn matches(wanted: &ValueMatch, claim: Option<&Value>) -> bool {
    let one = |value: &Value| match value {
        Value::String(text) => wanted.matches(Some(text.as_bytes())),
        Value::Bool(_) | Value::Number(_) => wanted.matches(Some(value.to_string().as_bytes())),
        // That it is there is all that one can say of it.
        Value::Null | Value::Array(_) | Value::Object(_) => *wanted == ValueMatch::Present(true),
    };
    match claim {
        None => wanted.matches(None),
        Some(_) if *wanted == ValueMatch::Present(false) => false,
        Some(Value::Array(list)) if *wanted != ValueMatch::Present(true) => list.iter().any(one),
        Some(value) => one(value),
    }
}

const NAMES_TWICE: &str = "the header is not an object with each name once";
/// Bytes of a token.
const TOKEN_BYTES_MAX: usize = 16 << 10;
/// Bytes of the name of a key.
const KID_BYTES_MAX: usize = 256;
