//! Certificates made for one test, as the files that operators have.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use aws_lc_rs::digest::{SHA256, digest};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName,
    DnType, IsCa, Issuer, KeyIdMethod, KeyPair, PublicKeyData as _, RevokedCertParams, SanType,
    SerialNumber, date_time_ymd,
};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::server::WebPkiClientVerifier;
use rustls::{
    ClientConfig, DEFAULT_VERSIONS, RootCertStore, ServerConfig, SupportedProtocolVersion,
};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::grpc_web::to_base64;

/// An authority that issues certificates.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    der: CertificateDer<'static>,
    pem: String,
}

/// A certificate with its key.
pub(crate) struct Issued {
    pub(crate) chain: String,
    pub(crate) key: String,
}

impl Authority {
    /// Makes an authority that signs itself.
    pub(crate) fn new(name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = named(name, &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).expect("a certificate");
        Self {
            der: certificate.der().clone(),
            pem: certificate.pem(),
            issuer: Issuer::new(params, key),
        }
    }

    /// Makes an authority that another one has certified.
    pub(crate) fn below(&self, name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = named(name, &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Self {
            der: certificate.der().clone(),
            pem: certificate.pem(),
            issuer: Issuer::new(params, key),
        }
    }

    /// A certificate for these names, with `subject` as its common name.
    pub(crate) fn issue(&self, subject: &str, names: &[&str]) -> Issued {
        self.sign(&named(subject, names))
    }

    /// Issues an expired certificate.
    pub(crate) fn issue_expired(&self, names: &[&str]) -> Issued {
        let mut params = named("expired", names);
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2020, 2, 1);
        self.sign(&params)
    }

    /// Issues a certificate that expires at this time.
    pub(crate) fn issue_until(&self, names: &[&str], end: SystemTime) -> Issued {
        let mut params = named("short", names);
        let since = end.duration_since(SystemTime::UNIX_EPOCH).expect("later");
        params.not_after = date_time_ymd(1970, 1, 1) + since;
        self.sign(&params)
    }

    /// Issues a certificate that is valid from one time to another.
    pub(crate) fn issue_for(&self, names: &[&str], start: SystemTime, end: SystemTime) -> Issued {
        let mut params = named("short", names);
        [params.not_before, params.not_after] = [start, end].map(|time| {
            let since = time.duration_since(SystemTime::UNIX_EPOCH).expect("later");
            date_time_ymd(1970, 1, 1) + since
        });
        self.sign(&params)
    }

    /// Issues a certificate that becomes valid at this time.
    pub(crate) fn issue_from(&self, names: &[&str], start: SystemTime) -> Issued {
        let mut params = named("early", names);
        let since = start.duration_since(SystemTime::UNIX_EPOCH).expect("later");
        params.not_before = date_time_ymd(1970, 1, 1) + since;
        self.sign(&params)
    }

    /// Issues a certificate with these names besides its subject.
    pub(crate) fn issue_named(&self, subject: &str, names: Vec<SanType>) -> Issued {
        let mut params = named(subject, &[]);
        params.subject_alt_names = names;
        self.sign(&params)
    }

    fn sign(&self, params: &CertificateParams) -> Issued {
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Issued {
            chain: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    /// Signs a list of revoked certificates, as PEM; its successor is due at `next`.
    pub(crate) fn revocation_list(&self, revoked: &[&Issued], next: SystemTime) -> String {
        self.numbered_list(revoked, next, 1)
    }

    /// Signs a list of this number.
    pub(crate) fn numbered_list(
        &self,
        revoked: &[&Issued],
        next: SystemTime,
        number: u64,
    ) -> String {
        let start = date_time_ymd(2024, 1, 1);
        let since = next.duration_since(SystemTime::UNIX_EPOCH).expect("later");
        let revoked = revoked.iter().map(|issued| RevokedCertParams {
            serial_number: SerialNumber::from(issued.raw_serial()),
            revocation_time: start,
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: start,
            next_update: date_time_ymd(1970, 1, 1) + since,
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = params.signed_by(&self.issuer).expect("a list");
        list.pem().expect("PEM")
    }

    /// The authority's own certificate, as PEM.
    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    /// The authority's own certificate with its key.
    pub(crate) fn itself(&self) -> Issued {
        Issued {
            chain: self.pem.clone(),
            key: self.issuer.key().serialize_pem(),
        }
    }

    /// Writes the authority's own certificate.
    pub(crate) fn write(&self, folder: &Path, file: &str) {
        fs::write(folder.join(file), &self.pem).expect("a file");
    }

    /// Writes the authority's own key.
    pub(crate) fn write_key(&self, folder: &Path, file: &str) {
        fs::write(folder.join(file), self.issuer.key().serialize_pem()).expect("a file");
    }

    /// Returns the settings of a client that trusts this authority, and presents `own` if asked.
    pub(crate) fn client(&self, own: Option<&Issued>, alpn: &[&str]) -> ClientConfig {
        self.client_of(DEFAULT_VERSIONS, own, alpn)
    }

    /// Returns the settings of a client that speaks these versions only.
    pub(crate) fn client_of(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        own: Option<&Issued>,
        alpn: &[&str],
    ) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).expect("an authority");
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(versions)
            .expect("versions")
            .with_root_certificates(roots);
        let mut config = match own {
            None => builder.with_no_client_auth(),
            Some(own) => builder
                .with_client_auth_cert(own.certificates(), own.private_key())
                .expect("a pair"),
        };
        config.alpn_protocols = alpn.iter().map(|it| it.as_bytes().to_vec()).collect();
        config
    }
}

impl Issued {
    /// Makes a self-signed certificate, as `openssl req -x509` does.
    pub(crate) fn by_itself(subject: &str, names: &[&str]) -> Self {
        let mut params = named(subject, names);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        Self {
            chain: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    /// Writes `STEM.pem` and `STEM.key`, each replaced atomically.
    pub(crate) fn write(&self, folder: &Path, stem: &str) {
        for (end, text) in [("pem", &self.chain), ("key", &self.key)] {
            let new = folder.join(format!("{stem}.{end}.new"));
            fs::write(&new, text).expect("a file");
            fs::rename(new, folder.join(format!("{stem}.{end}"))).expect("replaced");
        }
    }

    /// The end entity's certificate.
    pub(crate) fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.chain.as_bytes()).expect("a certificate")
    }

    /// Its serial number, in hexadecimal digits.
    pub(crate) fn serial(&self) -> String {
        let serial = self.raw_serial();
        let digits: String = serial.iter().map(|byte| format!("{byte:02X}")).collect();
        digits.strip_prefix("00").unwrap_or(&digits).to_owned()
    }

    fn raw_serial(&self) -> Vec<u8> {
        let der = self.der();
        let (_, parsed) = X509Certificate::from_der(&der).expect("a certificate");
        parsed.tbs_certificate.raw_serial().to_vec()
    }

    /// Digest of its public key, in the form in which browsers are told to trust one.
    pub(crate) fn key_digest(&self) -> String {
        let key = KeyPair::from_pem(&self.key).expect("a key");
        let digest = digest(&SHA256, &key.subject_public_key_info());
        to_base64(digest.as_ref())
    }

    /// Returns the settings of a server that presents it.
    pub(crate) fn server(&self, alpn: &[&str]) -> ServerConfig {
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(self.certificates(), self.private_key())
            .expect("a pair");
        config.alpn_protocols = alpn.iter().map(|it| it.as_bytes().to_vec()).collect();
        config
    }

    /// Returns the settings of a server for this version only that requires a certificate signed by
    /// `clients`.
    pub(crate) fn demanding(
        &self,
        clients: &Authority,
        version: &'static SupportedProtocolVersion,
        alpn: &[&str],
    ) -> ServerConfig {
        let mut roots = RootCertStore::empty();
        roots.add(clients.der.clone()).expect("an authority");
        let provider = Arc::new(default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .build()
                .expect("a verifier");
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .expect("a version")
            .with_client_cert_verifier(verifier)
            .with_single_cert(self.certificates(), self.private_key())
            .expect("a pair");
        config.alpn_protocols = alpn.iter().map(|it| it.as_bytes().to_vec()).collect();
        config
    }

    fn certificates(&self) -> Vec<CertificateDer<'static>> {
        let sections = CertificateDer::pem_slice_iter(self.chain.as_bytes());
        let sections: Result<Vec<_>, _> = sections.collect();
        sections.expect("certificates")
    }

    fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_slice(self.key.as_bytes()).expect("a key")
    }
}

fn named(subject: &str, names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("names");
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, subject);
    params
}
