//! The reasons why files of certificates and keys cannot be used, in the operator's words.

use std::{io, path::PathBuf};

use super::ocsp::OcspFault;

/// Reasons why a file of certificates or keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsFault {
    /// It cannot be read.
    #[error("{} cannot be read: {source}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// It is not PEM, or what is in it is not what its label says.
    #[error("{} is malformed: {reason}", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The fault.
        reason: String,
    },
    /// It has no section of the kind that is looked for.
    #[error("{} has no {what}", .path.display())]
    Empty {
        /// The file.
        path: PathBuf,
        /// The missing part.
        what: &'static str,
    },
    /// The key is of no kind that can sign here.
    #[error("the key {} cannot be used: {reason}", .path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// The cause.
        reason: String,
    },
    /// The key is sealed with a password, which nobody can type here.
    #[error("the key {} is encrypted with a password", .path.display())]
    Encrypted {
        /// The file.
        path: PathBuf,
    },
    /// Certificate and key do not belong together.
    #[error("the key {} does not belong to the certificate {}", .key.display(), .chain.display())]
    Mismatch {
        /// The file of the certificate.
        chain: PathBuf,
        /// The file of the key.
        key: PathBuf,
    },
    /// The certificate's time is over.
    #[error("the certificate {} expired at {at}", .path.display())]
    Expired {
        /// The file.
        path: PathBuf,
        /// The time, as text.
        at: String,
    },
    /// The certificate's time has not begun.
    #[error("the certificate {} is not valid before {at}", .path.display())]
    Early {
        /// The file.
        path: PathBuf,
        /// Start of its validity, as text.
        at: String,
    },
    /// The OCSP response to staple to a certificate cannot be used.
    #[error("the OCSP response {} {fault}", .path.display())]
    Ocsp {
        /// The file.
        path: PathBuf,
        /// The cause.
        fault: OcspFault,
    },
    /// The name to verify is none.
    #[error("\"{0}\" is not a name that a certificate can have")]
    ServerName(String),
    /// Something else that the library refuses.
    #[error("{0}")]
    Refused(#[from] rustls::Error),
}
