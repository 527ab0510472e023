//! Choice of the certificate for a client, by the name that it asks for (RFC 6066 section 3).
//!
//! An exact name wins over a wildcard, which stands for one label (RFC 9525 section 6.3); a client
//! that asks for no name, or for an unknown one, gets the first certificate. In each case
//! certificates that the client cannot verify are skipped, so that an ECDSA and an RSA certificate
//! can be configured together, independent of which one has the exact name.

use std::{collections::HashMap, sync::Arc, time::SystemTime};

use rustls::{
    CipherSuite, SignatureAlgorithm, SignatureScheme,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use super::{
    certificate::Certificate,
    challenge::{self, Challenges},
};

/// Certificates by name.
#[derive(Debug, Default)]
pub(super) struct ByName {
    exact: HashMap<Box<str>, Vec<Arc<Certificate>>>,
    /// By what follows `*.`.
    wildcard: HashMap<Box<str>, Vec<Arc<Certificate>>>,
    all: Vec<Arc<Certificate>>,
    /// Challenges that are answered here.
    challenges: Option<Arc<Challenges>>,
}

impl ByName {
    pub(super) fn new(certificates: &[Arc<Certificate>]) -> Self {
        let mut table = Self {
            all: certificates.to_vec(),
            ..Self::default()
        };
        for certificate in certificates {
            for name in &certificate.names {
                let (names, name) = match name.strip_prefix("*.") {
                    Some(parent) => (&mut table.wildcard, parent),
                    None => (&mut table.exact, name.as_str()),
                };
                let found = names.entry(name.into()).or_default();
                found.push(Arc::clone(certificate));
            }
        }
        table
    }

    /// Answers challenges of a CA as well.
    pub(super) fn answering(mut self, challenges: Option<Arc<Challenges>>) -> Self {
        self.challenges = challenges;
        self
    }

    fn find(
        &self,
        name: Option<&str>,
        can_sign: impl Fn(&CertifiedKey) -> bool,
    ) -> Option<&Arc<Certificate>> {
        let named = |name: &str| {
            let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
            let parent = name.split_once('.').map(|(_, parent)| parent);
            let exact = self.exact.get(name.as_str());
            let wildcard = parent.and_then(|parent| self.wildcard.get(parent));
            (exact.or(wildcard).is_some()).then_some([exact, wildcard])
        };
        let lists = name.and_then(named).unwrap_or([Some(&self.all), None]);
        let candidates = || lists.into_iter().flatten().flatten();
        let fits = candidates().find(|certificate| can_sign(&certificate.key));
        // If none fits the handshake fails, and says so to the client.
        fits.or_else(|| candidates().next())
    }
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        if let Some(challenges) = &self.challenges
            && challenge::is_verifier(&hello)
        {
            return challenges.certificate_of(&hello);
        }
        let offer = Offer {
            schemes: hello.signature_schemes(),
            suites: hello.cipher_suites(),
        };
        let found = self.find(hello.server_name(), |key| offer.takes(key))?;
        Some(Arc::clone(found.shown(SystemTime::now())))
    }
}

/// Signature schemes and cipher suites that a client supports.
struct Offer<'a> {
    schemes: &'a [SignatureScheme],
    suites: &'a [CipherSuite],
}

impl Offer<'_> {
    fn takes(&self, key: &CertifiedKey) -> bool {
        let algorithm = key.key.algorithm();
        let fits = |suite: &CipherSuite| match suite.as_str() {
            // Before TLS 1.3 the cipher suite names the kind of key as well.
            Some(name) if name.contains("_RSA_") => algorithm == SignatureAlgorithm::RSA,
            Some(name) if name.contains("_ECDSA_") => algorithm != SignatureAlgorithm::RSA,
            Some(name) => name.starts_with("TLS13_"),
            None => false,
        };
        key.key.choose_scheme(self.schemes).is_some() && self.suites.iter().any(fits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::certificate::tests::written;

    #[test]
    fn exact_before_wildcard_before_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let load = |stem, names: &[&str]| {
            let files = written(folder.path(), stem, names);
            Arc::new(Certificate::load(&files).unwrap())
        };
        let all = [
            load("default", &["default.example"]),
            load("wild", &["*.shop.example"]),
            load("exact", &["a.shop.example"]),
        ];
        let table = ByName::new(&all);
        let shown = |name: Option<&str>| {
            let key = table.find(name, |_| true).unwrap();
            all.iter().position(|it| Arc::ptr_eq(it, key)).unwrap()
        };
        assert_eq!(shown(Some("a.shop.example")), 2);
        assert_eq!(shown(Some("A.SHOP.example.")), 2);
        assert_eq!(shown(Some("b.shop.example")), 1);
        for stranger in ["shop.example", "a.b.shop.example", "other", ""] {
            assert_eq!(shown(Some(stranger)), 0, "{stranger}");
        }
        assert_eq!(shown(None), 0);
    }

    #[test]
    fn of_two_for_one_name_the_one_that_the_client_can_verify() {
        let folder = tempfile::tempdir().unwrap();
        let load = |stem| {
            let files = written(folder.path(), stem, &["a.example"]);
            Arc::new(Certificate::load(&files).unwrap())
        };
        let all = [load("one"), load("two")];
        let table = ByName::new(&all);
        let second = |key: &CertifiedKey| std::ptr::eq(key, &raw const *all[1].key);
        let found = table.find(Some("a.example"), second).unwrap();
        assert!(Arc::ptr_eq(found, &all[1]));
    }
}
