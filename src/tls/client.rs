//! TLS towards endpoints: what a pool holds.
//!
//! The endpoint's certificate is verified against the system's authorities, or the
//! pool's own, and the name of the endpoint or the one that the pool gives.

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
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use rustls_platform_verifier::Verifier;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    certificate::{Certificate, KeyPair},
    file::{self, Stamps, TlsFault},
    provider,
};

/// What a pool's TLS is made of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientSettings {
    /// The name to ask for and to verify; none: the host of the endpoint.
    pub server_name: Option<String>,
    /// The authorities to trust, as PEM; none: the system's.
    pub ca: Option<PathBuf>,
    /// The certificate to show when asked.
    pub client: Option<KeyPair>,
    /// Whether the certificate of the endpoint is verified at all.
    pub verify: bool,
}

/// Which protocols are offered to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alpn {
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
    http1: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
    either: Arc<ClientConfig>,
    shown: Option<Arc<Certificate>>,
    stamps: Stamps,
}

impl ClientTls {
    /// Reads the files; blocks on the disk. A certificate that is past its time is shown all
    /// the same, as in [`ServerTls::load`](super::ServerTls::load).
    ///
    /// # Errors
    /// The first file that is of no use, or a name that is none.
    pub fn load(settings: ClientSettings) -> Result<Self, TlsFault> {
        if let Some(name) = &settings.server_name {
            server_name(name)?;
        }
        let current = ArcSwap::from_pointee(Current::load(&settings)?);
        Ok(Self { settings, current })
    }

    /// Reads the files again, for every new connection; blocks on the disk.
    ///
    /// # Errors
    /// The first file that is of no use; what was in use stays.
    pub fn reload(&self) -> Result<(), TlsFault> {
        let current = Current::load(&self.settings)?;
        let used = self.current.load();
        if let Some(new) = &current.shown
            && let Some(fault) = new.overdue_beside(used.shown.as_deref(), SystemTime::now())
        {
            return Err(fault);
        }
        self.current.store(Arc::new(current));
        Ok(())
    }

    /// Every file that it is read from.
    pub fn files(&self) -> Vec<&Path> {
        self.settings.files()
    }

    /// What the files looked like when they were last read with success.
    pub fn stamps(&self) -> Stamps {
        self.current.load().stamps.clone()
    }

    /// The certificate that is shown to endpoints that ask for one.
    pub fn certificate(&self) -> Option<Arc<Certificate>> {
        self.current.load().shown.clone()
    }

    /// Tells connections made under these settings from any others; never 0.
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.settings.hash(&mut hasher);
        hasher.finish().max(1)
    }

    /// Shakes hands with an endpoint whose host is `host`.
    ///
    /// # Errors
    /// What the endpoint did, or that its certificate is not the right one.
    pub async fn connect<S>(&self, stream: S, host: &str, alpn: Alpn) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let name = self.settings.server_name.as_deref().unwrap_or(host);
        let name = server_name(name).map_err(io::Error::other)?;
        let config = {
            let current = self.current.load();
            Arc::clone(match alpn {
                Alpn::Http1 => &current.http1,
                Alpn::Http2 => &current.http2,
                Alpn::Either => &current.either,
            })
        };
        TlsConnector::from(config).connect(name, stream).await
    }
}

/// Whether a failed handshake is about the endpoint's certificate.
pub fn is_certificate_fault(error: &io::Error) -> bool {
    matches!(library(error), Some(rustls::Error::InvalidCertificate(_)))
}

/// Whether a handshake failed by TLS itself, and not with the connection under it.
pub fn is_protocol_fault(error: &io::Error) -> bool {
    library(error).is_some()
}

fn library(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

impl ClientSettings {
    fn files(&self) -> Vec<&Path> {
        let pair = self.client.iter();
        let pair = pair.flat_map(KeyPair::paths);
        pair.chain(self.ca.as_deref()).collect()
    }
}

impl Current {
    fn load(settings: &ClientSettings) -> Result<Self, TlsFault> {
        // Before the files are read: a change in between is then found by the next look.
        let stamps = Stamps::of(&settings.files());
        let verifier: Arc<dyn ServerCertVerifier> = match &settings.ca {
            _ if !settings.verify => Arc::new(Unverified(provider())),
            None => Arc::new(Verifier::new(provider())?),
            Some(ca) => {
                let roots = Arc::new(file::roots(ca)?);
                let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider());
                verifier.build().map_err(|error| TlsFault::Malformed {
                    path: ca.clone(),
                    reason: error.to_string(),
                })?
            }
        };
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let shown = settings.client.as_ref();
        let shown = shown.map(|files| Certificate::load(files).map(Arc::new));
        let shown = shown.transpose()?;
        let config = match &shown {
            None => builder.with_no_client_auth(),
            Some(certificate) => {
                let key = rustls::sign::SingleCertAndKey::from(Arc::clone(&certificate.key));
                builder.with_client_cert_resolver(Arc::new(key))
            }
        };
        let offering = |protocols: &[&[u8]]| {
            let mut config = config.clone();
            config.alpn_protocols = protocols.iter().map(|it| it.to_vec()).collect();
            Arc::new(config)
        };
        Ok(Self {
            http1: offering(&[b"http/1.1"]),
            http2: offering(&[b"h2"]),
            either: offering(&[b"h2", b"http/1.1"]),
            shown,
            stamps,
        })
    }
}

/// Whether a certificate can have this name.
pub fn is_server_name(name: &str) -> bool {
    server_name(name).is_ok()
}

fn server_name(name: &str) -> Result<ServerName<'static>, TlsFault> {
    // An IPv6 address stands in brackets where a port may follow.
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(bare.to_owned()).map_err(|_| TlsFault::ServerName(name.to_owned()))
}

/// Believes any certificate, as `verify = false` asks for. That the endpoint has the
/// certificate's key is still proven.
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
