//! Reasons why a revocation list cannot be used, in the operator's words.

use std::fmt;

/// Reasons why a revocation list cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListFault {
    /// It is not a revocation list.
    Malformed,
    /// It has the form without extensions; the issuer.
    Version1(String),
    /// It does not say when its successor is due; the issuer.
    Endless(String),
    /// It has only what changed since another list; the issuer.
    Delta(String),
    /// It covers a part of the certificates in a way that is not supported; the issuer.
    Partial(String),
    /// It has another thing that is not supported.
    Unsupported {
        /// Its issuer.
        issuer: String,
        /// The library's word for it.
        what: String,
    },
    /// No authority of this name has the key that signed it; the issuer.
    OtherKey(String),
    /// It is signed with an algorithm that is not supported; the issuer.
    Algorithm(String),
    /// No list of the file is of an authority of `client_ca`; the issuer of the first one.
    Stranger(String),
}

impl ListFault {
    /// Says how the fault is mended.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Malformed => "lists in PEM, as `openssl ca -gencrl` writes them",
            Self::Version1(_) => {
                "version 2 is needed: with crlnumber and crl_extensions in the section of the CA, `openssl ca -gencrl` writes it"
            }
            Self::Endless(_) => "`openssl ca -gencrl -crldays 30` sets it",
            Self::Delta(_) => "a complete list is needed",
            Self::Partial(_) => {
                "a list of all certificates of the authority is needed, or one that names its distribution point by a URI and nothing else"
            }
            Self::Unsupported { .. } => "a list as RFC 5280 has it is needed",
            Self::OtherKey(_) => {
                "get the list from the authority in client_ca, or add the certificate with the other key there"
            }
            Self::Algorithm(_) => {
                "sign it with SHA-256 or better, by RSA (2048 bits or more), ECDSA or Ed25519"
            }
            Self::Stranger(_) => {
                "each authority in client_ca needs its list here, or its clients are refused"
            }
        }
    }
}

impl fmt::Display for ListFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("this is not a revocation list"),
            Self::Version1(issuer) => {
                write!(
                    f,
                    "the list of {issuer} is a version 1 list, without extensions"
                )
            }
            Self::Endless(issuer) => {
                write!(f, "the list of {issuer} does not say when the next is due")
            }
            Self::Delta(issuer) => write!(
                f,
                "the list of {issuer} is a delta list: it has only what changed since another"
            ),
            Self::Partial(issuer) => write!(
                f,
                "the list of {issuer} is limited to some certificates (issuingDistributionPoint) in a way that is not supported"
            ),
            Self::Unsupported { issuer, what } => {
                write!(f, "the list of {issuer} cannot be used: {what}")
            }
            Self::OtherKey(issuer) => write!(
                f,
                "the list of {issuer} is signed by another key than that of this authority in client_ca"
            ),
            Self::Algorithm(issuer) => write!(
                f,
                "the list of {issuer} is signed with an algorithm that is not supported"
            ),
            Self::Stranger(issuer) => write!(
                f,
                "no list of the file is of an authority in client_ca; this one is of {issuer}"
            ),
        }
    }
}
