//! QUIC's own bounds of a connection: streams, windows, buffers, silence.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use aws_lc_rs::{hkdf, rand};
use quinn::{IdleTimeout, ServerConfig, TransportConfig, VarInt, crypto};

use crate::state::Listener;

/// Returns the configuration of a new connection; none if the listener speaks no HTTP/3.
pub(super) fn config(listener: &Listener) -> Option<ServerConfig> {
    let tls = listener.tls.as_ref()?.quic()?;
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(listener.streams_max))
        .max_concurrent_uni_streams(VarInt::from_u32(STREAMS_BESIDE))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .receive_window(VarInt::from_u32(CONNECTION_WINDOW))
        .send_window(SEND_WINDOW)
        .max_idle_timeout(IdleTimeout::try_from(SILENCE).ok())
        .keep_alive_interval(Some(KEEP_ALIVE))
        .crypto_buffer_size(CRYPTO_BUFFER)
        .datagram_receive_buffer_size(None);
    let mut config = ServerConfig::new(tls, Arc::clone(&TOKEN_KEY));
    config
        .transport_config(Arc::new(transport))
        .max_incoming(INCOMING)
        .incoming_buffer_size(INCOMING_BYTES)
        .incoming_buffer_size_total(INCOMING_BYTES_TOTAL);
    Some(config)
}

/// The key that tokens of address validation are sealed with: that of the process, as a client may
/// come to another worker with its token.
static TOKEN_KEY: LazyLock<Arc<dyn crypto::HandshakeTokenKey>> =
    LazyLock::new(|| -> Arc<dyn crypto::HandshakeTokenKey> {
        let mut secret = [0; 64];
        // Without randomness no handshake comes as far as this.
        let _ = rand::fill(&mut secret);
        Arc::new(hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(&secret))
    });

/// Streams of a client beside its requests: it needs three.
const STREAMS_BESIDE: u32 = 8;
/// Receive window of a stream: the maximum of a body that arrives unread.
const STREAM_WINDOW: u32 = 256 * 1024;
/// Receive window of a connection: the maximum of all bodies that are unread.
const CONNECTION_WINDOW: u32 = 8 * 1024 * 1024;
/// Bytes of answers that a client has not acknowledged.
const SEND_WINDOW: u64 = 1024 * 1024;
/// Silence of a client after which its connection is lost.
const SILENCE: Duration = Duration::from_secs(30);
/// Silence after which a client is asked for a sign of life.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// Bytes of a handshake that arrive out of order.
const CRYPTO_BUFFER: usize = 16 * 1024;
/// Handshakes that no task has taken up yet.
const INCOMING: usize = 1024;
/// Bytes that each of these may have sent, and all of them.
const INCOMING_BYTES: u64 = 64 * 1024;
const INCOMING_BYTES_TOTAL: u64 = 8 * 1024 * 1024;
