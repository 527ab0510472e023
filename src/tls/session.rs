//! Result of a handshake, for routing, headers, logs and metrics.

use rustls::{CommonState, HandshakeKind};

use super::ClientCertificate;

/// An established TLS session, as shown in logs and headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Version and cipher suite, such as `TLSv1.3/AES_256_GCM_SHA384`.
    pub cipher: String,
    /// The name that the client asked for, in lower case.
    pub server_name: Option<Box<str>>,
    /// Content of the client's verified certificate.
    pub client: Option<ClientCertificate>,
    /// The protocol agreed on is HTTP/2.
    pub http2: bool,
    /// The session was resumed, which costs no signature.
    pub resumed: bool,
}

impl Session {
    /// Reads the result of the handshake; `server_name` is the name that the client asked for.
    pub fn new(state: &CommonState, server_name: Option<&str>) -> Self {
        let version = match state.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2",
            Some(rustls::ProtocolVersion::TLSv1_3) => "TLSv1.3",
            _ => "TLS",
        };
        let suite = state
            .negotiated_cipher_suite()
            .and_then(|suite| suite.suite().as_str())
            .unwrap_or_default();
        let suite = suite
            .strip_prefix("TLS13_")
            .or_else(|| suite.strip_prefix("TLS_"))
            .unwrap_or(suite);
        let certificate = state.peer_certificates().and_then(|chain| chain.first());
        Self {
            cipher: format!("{version}/{suite}"),
            server_name: server_name.map(name_of),
            client: certificate.map(|der| ClientCertificate::of(der)),
            http2: state.alpn_protocol() == Some(b"h2"),
            resumed: state.handshake_kind() == Some(HandshakeKind::Resumed),
        }
    }
}

/// Returns a name that a client asked for as it is compared: in lower case, without a final dot.
fn name_of(name: &str) -> Box<str> {
    let name = name.strip_suffix('.').unwrap_or(name);
    name.to_ascii_lowercase().into()
}
