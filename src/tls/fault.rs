//! The reasons why files of certificates and keys cannot be used, in the operator's words.

use std::{io, path::PathBuf};

use super::ocsp::OcspFault;

/// Why a file of certificates or keys is of no use.
#[derive(Debug, thiserror::Error)]
pub enum TlsFault {
    /// It cannot be read.
    #[error("{} cannot be read: {source}", .path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not PEM, or what is in it is not what its label says.
    #[error("{} is malformed: {reason}", .path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// It has no section of the kind that is looked for.
    #[error("{} has no {what}", .path.display())]
    Empty {
        /// Which file.
        path: PathBuf,
        /// What is missing.
        what: &'static str,
    },
    /// The key is of no kind that can sign here.
    #[error("the key {} cannot be used: {reason}", .path.display())]
    Key {
        /// Which file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The key is sealed with a password, which nobody can type here.
    #[error("the key {} is encrypted with a password", .path.display())]
    Encrypted {
        /// Which file.
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
        /// Which file.
        path: PathBuf,
        /// When, as text.
        at: String,
    },
    /// The certificate's time has not begun.
    #[error("the certificate {} is not valid before {at}", .path.display())]
    Early {
        /// Which file.
        path: PathBuf,
        /// When it begins, as text.
        at: String,
    },
    /// What is to be stapled to a certificate is of no use.
    #[error("the OCSP response {} {fault}", .path.display())]
    Ocsp {
        /// Which file.
        path: PathBuf,
        /// Why.
        fault: OcspFault,
    },
    /// The name to verify is none.
    #[error("\"{0}\" is not a name that a certificate can have")]
    ServerName(String),
    /// Something else that the library refuses.
    #[error("{0}")]
    Refused(#[from] rustls::Error),
}
