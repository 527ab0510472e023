//! Signed tokens, and the keys that sign them.

use std::{
    sync::LazyLock,
    time::{SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    rsa,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256},
};

/// Algorithm of a signature.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Algorithm {
    Es256,
    Rs256,
    Hs256,
}

/// Keys of an issuer, one for each algorithm.
pub(crate) struct Keys {
    ec: EcdsaKeyPair,
    rsa: rsa::KeyPair,
    secret: [u8; 32],
}

impl Keys {
    /// Those of this run.
    ///
    /// # Panics
    /// If the system has no random numbers.
    pub(crate) fn get() -> &'static Self {
        static KEYS: LazyLock<Keys> = LazyLock::new(Keys::make);
        &KEYS
    }

    #[expect(clippy::unwrap_used, reason = "nothing is measured without keys")]
    fn make() -> Self {
        Self {
            ec: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
            rsa: rsa::KeyPair::generate(rsa::KeySize::Rsa2048).unwrap(),
            secret: [7; 32],
        }
    }

    /// The keys as a set (JWKS), the secret among them.
    pub(crate) fn jwks(&self) -> String {
        let point = self.ec.public_key().as_ref();
        // Behind the heads of the sequence and of the number (RFC 8017, A.1.1).
        let modulus = &self.rsa.public_key().as_ref()[9..265];
        format!(
            r#"{{"keys":[{{"kty":"EC","crv":"P-256","kid":"es256","x":"{}","y":"{}"}},
            {{"kty":"RSA","kid":"rs256","n":"{}","e":"AQAB"}},
            {{"kty":"oct","kid":"hs256","k":"{}"}}]}}"#,
            base64url(&point[1..33]),
            base64url(&point[33..]),
            base64url(modulus),
            base64url(&self.secret),
        )
    }

    /// A token that lets its bearer into the shop for a day.
    pub(crate) fn access_token(&self, algorithm: Algorithm) -> String {
        let claims = claims("https://login.example", "");
        self.signed(algorithm, &claims)
    }

    /// A signed token.
    #[expect(clippy::unwrap_used, reason = "nothing is measured without tokens")]
    pub(crate) fn signed(&self, algorithm: Algorithm, claims: &str) -> String {
        let (name, kid) = match algorithm {
            Algorithm::Es256 => ("ES256", "es256"),
            Algorithm::Rs256 => ("RS256", "rs256"),
            Algorithm::Hs256 => ("HS256", "hs256"),
        };
        let header = format!(r#"{{"alg":"{name}","typ":"JWT","kid":"{kid}"}}"#);
        let text = format!(
            "{}.{}",
            base64url(header.as_bytes()),
            base64url(claims.as_bytes())
        );
        let (bytes, random) = (text.as_bytes(), SystemRandom::new());
        let signature = match algorithm {
            Algorithm::Es256 => self.ec.sign(&random, bytes).unwrap().as_ref().to_vec(),
            Algorithm::Rs256 => {
                let mut made = vec![0; self.rsa.public_modulus_len()];
                let signed = self.rsa.sign(&RSA_PKCS1_SHA256, &random, bytes, &mut made);
                signed.unwrap();
                made
            }
            Algorithm::Hs256 => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, &self.secret);
                hmac::sign(&key, bytes).as_ref().to_vec()
            }
        };
        format!("{text}.{}", base64url(&signature))
    }
}

/// Claims as many services have them, for a day; `more` are further members.
pub(crate) fn claims(issuer: &str, more: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.unwrap_or_default().as_secs();
    format!(
        r#"{{"iss":"{issuer}","aud":"shop","sub":"248289761001","name":"Anna Example",
        "email":"anna@shop.example","groups":["staff","buyers"],"iat":{now},"exp":{}{more}}}"#,
        now + 86_400
    )
}

/// Base64 for URLs without padding (RFC 4648 section 5).
fn base64url(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for piece in bytes.chunks(3) {
        let byte = |at: usize| u32::from(piece.get(at).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..=piece.len() {
            let digit = bits >> (18 - 6 * at) & 63;
            text.push(DIGITS[digit as usize].into());
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_written_as_the_standard_does() {
        // RFC 4648 section 10, without padding.
        for (bytes, text) in [("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64url(bytes.as_bytes()), text);
        }
        assert_eq!(base64url(&[0xff, 0xef]), "_-8");
    }
}
