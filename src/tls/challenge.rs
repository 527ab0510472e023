//! Answers to the challenges of ACME CAs: the text of HTTP-01 (RFC 8555 section 8.3) and the
//! certificate of TLS-ALPN-01 (RFC 8737).
//!
//! Owns the challenges under way. Each lasts as long as its guard, so that one whose order was
//! given up is not answered any more.

use std::{collections::HashMap, sync::Arc};

use arc_swap::ArcSwap;
use rustls::{CommonState, server::ClientHello, sign::CertifiedKey};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::{TlsFault, provider};

/// Challenges under way, in the whole process.
#[derive(Debug, Default)]
pub struct Challenges {
    /// Texts by token.
    texts: ArcSwap<HashMap<Box<str>, Arc<str>>>,
    /// Certificates by name.
    certificates: ArcSwap<HashMap<Box<str>, Arc<CertifiedKey>>>,
}

/// A challenge under way; it ends when this is dropped.
#[derive(Debug)]
pub struct Challenge {
    all: Arc<Challenges>,
    key: Box<str>,
}

impl Challenges {
    /// Answers a token with a text, over plain HTTP.
    pub fn answer_text(self: &Arc<Self>, token: &str, text: &str) -> Challenge {
        let (key, text): (Box<str>, Arc<str>) = (token.into(), text.into());
        self.texts.rcu(|texts| {
            let mut texts = HashMap::clone(texts);
            texts.insert(key.clone(), Arc::clone(&text));
            texts
        });
        Challenge {
            all: Arc::clone(self),
            key,
        }
    }

    /// Presents a certificate to whoever asks for this name to verify it.
    ///
    /// # Errors
    /// If the key cannot sign here.
    pub fn answer_certificate(
        self: &Arc<Self>,
        name: &str,
        certificate: CertificateDer<'static>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Challenge, TlsFault> {
        // Its critical extension is unknown to the check that `from_der` makes.
        let key = provider().key_provider.load_private_key(key)?;
        let made = CertifiedKey::new(vec![certificate], key);
        let (key, made): (Box<str>, _) = (name.into(), Arc::new(made));
        self.certificates.rcu(|certificates| {
            let mut certificates = HashMap::clone(certificates);
            certificates.insert(key.clone(), Arc::clone(&made));
            certificates
        });
        Ok(Challenge {
            all: Arc::clone(self),
            key,
        })
    }

    /// Returns the text for this path, if it is that of a token under way.
    pub fn text_of(&self, path: &str) -> Option<Arc<str>> {
        let token = path.strip_prefix(PATH)?;
        self.texts.load().get(token).cloned()
    }

    /// Returns the certificate for a client that verifies a name.
    pub(super) fn certificate_of(&self, hello: &ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name()?;
        let certificates = self.certificates.load();
        match certificates.get(name) {
            Some(found) => Some(Arc::clone(found)),
            None => certificates.get(&*name.to_ascii_lowercase()).cloned(),
        }
    }
}

impl Drop for Challenge {
    fn drop(&mut self) {
        self.all.texts.rcu(|texts| {
            let mut texts = HashMap::clone(texts);
            texts.remove(&self.key);
            texts
        });
        self.all.certificates.rcu(|certificates| {
            let mut certificates = HashMap::clone(certificates);
            certificates.remove(&self.key);
            certificates
        });
    }
}

/// Returns true if a client is a CA that verifies a name: it speaks nothing else (RFC 8737
/// section 3).
pub(super) fn is_verifier(hello: &ClientHello<'_>) -> bool {
    let mut offered = hello.alpn().into_iter().flatten();
    offered.next() == Some(PROTOCOL) && offered.next().is_none()
}

/// Returns true if a session was established to verify a name; nothing else is spoken on it.
pub fn is_verification(state: &CommonState) -> bool {
    state.alpn_protocol() == Some(PROTOCOL)
}

/// The protocol that a CA asks for to verify a name.
pub(super) const PROTOCOL: &[u8] = b"acme-tls/1";
/// Path before a token.
const PATH: &str = "/.well-known/acme-challenge/";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_answered_while_its_challenge_is_under_way() {
        let all = Arc::new(Challenges::default());
        let path = format!("{PATH}abc");
        assert_eq!(all.text_of(&path), None);
        let one = all.answer_text("abc", "abc.key");
        let other = all.answer_text("def", "def.key");
        assert_eq!(all.text_of(&path).as_deref(), Some("abc.key"));
        for stranger in [
            "/abc",
            PATH,
            "/.well-known/acme-challenge/abc/",
            "/.well-known/acme-challenge//abc",
        ] {
            assert_eq!(all.text_of(stranger), None, "{stranger}");
        }
        drop(one);
        assert_eq!(all.text_of(&path), None);
        assert!(all.text_of(&format!("{PATH}def")).is_some());
        drop(other);
    }
}
