//! Trusted certificate authorities, read from a file, and the verifiers that use them.
//!
//! A certificate that is itself in the file is trusted: an operator who names exactly this
//! certificate needs no chain, though the library refuses an authority's certificate as an end
//! entity's. Its validity, and the name of a server, are checked as for any other.

use std::{path::Path, sync::Arc};

use rustls::{
    DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    server::{ParsedCertificate, WebPkiClientVerifier, danger::ClientCertVerifier},
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use x509_parser::{
    asn1_rs::Any,
    prelude::{FromDer as _, X509Certificate},
};

use super::{
    RevocationLists, TlsFault,
    client_verifier::{OfClients, check_time},
    pem, provider, subject,
};

/// Content of a file of certificate authorities.
#[derive(Debug)]
pub struct Authorities {
    pub(super) roots: Arc<RootCertStore>,
    /// Each as read.
    certificates: Arc<[CertificateDer<'static>]>,
}

impl Authorities {
    /// Reads a file; blocks on the disk.
    ///
    /// # Errors
    /// The reason why it has no authorities.
    pub fn load(path: &Path) -> Result<Self, TlsFault> {
        let certificates = pem::chain(path)?;
        let mut roots = RootCertStore::empty();
        for certificate in &certificates {
            roots
                .add(certificate.clone())
                .map_err(|error| malformed(path, &error))?;
        }
        Ok(Self {
            roots: Arc::new(roots),
            certificates: certificates.into(),
        })
    }

    /// Returns true if all of them can be announced to clients: the list of their names must fit
    /// into one message (RFC 8446 section 4.2.4). If false, none is announced and clients choose a
    /// certificate by themselves.
    pub fn are_announced(&self) -> bool {
        let names = self.roots.subjects();
        let bytes: usize = names.iter().map(|name| 2 + name.as_ref().len()).sum();
        bytes <= NAMES_BYTES_MAX
    }

    /// Makes the verifier of endpoints.
    pub(super) fn of_servers(&self, path: &Path) -> Result<Arc<dyn ServerCertVerifier>, TlsFault> {
        let roots = Arc::clone(&self.roots);
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider()).build();
        Ok(Arc::new(OfServers {
            chains: verifier.map_err(|error| malformed(path, &error))?,
            exact: Arc::clone(&self.certificates),
        }))
    }

    /// Makes the verifier of clients; without `required` a client without a certificate is accepted
    /// too. With `revoked`, each certificate of a chain must be of an authority that has a list
    /// there, and must not be on it.
    pub(super) fn of_clients(
        &self,
        path: &Path,
        required: bool,
        revoked: Option<&Arc<RevocationLists>>,
    ) -> Result<Arc<dyn ClientCertVerifier>, TlsFault> {
        let roots = Arc::clone(&self.roots);
        let mut builder = WebPkiClientVerifier::builder_with_provider(roots, provider());
        if !required {
            builder = builder.allow_unauthenticated();
        }
        if !self.are_announced() {
            builder = builder.clear_root_hint_subjects();
        }
        let chains = builder.build().map_err(|error| malformed(path, &error))?;
        Ok(Arc::new(OfClients {
            chains,
            roots: Arc::clone(&self.roots),
            revoked: revoked.map(Arc::clone),
            exact: Arc::clone(&self.certificates),
        }))
    }

    /// The public keys of the authorities of this name; each is the content of a
    /// `SubjectPublicKeyInfo`, and the name that of its sequence.
    pub(super) fn keys_of<'a>(&'a self, name: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        let roots = self.roots.roots.iter();
        roots
            .filter(move |root| root.subject.as_ref() == name)
            .map(|root| root.subject_public_key_info.as_ref())
    }

    /// Returns true if a certificate that is trusted itself, and is no authority, is of this issuer.
    pub(super) fn trusts_one_of(&self, issuer: &[u8]) -> bool {
        self.certificates.iter().any(|certificate| {
            X509Certificate::from_der(certificate).is_ok_and(|(_, parsed)| {
                let name = Any::from_der(parsed.issuer().as_raw());
                !parsed.is_ca() && name.is_ok_and(|(_, name)| name.data == issuer)
            })
        })
    }

    /// Lists the names of the authorities whose name and key do not pass a test.
    pub(super) fn without(&self, has: impl Fn(&[u8], &[u8]) -> bool) -> Vec<String> {
        let all = self.roots.roots.iter().zip(self.certificates.iter());
        let missing = all.filter(|(root, _)| !has(&root.subject, &root.subject_public_key_info));
        let names = missing.filter_map(|(_, certificate)| {
            let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
            parsed.is_ca().then(|| subject::short(parsed.subject()))
        });
        names.collect()
    }
}

#[derive(Debug)]
struct OfServers {
    chains: Arc<WebPkiServerVerifier>,
    exact: Arc<[CertificateDer<'static>]>,
}

impl ServerCertVerifier for OfServers {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let chains = &self.chains;
        let verified = chains.verify_server_cert(end_entity, intermediates, name, ocsp, now);
        if verified.is_ok() || !self.exact.contains(end_entity) {
            return verified;
        }
        check_time(end_entity, now)?;
        verify_server_name(&ParsedCertificate::try_from(end_entity)?, name)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let chains = &self.chains;
        chains.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let chains = &self.chains;
        chains.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chains.supported_verify_schemes()
    }
}

fn malformed(path: &Path, error: &impl ToString) -> TlsFault {
    TlsFault::Malformed {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}

/// Maximum total size of the names: a message has room for 65,535 bytes of extensions; the others
/// need some hundreds.
const NAMES_BYTES_MAX: usize = 64_000;

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair};

    use super::*;

    /// Makes a certificate that is its own authority, as `openssl req -x509` does.
    fn own_authority(names: &[&str], subject: &str) -> rcgen::Certificate {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, subject);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap()
    }

    fn loaded(certificates: &[rcgen::Certificate]) -> Authorities {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        let text: String = certificates.iter().map(rcgen::Certificate::pem).collect();
        std::fs::write(&path, text).unwrap();
        Authorities::load(&path).unwrap()
    }

    #[test]
    fn what_is_trusted_exactly_is_believed_under_its_name_and_in_its_time() {
        let mine = own_authority(&["a.example"], "mine");
        let twin = own_authority(&["a.example"], "mine");
        let authorities = loaded(std::slice::from_ref(&mine));
        let path = Path::new("ca.pem");
        let servers = authorities.of_servers(path).unwrap();
        let verify = |certificate: &rcgen::Certificate, name: &str, now: UnixTime| {
            let name = ServerName::try_from(name.to_owned()).unwrap();
            servers.verify_server_cert(certificate.der(), &[], &name, &[], now)
        };
        let now = UnixTime::now();
        verify(&mine, "a.example", now).unwrap();
        assert!(verify(&mine, "b.example", now).is_err(), "another name");
        assert!(verify(&twin, "a.example", now).is_err(), "another key");
        let long_after = SystemTime::now() + Duration::from_secs(86_400 * 365 * 4000);
        let long_after = long_after.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let long_after = UnixTime::since_unix_epoch(long_after);
        assert!(
            verify(&mine, "a.example", long_after).is_err(),
            "its time is over"
        );

        let clients = authorities.of_clients(path, true, None).unwrap();
        clients.verify_client_cert(mine.der(), &[], now).unwrap();
        assert!(clients.verify_client_cert(twin.der(), &[], now).is_err());
    }

    #[test]
    fn more_names_than_a_message_holds_are_not_announced() {
        let few = loaded(&[own_authority(&[], "mine")]);
        assert!(few.are_announced());
        let clients = few.of_clients(Path::new("ca.pem"), true, None).unwrap();
        assert_eq!(clients.root_hint_subjects().len(), 1);

        let long = "n".repeat(10_000);
        let many: Vec<_> = (0..7).map(|_| own_authority(&[], &long)).collect();
        let many = loaded(&many);
        assert!(!many.are_announced());
        let clients = many.of_clients(Path::new("ca.pem"), true, None).unwrap();
        assert!(clients.root_hint_subjects().is_empty());
    }
}
