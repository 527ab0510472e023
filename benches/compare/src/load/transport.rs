//! A connection's bytes, plain or through TLS, without waiting.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::SocketAddr,
    sync::Arc,
};

use mio::net::TcpStream;
use rustls::{
    CipherSuite, ClientConfig, ClientConnection, NamedGroup, RootCertStore, client::Resumption,
    crypto::aws_lc_rs, pki_types::CertificateDer,
};

/// A connection to a proxy.
pub(crate) enum Transport {
    Plain(TcpStream),
    Tls(Box<(TcpStream, ClientConnection)>),
}

/// TLS as every peer is spoken to: one version, one cipher, one group, no resumption.
///
/// # Errors
/// If the certificate cannot be trusted.
pub(crate) fn tls_config(
    certificate: CertificateDer<'static>,
    protocol: &str,
) -> Result<Arc<ClientConfig>, rustls::Error> {
    let mut provider = aws_lc_rs::default_provider();
    provider
        .kx_groups
        .retain(|group| group.name() == NamedGroup::X25519);
    let cipher = CipherSuite::TLS13_AES_256_GCM_SHA384;
    provider
        .cipher_suites
        .retain(|suite| suite.suite() == cipher);
    let mut roots = RootCertStore::empty();
    roots.add(certificate)?;
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

impl Transport {
    /// Begins to connect.
    ///
    /// # Errors
    /// If the system has no socket for it.
    pub(crate) fn connect(
        address: SocketAddr,
        tls: Option<&Arc<ClientConfig>>,
    ) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        let Some(config) = tls else {
            return Ok(Self::Plain(stream));
        };
        let name = "localhost".try_into().map_err(io::Error::other)?;
        let session = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
        Ok(Self::Tls(Box::new((stream, session))))
    }

    pub(crate) fn stream(&mut self) -> &mut TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(both) => &mut both.0,
        }
    }

    /// Reads what is there; 0 is the end, an error `WouldBlock` says that nothing is.
    ///
    /// # Errors
    /// `WouldBlock`, or why the connection is over.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (stream, session) = match self {
            Self::Plain(stream) => return stream.read(buffer),
            Self::Tls(both) => (&mut both.0, &mut both.1),
        };
        loop {
            match session.reader().read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                // A close without a farewell: the length of each answer is known anyway.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(0),
                read => return read,
            }
            session.read_tls(stream)?;
            session.process_new_packets().map_err(io::Error::other)?;
            write_records(stream, session)?;
        }
    }

    /// Writes what fits, and says how much that was.
    ///
    /// # Errors
    /// `WouldBlock` if nothing fits, or why the connection is over.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (stream, session) = match self {
            Self::Plain(stream) => return stream.write(bytes),
            Self::Tls(both) => (&mut both.0, &mut both.1),
        };
        write_records(stream, session)?;
        if session.is_handshaking() || session.wants_write() {
            return Err(ErrorKind::WouldBlock.into());
        }
        let taken = session.writer().write(bytes)?;
        write_records(stream, session)?;
        Ok(taken)
    }

    /// Writes what TLS has still to write.
    ///
    /// # Errors
    /// Why the connection is over.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Tls(both) => write_records(&mut both.0, &mut both.1),
        }
    }
}

fn write_records(stream: &mut TcpStream, session: &mut ClientConnection) -> io::Result<()> {
    while session.wants_write() {
        match session.write_tls(stream) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            written => written?,
        };
    }
    Ok(())
}
