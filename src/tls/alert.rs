//! TLS alerts that arrive after the handshake.
//!
//! With TLS 1.3 a client completes the handshake before the server has seen its certificate: a
//! server that wants another one sends an alert when the first request is on its way (RFC 8446
//! section 4.4.2.4).

use std::io;

use rustls::AlertDescription;

use super::client::library;

/// Returns true if an endpoint refuses the proxy's certificate, or requires one: its handshake is
/// not complete then, and it has read nothing that was sent after the handshake.
pub fn is_certificate_refused(error: &io::Error) -> bool {
    use AlertDescription as Alert;
    matches!(
        library(error),
        Some(rustls::Error::AlertReceived(
            Alert::CertificateRequired
                | Alert::BadCertificate
                | Alert::UnsupportedCertificate
                | Alert::CertificateRevoked
                | Alert::CertificateExpired
                | Alert::CertificateUnknown
                | Alert::UnknownCA
        ))
    )
}
