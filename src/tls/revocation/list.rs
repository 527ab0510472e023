//! One revocation list as read, and the reasons why it cannot be used.

use std::{
    cmp::Ordering,
    sync::{Mutex, OnceLock, PoisonError},
};

use rustls_pki_types::CertificateRevocationListDer;
use webpki::{BorrowedCertRevocationList, CertRevocationList, Error, OwnedCertRevocationList};
use x509_parser::{
    extensions::ParsedExtension,
    oid_registry::{
        OID_X509_EXT_AUTHORITY_KEY_IDENTIFIER, OID_X509_EXT_DELTA_CRL_INDICATOR,
        OID_X509_EXT_ISSUER_DISTRIBUTION_POINT, Oid,
    },
    prelude::{CertificateRevocationList, FromDer as _, X509Version},
};

use super::{
    ListFault,
    scope::Scope,
    signature::{self, Signed},
};
use crate::tls::subject;

/// A revocation list.
#[derive(Debug)]
pub(super) struct List {
    /// The line of the file where it begins.
    pub(super) line: usize,
    /// Its issuer, as text.
    pub(super) issuer_text: String,
    /// Identifier of the key that signed it, as it says.
    pub(super) key_id: Option<Vec<u8>>,
    pub(super) scope: Scope,
    /// Its number in the series of its issuer.
    pub(super) number: Option<Number>,
    /// Time at which it was made, in seconds of Unix time.
    pub(super) made: i64,
    /// Time at which its successor is due.
    pub(super) next_update: i64,
    pub(super) der: CertificateRevocationListDer<'static>,
    revoked: CertRevocationList<'static>,
    /// The key that signed it, once it is known: each is verified once, not for each client.
    signer: OnceLock<Vec<u8>>,
    /// Keys that have not signed it, for the same reason.
    strangers: Mutex<Vec<Vec<u8>>>,
}

/// Number of a list, which grows from list to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Number {
    bytes: Vec<u8>,
    /// In decimal digits.
    pub(super) text: String,
}

impl List {
    pub(super) fn read(
        line: usize,
        der: CertificateRevocationListDer<'static>,
    ) -> Result<Self, ListFault> {
        let Ok(([], parsed)) = CertificateRevocationList::from_der(&der) else {
            return Err(ListFault::Malformed);
        };
        let issuer = || subject::short(parsed.issuer());
        let extension = |oid: &Oid<'_>| {
            let found = parsed.extensions().iter().find(|it| it.oid == *oid);
            found.map(|it| it.parsed_extension())
        };
        if parsed.version() != Some(X509Version::V2) || parsed.extensions().is_empty() {
            return Err(ListFault::Version1(issuer()));
        }
        if extension(&OID_X509_EXT_DELTA_CRL_INDICATOR).is_some() {
            return Err(ListFault::Delta(issuer()));
        }
        let Some(next_update) = parsed.next_update() else {
            return Err(ListFault::Endless(issuer()));
        };
        let scope = match extension(&OID_X509_EXT_ISSUER_DISTRIBUTION_POINT) {
            None => Some(Scope::default()),
            Some(ParsedExtension::IssuingDistributionPoint(said)) => Scope::of(said),
            Some(_) => None,
        };
        let Some(scope) = scope else {
            return Err(ListFault::Partial(issuer()));
        };
        // What the library does not know must not be passed over.
        let strict = BorrowedCertRevocationList::from_der(&der);
        let strict: Result<OwnedCertRevocationList, _> = strict.and_then(|it| it.to_owned());
        let revoked = match strict {
            Ok(revoked) => CertRevocationList::from(revoked),
            Err(
                Error::UnsupportedIndirectCrl
                | Error::UnsupportedCrlIssuingDistributionPoint
                | Error::UnsupportedRevocationReasonsPartitioning,
            ) => return Err(ListFault::Partial(issuer())),
            Err(error) => {
                let (issuer, what) = (issuer(), error.to_string());
                return Err(ListFault::Unsupported { issuer, what });
            }
        };
        let key_id = match extension(&OID_X509_EXT_AUTHORITY_KEY_IDENTIFIER) {
            Some(ParsedExtension::AuthorityKeyIdentifier(said)) => {
                said.key_identifier.as_ref().map(|it| it.0.to_vec())
            }
            _ => None,
        };
        Ok(Self {
            line,
            issuer_text: issuer(),
            key_id,
            scope,
            number: parsed.crl_number().map(|number| Number {
                bytes: number.to_bytes_be(),
                text: number.to_string(),
            }),
            made: parsed.last_update().timestamp(),
            next_update: next_update.timestamp(),
            revoked,
            signer: OnceLock::new(),
            strangers: Mutex::default(),
            der,
        })
    }

    /// The issuer's name, as the library has it: the content of the sequence.
    pub(super) fn issuer(&self) -> &[u8] {
        self.revoked.issuer()
    }

    /// Returns true if this key signed it; the content of a `SubjectPublicKeyInfo`.
    pub(super) fn is_signed_by(&self, key: &[u8]) -> bool {
        if let Some(signer) = self.signer.get() {
            return signer == key;
        }
        let strangers = || {
            self.strangers
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        if strangers().iter().any(|stranger| stranger == key) {
            return false;
        }
        let signed = signature::verify(&self.der, key) == Signed::ByIt;
        if signed {
            let _ = self.signer.set(key.to_vec());
        } else if strangers().len() < STRANGERS_MAX {
            strangers().push(key.to_vec());
        }
        signed
    }

    /// The key that signed it, as far as that has been found out.
    pub(super) fn signer(&self) -> Option<&[u8]> {
        self.signer.get().map(Vec::as_slice)
    }

    /// Returns true if the certificate of this serial number is on it.
    pub(super) fn has(&self, serial: &[u8]) -> bool {
        // Entries that cannot be read were refused at the reading.
        !matches!(self.revoked.find_serial(serial), Ok(None))
    }
}

/// Returns the newest of some lists of one series: the one with the highest number, or that was made
/// last, where one of them has no number.
pub(super) fn newest<'a>(series: &[&'a List]) -> Option<&'a List> {
    let numbered = series.iter().all(|list| list.number.is_some());
    let order = |a: &&&List, b: &&&List| {
        let by_number = match (&a.number, &b.number) {
            (Some(a), Some(b)) if numbered => a.cmp(b),
            _ => Ordering::Equal,
        };
        by_number.then(a.made.cmp(&b.made))
    };
    series.iter().max_by(order).copied()
}

impl Ord for Number {
    /// As a number: bytes have no leading zero.
    fn cmp(&self, other: &Self) -> Ordering {
        let by_length = self.bytes.len().cmp(&other.bytes.len());
        by_length.then_with(|| self.bytes.cmp(&other.bytes))
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Maximum number of keys that a list is known not to be of.
const STRANGERS_MAX: usize = 16;
