//! Client that only reads the presented certificate, and accepts any.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::{DigitallySignedStruct, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::certificate::Authority;
use super::tunnel::shake;

/// Certificate and staple presented in a handshake.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shown {
    /// The end entity's certificate.
    pub(crate) certificate: Vec<u8>,
    /// The stapled response; empty if there is none.
    pub(crate) stapled: Vec<u8>,
}

/// Does the handshake with a server, with `name` as the name asked for.
pub(crate) async fn look(to: SocketAddr, authority: &Authority, name: &str) -> io::Result<Shown> {
    let notes = Arc::new(Notes::default());
    let verifier: Arc<dyn ServerCertVerifier> = notes.clone();
    let mut config = authority.client(None, &[]);
    config.dangerous().set_certificate_verifier(verifier);
    shake(to, Arc::new(config), name).await?;
    let noted = notes.0.lock().expect("no panic");
    Ok(noted.clone())
}

#[derive(Debug, Default)]
struct Notes(Mutex<Shown>);

impl ServerCertVerifier for Notes {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        stapled: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        *self.0.lock().expect("no panic") = Shown {
            certificate: certificate.to_vec(),
            stapled: stapled.to_vec(),
        };
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}
