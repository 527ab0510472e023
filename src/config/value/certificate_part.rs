//! Parts of a client's certificate that a route may ask for.

use std::fmt;

/// A part of a client's certificate: its subject, or its names of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CertificatePart {
    /// The subject (RFC 4514); there whenever a certificate is.
    Subject,
    /// Any of the DNS names, in lower case.
    Dns,
    /// Any of the URIs.
    Uri,
    /// Any of the mail addresses.
    Email,
    /// Any of the IP addresses.
    Ip,
}

impl CertificatePart {
    /// The key that it is written by.
    pub fn word(self) -> &'static str {
        match self {
            Self::Subject => "subject",
            Self::Dns => "dns",
            Self::Uri => "uri",
            Self::Email => "email",
            Self::Ip => "ip",
        }
    }
}

impl fmt::Display for CertificatePart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
