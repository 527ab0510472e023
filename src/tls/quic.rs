//! TLS of QUIC connections (RFC 9001), as the crate `quinn` asks for it.
//!
//! The session is kept here rather than by `quinn`, which tells neither that a session was resumed
//! nor which cipher it uses. It has TLS 1.3 and no early data, which another could send again.

use std::{any::Any, io::Cursor, sync::Arc};

use quinn_proto::{
    ConnectionId, Side, TransportError, TransportErrorCode,
    crypto::{
        self, ExportKeyingMaterialError, HeaderKey, KeyPair, Keys, PacketKey, UnsupportedVersion,
        rustls::QuicServerConfig,
    },
    transport_parameters::TransportParameters,
};
use rustls::{
    ServerConfig,
    quic::{KeyChange, Secrets, ServerConnection, Version},
};

use super::{Session, TlsFault};

/// TLS of the QUIC connections of a listener.
pub(crate) struct QuicTls {
    pub(super) config: Arc<ServerConfig>,
    /// Keys of what comes before a session: first packets, and Retry.
    initial: QuicServerConfig,
}

impl QuicTls {
    /// Takes a configuration with TLS 1.3 alone, and without early data.
    ///
    /// # Errors
    /// The refusal of the library.
    pub(super) fn new(config: ServerConfig) -> Result<Self, TlsFault> {
        let config = Arc::new(config);
        let refused = |error: &dyn std::error::Error| {
            TlsFault::from(rustls::Error::General(error.to_string()))
        };
        let initial = QuicServerConfig::try_from(Arc::clone(&config));
        let initial = initial.map_err(|error| refused(&error))?;
        // A session that cannot begin is refused here, once, and never again.
        ServerConnection::new(Arc::clone(&config), Version::V1, Vec::new())?;
        Ok(Self { config, initial })
    }
}

impl crypto::ServerConfig for QuicTls {
    #[expect(clippy::expect_used, reason = "such a session was begun in `new`")]
    fn start_session(
        self: Arc<Self>,
        _: u32,
        parameters: &TransportParameters,
    ) -> Box<dyn crypto::Session> {
        let mut written = Vec::new();
        parameters.write(&mut written);
        let config = Arc::clone(&self.config);
        let tls = ServerConnection::new(config, Version::V1, written);
        Box::new(QuicSession {
            tls: tls.expect("the configuration suits QUIC"),
            settings: self,
            secrets: None,
            is_told: false,
        })
    }

    fn initial_keys(&self, version: u32, id: &ConnectionId) -> Result<Keys, UnsupportedVersion> {
        if version == VERSION {
            self.initial.initial_keys(version, id)
        } else {
            Err(UnsupportedVersion)
        }
    }

    fn retry_tag(&self, version: u32, id: &ConnectionId, packet: &[u8]) -> [u8; 16] {
        self.initial.retry_tag(version, id, packet)
    }
}

/// TLS of one QUIC connection, on the server's side.
struct QuicSession {
    tls: ServerConnection,
    settings: Arc<QuicTls>,
    /// Secrets of the next update of the keys.
    secrets: Option<Secrets>,
    /// The end of the handshake was reported.
    is_told: bool,
}

impl crypto::Session for QuicSession {
    #[expect(clippy::expect_used, reason = "no session begins with another version")]
    fn initial_keys(&self, id: &ConnectionId, side: Side) -> Keys {
        debug_assert!(side.is_server());
        let keys = crypto::ServerConfig::initial_keys(&*self.settings, VERSION, id);
        keys.expect("the version is known")
    }

    /// Returns a [`Session`] once the handshake is complete.
    fn handshake_data(&self) -> Option<Box<dyn Any>> {
        if self.tls.is_handshaking() {
            return None;
        }
        Some(Box::new(Session::new(&self.tls, self.tls.server_name())))
    }

    /// Returns nothing: the certificate is part of the [`Session`].
    fn peer_identity(&self) -> Option<Box<dyn Any>> {
        None
    }

    /// Returns nothing: early data is not offered.
    fn early_crypto(&self) -> Option<(Box<dyn HeaderKey>, Box<dyn PacketKey>)> {
        None
    }

    fn early_data_accepted(&self) -> Option<bool> {
        None
    }

    fn is_handshaking(&self) -> bool {
        self.tls.is_handshaking()
    }

    fn read_handshake(&mut self, bytes: &[u8]) -> Result<bool, TransportError> {
        if let Err(error) = self.tls.read_hs(bytes) {
            let alert = self.tls.alert();
            let code = alert.map_or(TransportErrorCode::PROTOCOL_VIOLATION, |alert| {
                TransportErrorCode::crypto(alert.into())
            });
            return Err(TransportError {
                code,
                frame: None,
                reason: error.to_string(),
            });
        }
        let is_news = !self.tls.is_handshaking() && !self.is_told;
        self.is_told |= is_news;
        Ok(is_news)
    }

    fn transport_parameters(&self) -> Result<Option<TransportParameters>, TransportError> {
        let Some(bytes) = self.tls.quic_transport_parameters() else {
            return Ok(None);
        };
        let parameters = TransportParameters::read(Side::Server, &mut Cursor::new(bytes))?;
        Ok(Some(parameters))
    }

    fn write_handshake(&mut self, out: &mut Vec<u8>) -> Option<Keys> {
        let keys = match self.tls.write_hs(out)? {
            KeyChange::Handshake { keys } => keys,
            KeyChange::OneRtt { keys, next } => {
                self.secrets = Some(next);
                keys
            }
        };
        let (local, remote) = (keys.local, keys.remote);
        Some(Keys {
            header: KeyPair {
                local: Box::new(local.header),
                remote: Box::new(remote.header),
            },
            packet: KeyPair {
                local: Box::new(local.packet),
                remote: Box::new(remote.packet),
            },
        })
    }

    fn next_1rtt_keys(&mut self) -> Option<KeyPair<Box<dyn PacketKey>>> {
        let keys = self.secrets.as_mut()?.next_packet_keys();
        Some(KeyPair {
            local: Box::new(keys.local),
            remote: Box::new(keys.remote),
        })
    }

    /// Returns false: only a server sends Retry.
    fn is_valid_retry(&self, _: &ConnectionId, _: &[u8], _: &[u8]) -> bool {
        false
    }

    /// Fails: nothing in HTTP/3 takes keys of the session.
    fn export_keying_material(
        &self,
        _: &mut [u8],
        _: &[u8],
        _: &[u8],
    ) -> Result<(), ExportKeyingMaterialError> {
        Err(ExportKeyingMaterialError)
    }
}

impl std::fmt::Debug for QuicTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("QuicTls")
    }
}

/// The version of QUIC that is spoken (RFC 9000).
pub(crate) const VERSION: u32 = 1;
