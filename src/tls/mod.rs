//! TLS (RFC 8446, RFC 5246) on both sides: certificates are read and verified, and the settings of
//! sessions made from them.
//!
//! All code that knows the TLS library's types is here and in [`crate::socket`], so that a new
//! version of it changes one area. The area knows no other: [`ServerTls`] is held by a listener,
//! [`ClientTls`] by a pool. Both keep the content of files behind one swap: a renewed file is
//! applied without touching a connection, and a bad one leaves the old in use.

mod alert;
mod authorities;
mod certificate;
mod challenge;
mod client;
mod client_certificate;
mod client_verifier;
mod fault;
mod file;
mod ocsp;
mod part;
mod pem;
#[cfg(feature = "http3")]
pub(crate) mod quic;
mod refusal;
mod revocation;
mod served_files;
mod server;
mod session;
mod sni;
mod subject;
mod ticket;

pub use alert::is_certificate_refused;
pub use authorities::Authorities;
pub use certificate::{Certificate, KeyPair};
pub use challenge::{Challenge, Challenges, is_verification};
pub use client::{
    Alpn, ClientSettings, ClientTls, is_certificate_fault, is_protocol_fault, is_server_name,
};
pub use client_certificate::ClientCertificate;
pub use fault::TlsFault;
pub use file::Stamps;
pub use ocsp::OcspFault;
pub use part::{Renewal, Renewed};
#[cfg(feature = "http3")]
pub(crate) use refusal::noting;
pub use refusal::{FaultKind, Refusal, RefusalCause, fault_kind, is_certificate_missing, watched};
pub use revocation::{ListFault, ListInUse, RevocationLists};
pub use server::{AcmeFile, ClientAuth, MinimumVersion, ServerSettings, ServerTls};
pub use session::Session;
pub use ticket::{PassedKeys, TicketKeys};

use std::sync::{Arc, LazyLock};

use rustls::crypto::CryptoProvider;

/// Returns the cryptography provider: one for the process, post-quantum key exchange preferred.
fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> =
        LazyLock::new(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    Arc::clone(&PROVIDER)
}
