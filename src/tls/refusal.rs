//! Clients whose certificate was refused, for the log.
//!
//! The library tells why a handshake failed, and not whose certificate it was. The verifier runs
//! within a poll of the handshake, on its thread: it leaves a note there, which whoever polls takes.

use std::{cell::RefCell, fmt::Write as _, future::poll_fn, io, mem, pin::pin};

use rustls::{CertificateError, Error};
use rustls_pki_types::CertificateDer;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::{client::library, revocation::Standing, subject};

/// A certificate of a client that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Its subject, escaped and cut; empty if it cannot be read.
    pub subject: String,
    /// Its serial number, in hexadecimal digits.
    pub serial: String,
    /// The cause.
    pub cause: RefusalCause,
}

/// Causes of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefusalCause {
    /// It is on a revocation list.
    Revoked,
    /// Its authority has no list.
    Unlisted,
    /// The lists of its authority are signed by other keys.
    ListOfOtherKey,
    /// Its authority may not sign lists.
    NoListSigner,
    /// It leads to no authority.
    UnknownIssuer,
    /// The authority that it names has not signed it.
    BadSignature,
    /// Its time is over.
    Expired,
    /// Its time has not come.
    Early,
    /// It is not for clients.
    Purpose,
    /// The client has not its key.
    ForeignKey,
    /// It cannot be read.
    Malformed,
    /// Any other cause.
    Other,
}

impl RefusalCause {
    /// Describes the cause in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Revoked => "its certificate is on a list of client_crl",
            Self::Unlisted => "client_crl has no list of the authority of its certificate",
            Self::ListOfOtherKey => {
                "the list of its authority in client_crl is signed by another key than its certificate"
            }
            Self::NoListSigner => {
                "the authority of its certificate may not sign revocation lists (keyUsage has no cRLSign)"
            }
            Self::UnknownIssuer => {
                "its certificate leads to no authority in client_ca; it may lack an intermediate certificate"
            }
            Self::BadSignature => {
                "its certificate is signed by another key than that of its authority in client_ca"
            }
            Self::Expired => "its certificate, or one above it, has expired",
            Self::Early => "its certificate, or one above it, is not valid yet",
            Self::Purpose => "its certificate is not for clients (extendedKeyUsage)",
            Self::ForeignKey => "it does not have the key of its certificate",
            Self::Malformed => "its certificate cannot be read",
            Self::Other => "its certificate is refused",
        }
    }

    fn of(standing: Option<Standing>, error: &Error) -> Self {
        match (standing, error) {
            (Some(Standing::Revoked), _) => Self::Revoked,
            (Some(Standing::Unlisted), _) => Self::Unlisted,
            (Some(Standing::OtherKey), _) => Self::ListOfOtherKey,
            (Some(Standing::NoSigner), _) => Self::NoListSigner,
            (None, Error::InvalidCertificate(error)) => Self::of_library(error),
            (None, _) => Self::Other,
        }
    }

    fn of_library(error: &CertificateError) -> Self {
        match error {
            CertificateError::UnknownIssuer => Self::UnknownIssuer,
            CertificateError::BadSignature => Self::BadSignature,
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                Self::Early
            }
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                Self::Purpose
            }
            CertificateError::BadEncoding => Self::Malformed,
            _ => Self::Other,
        }
    }
}

/// Returns true if a handshake failed because a client sent no certificate.
pub fn is_certificate_missing(error: &io::Error) -> bool {
    matches!(library(error), Some(Error::NoCertificatesPresented))
}

/// Kind of a violation of TLS, to tell one from another; none if the connection under it failed.
pub fn fault_kind(error: &io::Error) -> Option<FaultKind> {
    library(error).map(|error| FaultKind(mem::discriminant(error)))
}

/// Kind of a violation of TLS. There are few of them, whatever a client sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FaultKind(mem::Discriminant<Error>);

/// Runs a handshake; returns with its result the certificate that it refused.
pub async fn watched<F: Future>(handshake: F) -> (F::Output, Option<Refusal>) {
    let mut handshake = pin!(handshake);
    let mut refused = None;
    let result = poll_fn(|context| {
        let (polled, noted) = noting(|| handshake.as_mut().poll(context));
        refused = noted.or_else(|| refused.take());
        polled
    });
    (result.await, refused)
}

/// Runs a step of a handshake; returns with its result what it noted on this thread.
pub(crate) fn noting<T>(step: impl FnOnce() -> T) -> (T, Option<Refusal>) {
    // A handshake that nobody watches may have left one.
    LAST.take();
    let result = step();
    (result, LAST.take())
}

/// Notes a refusal.
pub(super) fn note(certificate: &CertificateDer<'_>, standing: Option<Standing>, error: &Error) {
    put(certificate, RefusalCause::of(standing, error));
}

/// Notes that a client does not have the key of its certificate.
pub(super) fn note_foreign_key(certificate: &CertificateDer<'_>) {
    put(certificate, RefusalCause::ForeignKey);
}

fn put(certificate: &CertificateDer<'_>, cause: RefusalCause) {
    let mut refusal = Refusal {
        subject: String::new(),
        serial: String::new(),
        cause,
    };
    if let Ok((_, parsed)) = X509Certificate::from_der(certificate) {
        refusal.subject = subject::short(parsed.subject());
        let serial = parsed.raw_serial();
        let digits = serial.strip_prefix(&[0]).filter(|rest| !rest.is_empty());
        for byte in digits.unwrap_or(serial).iter().take(SERIAL_BYTES_MAX) {
            let _ = write!(refusal.serial, "{byte:02X}");
        }
    }
    LAST.set(Some(refusal));
}

thread_local! {
    /// The last refusal on this thread that nobody has taken.
    static LAST: RefCell<Option<Refusal>> = const { RefCell::new(None) };
}

/// Maximum length of a serial number in the log; RFC 5280 allows 20.
const SERIAL_BYTES_MAX: usize = 24;
