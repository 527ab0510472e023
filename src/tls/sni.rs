//! Which certificate a client is shown: by the name that it asks for (RFC 6066 section 3).
//!
//! The exact name wins over a wildcard, which stands for one label (RFC 9525 section
//! 6.3); a client that names nobody, or a stranger, gets the first certificate. Of
//! several certificates for one name, the first that the client can verify is shown,
//! so that an ECDSA and an RSA certificate can stand side by side.

use std::{collections::HashMap, sync::Arc, time::SystemTime};

use rustls::{
    SignatureScheme,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use super::certificate::Certificate;

/// Certificates by name.
#[derive(Debug, Default)]
pub(super) struct ByName {
    exact: HashMap<Box<str>, Vec<Arc<Certificate>>>,
    /// By what follows `*.`.
    wildcard: HashMap<Box<str>, Vec<Arc<Certificate>>>,
    first: Option<Arc<Certificate>>,
}

impl ByName {
    pub(super) fn new(certificates: &[Arc<Certificate>]) -> Self {
        let mut table = Self {
            first: certificates.first().cloned(),
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

    fn find(
        &self,
        name: Option<&str>,
        can_sign: impl Fn(&CertifiedKey) -> bool,
    ) -> Option<&Arc<Certificate>> {
        let found = name.and_then(|name| {
            let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
            let parent = name.split_once('.').map(|(_, parent)| parent);
            let exact = self.exact.get(name.as_str());
            exact.or_else(|| self.wildcard.get(parent?))
        });
        let Some(found) = found else {
            return self.first.as_ref();
        };
        let fits = found.iter().find(|certificate| can_sign(&certificate.key));
        // If none fits the handshake fails, and says so to the client.
        fits.or_else(|| found.first())
    }
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let schemes: &[SignatureScheme] = hello.signature_schemes();
        let found = self.find(hello.server_name(), |key| {
            key.key.choose_scheme(schemes).is_some()
        })?;
        Some(Arc::clone(found.shown(SystemTime::now())))
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
