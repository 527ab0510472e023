//! Handshakes that failed, in the log: who was refused, and why.
//!
//! Clients can cause failures at any rate, so that each cause is logged at most every few seconds for
//! each listener. A revoked certificate is a cause of its own: what strangers send cannot hide it.

use std::{
    fmt::Display,
    io,
    sync::{Arc, LazyLock},
};

use tokio::time::Instant;

use crate::{
    telemetry::log::LogLimit,
    tls::{self, FaultKind, Refusal, RefusalCause},
    worker::Connection,
};

/// Logs a failed handshake of TLS over TCP.
pub(super) fn tell_tls(
    connection: &Connection,
    listener: &Arc<str>,
    error: &io::Error,
    refused: Option<&Refusal>,
) {
    let kind = if tls::is_certificate_missing(error) {
        Some(Kind::NoCertificate)
    } else {
        tls::fault_kind(error).map(Kind::Tls)
    };
    tell(connection, listener, error, kind, refused, "TLS");
}

/// Logs a failed handshake of QUIC; with the code of the violation, if it was one.
#[cfg(feature = "http3")]
pub(super) fn tell_quic(
    connection: &Connection,
    listener: &Arc<str>,
    error: &quinn::ConnectionError,
    refused: Option<&Refusal>,
) {
    let kind = match error {
        quinn::ConnectionError::TransportError(error) => Some(match u64::from(error.code) {
            CERTIFICATE_REQUIRED => Kind::NoCertificate,
            code => Kind::Quic(code),
        }),
        _ => None,
    };
    tell(connection, listener, error, kind, refused, "QUIC");
}

/// Causes that are logged separately.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Kind {
    /// The client's certificate was refused.
    Certificate(RefusalCause),
    /// The certificate of this serial number is revoked.
    Revoked(String),
    /// The client has no certificate.
    NoCertificate,
    /// Any other violation of TLS.
    Tls(FaultKind),
    /// Any other violation of QUIC, by its code.
    #[cfg(feature = "http3")]
    Quic(u64),
}

fn tell(
    connection: &Connection,
    listener: &Arc<str>,
    error: &dyn Display,
    kind: Option<Kind>,
    refused: Option<&Refusal>,
    protocol: &'static str,
) {
    let client = connection.peer();
    let kind = match refused {
        Some(Refusal {
            cause: RefusalCause::Revoked,
            serial,
            ..
        }) => Some(Kind::Revoked(serial.clone())),
        Some(refusal) => Some(Kind::Certificate(refusal.cause)),
        None => kind,
    };
    let Some(kind) = kind else {
        // It connected and left, or its network did.
        tracing::debug!(%listener, %client, %error, "{protocol} handshake failed");
        return;
    };
    let why = match (refused, &kind) {
        (Some(refusal), _) => Some(refusal.cause.words()),
        (None, Kind::NoCertificate) => Some("it sent no certificate, and client_auth requires one"),
        _ => None,
    };
    let Some(passed_over) = TOLD.due((Arc::clone(listener), kind), Instant::now()) else {
        return;
    };
    let subject = refused.map(|it| it.subject.as_str());
    let serial = refused.map(|it| it.serial.as_str());
    tracing::warn!(
        %listener, %client, subject, serial, %error, why, passed_over,
        "{protocol} handshake with a client failed"
    );
}

static TOLD: LazyLock<LogLimit<(Arc<str>, Kind)>> = LazyLock::new(LogLimit::default);

/// Code of QUIC for the alert `certificate_required` (RFC 9001 section 4.8).
#[cfg(feature = "http3")]
const CERTIFICATE_REQUIRED: u64 = 0x100 + 116;
