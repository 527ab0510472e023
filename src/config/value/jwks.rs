//! Sets of keys that sign tokens (JWKS, RFC 7517), and the algorithms that they are for.
//!
//! The type of a key says which algorithms it may verify. So a token cannot have a public RSA key
//! taken for the secret of an HMAC.

use std::fmt;

use serde_json::Value;

use super::{FileFormat, Mismatch, base64url, nearest::alternatives};

/// Public keys, and secrets of HMAC.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Jwks {
    /// The keys that can be used.
    pub keys: Vec<Jwk>,
}

/// A key.
#[derive(Clone, PartialEq, Eq)]
pub struct Jwk {
    /// Its name.
    pub kid: Option<Box<str>>,
    /// The one algorithm that it is for, if it says so.
    pub alg: Option<JwtAlgorithm>,
    /// The key itself.
    pub key: JwkKey,
}

/// Material of a key.
#[derive(Clone, PartialEq, Eq)]
pub enum JwkKey {
    /// RSA: modulus and exponent, without leading zeros.
    Rsa(Box<[u8]>, Box<[u8]>),
    /// A point of P-256, P-384 or P-521, uncompressed.
    Ec(EcCurve, Box<[u8]>),
    /// Ed25519.
    Ed25519(Box<[u8]>),
    /// The secret of an HMAC.
    Secret(Box<[u8]>),
}

/// A curve of ECDSA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EcCurve {
    /// P-256.
    P256,
    /// P-384.
    P384,
    /// P-521.
    P521,
}

macro_rules! algorithms {
    ($($variant:ident $word:literal)*) => {
        /// An algorithm of signatures (RFC 7518 section 3, RFC 8037).
        #[expect(missing_docs, reason = "they are names of the standard")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum JwtAlgorithm { $($variant,)* }

        impl JwtAlgorithm {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its name.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }
    };
}

algorithms! {
    Rs256 "RS256" Rs384 "RS384" Rs512 "RS512"
    Ps256 "PS256" Ps384 "PS384" Ps512 "PS512"
    Es256 "ES256" Es384 "ES384" Es512 "ES512"
    EdDsa "EdDSA"
    Hs256 "HS256" Hs384 "HS384" Hs512 "HS512"
}

impl JwtAlgorithm {
    /// Finds an algorithm by its name, which is case-sensitive.
    pub fn find(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|it| it.word() == word)
    }

    /// Parses a name.
    ///
    /// # Errors
    /// Names the algorithms that there are.
    pub fn parse(text: &str) -> Result<Self, Mismatch> {
        Self::find(text).ok_or_else(|| {
            let words: Vec<&str> = Self::ALL.iter().map(|it| it.word()).collect();
            let message = format!("\"{text}\" is not an algorithm of signatures");
            Mismatch::new(message, alternatives("allowed", text, &words))
        })
    }

    /// Those whose signatures are verified with a public key.
    pub fn with_public_keys() -> impl Iterator<Item = Self> {
        let all = Self::ALL.iter().copied();
        all.filter(|it| !it.is_shared_secret())
    }

    /// Returns true if the signature is made with a secret that the verifier has, too.
    pub const fn is_shared_secret(self) -> bool {
        matches!(self, Self::Hs256 | Self::Hs384 | Self::Hs512)
    }
}

impl fmt::Display for JwtAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl Jwk {
    /// Returns true if the key may verify signatures of this algorithm.
    pub fn fits(&self, algorithm: JwtAlgorithm) -> bool {
        use JwtAlgorithm as A;
        let of_type = match (&self.key, algorithm) {
            (JwkKey::Rsa(..), A::Rs256 | A::Rs384 | A::Rs512 | A::Ps256 | A::Ps384 | A::Ps512)
            | (JwkKey::Ec(EcCurve::P256, _), A::Es256)
            | (JwkKey::Ec(EcCurve::P384, _), A::Es384)
            | (JwkKey::Ec(EcCurve::P521, _), A::Es512)
            | (JwkKey::Ed25519(_), A::EdDsa) => true,
            (JwkKey::Secret(secret), A::Hs256) => secret.len() >= 32,
            (JwkKey::Secret(secret), A::Hs384) => secret.len() >= 48,
            (JwkKey::Secret(secret), A::Hs512) => secret.len() >= 64,
            _ => false,
        };
        of_type && self.alg.is_none_or(|alg| alg == algorithm)
    }

    /// Reads a key; none if it is of an unknown type, too weak, or not for signatures.
    fn read(value: &Value) -> Option<Self> {
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        let bytes = |name: &str| base64url::decode(text(name)?.as_bytes());
        let signs = text("use").is_none_or(|it| it == "sig");
        let operations = value.get("key_ops").and_then(Value::as_array);
        let verifies = operations.is_none_or(|all| all.iter().any(|it| it == "verify"));
        let key = match text("kty")? {
            "RSA" => {
                let modulus = without_zeros(bytes("n")?);
                // 2048 to 8192 bits.
                let fits = (256..=1024).contains(&modulus.len());
                fits.then(|| {
                    Some(JwkKey::Rsa(
                        modulus.into(),
                        without_zeros(bytes("e")?).into(),
                    ))
                })??
            }
            "EC" => {
                let (curve, length) = match text("crv")? {
                    "P-256" => (EcCurve::P256, 32),
                    "P-384" => (EcCurve::P384, 48),
                    "P-521" => (EcCurve::P521, 66),
                    _ => return None,
                };
                let (x, y) = (bytes("x")?, bytes("y")?);
                let fits = x.len() == length && y.len() == length;
                fits.then(|| JwkKey::Ec(curve, [&[4][..], &x, &y].concat().into()))?
            }
            "OKP" if text("crv") == Some("Ed25519") => {
                let x = bytes("x")?;
                (x.len() == 32).then(|| JwkKey::Ed25519(x.into()))?
            }
            "oct" => {
                let secret = bytes("k")?;
                (secret.len() >= 32).then(|| JwkKey::Secret(secret.into()))?
            }
            _ => return None,
        };
        let alg = match text("alg") {
            Some(word) => Some(JwtAlgorithm::find(word)?),
            None => None,
        };
        (signs && verifies).then(|| Self {
            kid: text("kid").map(Into::into),
            alg,
            key,
        })
    }
}

/// Shows no secret.
impl fmt::Debug for Jwk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Jwk({:?})", self.kid)
    }
}

impl Jwks {
    /// Reads a set. Keys that cannot be used are passed over.
    ///
    /// # Errors
    /// Why it is not a set, or has no key that can be used.
    pub fn read(text: &str) -> Result<Self, Mismatch> {
        let form = "an object { \"keys\": [ … ] } of RFC 7517";
        let value: Value = serde_json::from_str(text)
            .map_err(|error| Mismatch::new(format!("it is not JSON: {error}"), form))?;
        let Some(keys) = value.get("keys").and_then(Value::as_array) else {
            return Err(Mismatch::new("it is not a set of keys", form));
        };
        if keys.len() > KEYS_MAX {
            let message = format!("it has {} keys", keys.len());
            return Err(Mismatch::new(message, format!("at most {KEYS_MAX}")));
        }
        let keys: Vec<Jwk> = keys.iter().filter_map(Jwk::read).collect();
        if keys.is_empty() {
            let expected = "RSA from 2048 bits on, EC on P-256, P-384 or P-521, Ed25519, or a secret of 32 bytes or more";
            return Err(Mismatch::new("it has no key that can be used", expected));
        }
        Ok(Self { keys })
    }
}

impl FileFormat for Jwks {
    const KIND: &'static str = "file of keys";
    const EXAMPLE: &'static str = "\"jwks.json\"";
    /// Public keys are for all; of secrets the check warns.
    const IS_SECRET: bool = false;

    fn parse(text: &str) -> Result<Self, (usize, Mismatch)> {
        Self::read(text).map_err(|mismatch| (0, mismatch))
    }
}

fn without_zeros(mut bytes: Vec<u8>) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.drain(..zeros);
    bytes
}

/// Keys of one set; a token without the name of a key is tried with each.
const KEYS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weak_and_foreign_keys_are_passed_over() {
        let text = r#"{ "keys": [
            { "kty": "oct", "k": "c2hvcnQ" },
            { "kty": "RSA", "n": "AQAB", "e": "AQAB" },
            { "kty": "OKP", "crv": "X25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" },
            { "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "use": "enc" },
            { "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "kid": "a" },
            7
        ] }"#;
        let set = Jwks::read(text).unwrap();
        assert_eq!(set.keys.len(), 1);
        assert_eq!(set.keys[0].kid.as_deref(), Some("a"));
        for algorithm in JwtAlgorithm::ALL {
            assert_eq!(
                set.keys[0].fits(*algorithm),
                *algorithm == JwtAlgorithm::EdDsa
            );
        }
    }

    #[test]
    fn what_is_no_set_is_refused() {
        for text in [
            "",
            "[]",
            "{}",
            r#"{"keys":{}}"#,
            r#"{"keys":[]}"#,
            r#"{"keys":[{}]}"#,
        ] {
            assert!(Jwks::read(text).is_err(), "{text}");
        }
    }
}
