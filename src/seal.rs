//! Seals: texts that a client carries and cannot read or change.
//!
//! AES-256-GCM-SIV, which forgives a nonce that comes twice. The key comes from a secret of the
//! configuration, so that all proxies with the same secret open what one of them has sealed.

use std::fmt;

use aws_lc_rs::{
    aead::{AES_256_GCM_SIV, Aad, Nonce, RandomizedNonceKey},
    hkdf,
};

/// Key that seals and opens.
pub(crate) struct SealKey(RandomizedNonceKey);

impl SealKey {
    /// Derives the key of a secret for one use, which salt and info name; none if the system has no
    /// key for it.
    pub(crate) fn derive(secret: &str, salt: &[u8], info: &[u8]) -> Option<Self> {
        let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, salt);
        let derived = salt.extract(secret.as_bytes());
        let info = [info];
        let derived = derived.expand(&info, KeyLen).ok()?;
        let mut key = [0; KEY_LEN];
        derived.fill(&mut key).ok()?;
        RandomizedNonceKey::new(&AES_256_GCM_SIV, &key)
            .ok()
            .map(Self)
    }

    /// Seals a text: it opens only with what it is bound to. It becomes longer by [`OVERHEAD`].
    pub(crate) fn seal(&self, bound_to: &[u8], mut text: Vec<u8>) -> Option<Vec<u8>> {
        let bound_to = Aad::from(bound_to);
        let nonce = self.0.seal_in_place_append_tag(bound_to, &mut text).ok()?;
        text.extend(nonce.as_ref());
        Some(text)
    }

    /// Opens a text; none if it was not sealed with this key and what it is bound to.
    pub(crate) fn open(&self, bound_to: &[u8], mut sealed: Vec<u8>) -> Option<Vec<u8>> {
        let (body, nonce) = sealed.split_last_chunk_mut::<NONCE_LEN>()?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = self.0.open_in_place(nonce, Aad::from(bound_to), body);
        let length = opened.ok()?.len();
        sealed.truncate(length);
        Some(sealed)
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKey")
    }
}

/// Length of the key, as the derivation asks for it.
struct KeyLen;

impl hkdf::KeyType for KeyLen {
    fn len(&self) -> usize {
        KEY_LEN
    }
}

/// Bytes by which a seal makes a text longer: tag and nonce.
pub(crate) const OVERHEAD: usize = 16 + NONCE_LEN;
const KEY_LEN: usize = 32;
const NONCE_LEN: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_opens_with_its_key_and_what_it_is_bound_to_only() {
        let key = |secret, info| SealKey::derive(secret, b"salt", info).unwrap();
        let own = key("a secret", b"one");
        let sealed = own.seal(b"pool", b"text".to_vec()).unwrap();
        assert_eq!(sealed.len(), 4 + OVERHEAD);
        assert_eq!(own.open(b"pool", sealed.clone()).unwrap(), b"text");
        assert_eq!(own.open(b"other", sealed.clone()), None);
        assert_eq!(key("a secret", b"two").open(b"pool", sealed.clone()), None);
        assert_eq!(key("another", b"one").open(b"pool", sealed.clone()), None);
        for at in 0..sealed.len() {
            let mut forged = sealed.clone();
            forged[at] ^= 1;
            assert_eq!(own.open(b"pool", forged), None, "{at}");
            assert_eq!(own.open(b"pool", sealed[..at].to_vec()), None, "{at}");
        }
    }
}
