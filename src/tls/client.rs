//! TLS to endpoints, as a pool holds it.
//!
//! The endpoint's certificate is verified against the system's authorities, or the pool's own, and
//! against the name of the endpoint or the one that the pool sets.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use arc_swap::ArcSwap;
use rustls::{
    ClientConfig, DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use rustls_platform_verifier::Verifier;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    Renewal, TlsFault,
    authorities::Authorities,
    certificate::{Certificate, KeyPair},
    file::Stamps,
    part::Part,
    provider,
};

/// Settings of a pool's TLS.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientSettings {
    /// The name to ask for and to verify; none: the host of the endpoint.
    pub server_name: Option<String>,
    /// The authorities to trust, as PEM; none: the system's.
    pub ca: Option<PathBuf>,
    /// The certificate to present if asked.
    pub client: Option<KeyPair>,
    /// True if the certificate of the endpoint is verified.
    pub verify: bool,
}

/// Protocols offered to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alpn {
    /// None: another protocol than HTTP.
    Silent,
    /// HTTP/1.1 only.
    Http1,
    /// HTTP/2 only.
    Http2,
    /// HTTP/2, else HTTP/1.1.
    Either,
}

/// TLS of one pool.
#[derive(Debug)]
pub struct ClientTls {
    settings: ClientSettings,
    current: ArcSwap<Current>,
}

#[derive(Debug)]
struct Current {
    files: Files,
    silent: Arc<ClientConfig>,
    http1: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
    either: Arc<ClientConfig>,
}

/// Content of the files.
#[derive(Debug)]
struct Files {
    /// Certificate presented to endpoints that ask for one.
    shown: Option<Part<Arc<Certificate>>>,
    authorities: Option<Part<Arc<Authorities>>>,
}

impl ClientTls {
    /// Reads the files; blocks on the disk. An expired certificate is presented nevertheless, as in
    /// [`ServerTls::load`](super::ServerTls::load).
    ///
    /// # Errors
    /// The first file that cannot be used, or an invalid name.
    pub fn load(settings: ClientSettings) -> Result<Self, TlsFault> {
        if let Some(name) = &settings.server_name {
            server_name(name)?;
        }
        let current = Current::new(Files::load(&settings)?, &settings)?;
        let current = ArcSwap::from_pointee(current);
        Ok(Self { settings, current })
    }

    /// Reads changed files again, for every new connection; blocks on the disk. If a file cannot be
    /// used, the old content stays in use, as in [`ServerTls::reload`](super::ServerTls::reload).
    pub fn reload(&self) -> Renewal {
        let used = self.current.load();
        let mut renewal = Renewal::default();
        let files = used.files.renewed(&self.settings, &mut renewal);
        if let Some(current) = renewal.take_up(|| Current::new(files, &self.settings)) {
            self.current.store(Arc::new(current));
        }
        renewal
    }

    /// Lists every file that it is read from.
    pub fn files(&self) -> Vec<&Path> {
        self.settings.files()
    }

    /// Returns the stamps of the files at the last successful read.
    pub fn stamps(&self) -> Stamps {
        self.current.load().files.stamps()
    }

    /// The certificate presented to endpoints that ask for one.
    pub fn certificate(&self) -> Option<Arc<Certificate>> {
        let current = self.current.load();
        let shown = current.files.shown.as_ref()?;
        Some(Arc::clone(&shown.value))
    }

    /// Identifies connections made with these settings; never 0.
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.settings.hash(&mut hasher);
        hasher.finish().max(1)
    }

    /// Does the handshake with an endpoint whose host is `host`.
    ///
    /// # Errors
    /// The failure of the handshake, including an invalid certificate of the endpoint.
    pub async fn connect<S>(&self, stream: S, host: &str, alpn: Alpn) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let name = self.settings.server_name.as_deref().unwrap_or(host);
        let name = server_name(name).map_err(io::Error::other)?;
        let config = {
            let current = self.current.load();
            Arc::clone(match alpn {
                Alpn::Silent => &current.silent,
                Alpn::Http1 => &current.http1,
                Alpn::Http2 => &current.http2,
                Alpn::Either => &current.either,
            })
        };
        TlsConnector::from(config).connect(name, stream).await
    }
}

/// Returns true if a handshake failed because of the endpoint's certificate.
pub fn is_certificate_fault(error: &io::Error) -> bool {
    matches!(library(error), Some(rustls::Error::InvalidCertificate(_)))
}

/// Returns true if a handshake, or a read after it, failed in TLS itself and not in the connection
/// under it.
pub fn is_protocol_fault(error: &io::Error) -> bool {
    library(error).is_some()
}

pub(super) fn library(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

impl ClientSettings {
    /// Returns the same settings without files; they cannot be used for connections.
    #[must_use]
    pub fn without_files(self) -> Self {
        Self {
            ca: None,
            client: None,
            ..self
        }
    }

    fn files(&self) -> Vec<&Path> {
        let pair = self.client.iter();
        let pair = pair.flat_map(KeyPair::paths);
        pair.chain(self.ca.as_deref()).collect()
    }
}

impl Files {
    fn load(settings: &ClientSettings) -> Result<Self, TlsFault> {
        let shown = settings.client.as_ref().map(Part::certificate);
        let authorities = settings.ca.as_ref().map(|ca| Part::authorities(ca));
        Ok(Self {
            shown: shown.transpose()?,
            authorities: authorities.transpose()?,
        })
    }

    fn renewed(&self, settings: &ClientSettings, renewal: &mut Renewal) -> Self {
        let now = SystemTime::now();
        let shown = self.shown.as_ref();
        let shown = shown.map(|used| used.renewed_certificate(now, renewal));
        let authorities = settings.ca.as_ref().zip(self.authorities.as_ref());
        let authorities = authorities.map(|(ca, used)| used.renewed_authorities(ca, renewal));
        Self { shown, authorities }
    }

    /// In the order of [`ClientSettings::files`].
    fn stamps(&self) -> Stamps {
        let shown = self.shown.iter().map(|part| &part.stamps);
        Stamps::join(shown.chain(self.authorities.iter().map(|part| &part.stamps)))
    }
}

impl Current {
    fn new(files: Files, settings: &ClientSettings) -> Result<Self, TlsFault> {
        let ca = settings.ca.as_ref().zip(files.authorities.as_ref());
        let verifier: Arc<dyn ServerCertVerifier> = match ca {
            _ if !settings.verify => Arc::new(Unverified(provider())),
            None => Arc::new(Verifier::new(provider())?),
            Some((ca, authorities)) => authorities.value.of_servers(ca)?,
        };
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let config = match &files.shown {
            None => builder.with_no_client_auth(),
            Some(shown) => {
                let key = rustls::sign::SingleCertAndKey::from(Arc::clone(&shown.value.key));
                builder.with_client_cert_resolver(Arc::new(key))
            }
        };
        let offering = |protocols: &[&[u8]]| {
            let mut config = config.clone();
            config.alpn_protocols = protocols.iter().map(|it| it.to_vec()).collect();
            Arc::new(config)
        };
        Ok(Self {
            silent: offering(&[]),
            http1: offering(&[b"http/1.1"]),
            http2: offering(&[b"h2"]),
            either: offering(&[b"h2", b"http/1.1"]),
            files,
        })
    }
}

/// Returns true if a certificate can have this name.
pub fn is_server_name(name: &str) -> bool {
    server_name(name).is_ok()
}

fn server_name(name: &str) -> Result<ServerName<'static>, TlsFault> {
    // An IPv6 address stands in brackets where a port may follow.
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(bare.to_owned()).map_err(|_| TlsFault::ServerName(name.to_owned()))
}

/// Accepts any certificate, for `verify = false`. The endpoint must still prove that it has the
/// certificate's key.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_differ_have_other_fingerprints() {
        let settings = ClientSettings {
            server_name: None,
            ca: None,
            client: None,
            verify: false,
        };
        let plain = ClientTls::load(settings.clone()).unwrap();
        let named = ClientTls::load(ClientSettings {
            server_name: Some("a.example".into()),
            ..settings.clone()
        });
        assert_ne!(plain.fingerprint(), named.unwrap().fingerprint());
        let again = ClientTls::load(settings).unwrap();
        assert_eq!(plain.fingerprint(), again.fingerprint());
    }

    #[test]
    fn names_and_addresses_can_be_verified_and_garbage_cannot() {
        for name in ["a.example", "10.0.0.1", "[::1]", "::1"] {
            assert!(server_name(name).is_ok(), "{name}");
        }
        for name in ["", "a b", "unix:/run/x"] {
            assert!(server_name(name).is_err(), "{name}");
        }
    }
}
