//! Reasons why files of certificates and keys cannot be used, in the operator's words.

use std::{io, path::PathBuf};

use super::{ocsp::OcspFault, revocation::ListFault};

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
    /// It is not PEM, or its content does not match its label.
    #[error("{} is malformed: {reason}", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The fault.
        reason: String,
    },
    /// It has no section of the expected kind.
    #[error("{} has no {what}", .path.display())]
    Empty {
        /// The file.
        path: PathBuf,
        /// The missing part.
        what: &'static str,
    },
    /// The key cannot sign here.
    #[error("the key {} cannot be used: {reason}", .path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// The cause.
        reason: String,
    },
    /// The key is encrypted with a password, which cannot be entered here.
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
    /// The certificate has expired.
    #[error("the certificate {} expired at {at}", .path.display())]
    Expired {
        /// The file.
        path: PathBuf,
        /// The time, as text.
        at: String,
    },
    /// The certificate is not valid yet.
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
    /// A revocation list cannot be used.
    #[error("{} line {line}: {fault}", .path.display())]
    RevocationList {
        /// The file.
        path: PathBuf,
        /// The line where the list begins.
        line: usize,
        /// The cause.
        fault: ListFault,
    },
    /// The name to verify is invalid.
    #[error("\"{0}\" is not a name that a certificate can have")]
    ServerName(String),
    /// Any other refusal of the library.
    #[error("{0}")]
    Refused(#[from] rustls::Error),
}

impl TlsFault {
    /// Returns true if the file is not there.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Unreadable { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}
