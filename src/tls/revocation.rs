//! Revocation lists (CRL, RFC 5280 section 5) of the authorities whose clients are accepted.
//!
//! A list whose successor is overdue stays in use: what it names stays revoked, and an authority
//! that is late must not lock out every client. The owner of the file is told instead.

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::digest;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};
use x509_parser::prelude::{CertificateRevocationList, FromDer as _, X509Certificate};

use super::{TlsFault, pem};

/// Content of a file of revocation lists.
#[derive(Debug)]
pub struct RevocationLists {
    /// The file.
    pub path: PathBuf,
    /// The earliest time at which one of the lists should have a successor, in seconds of Unix
    /// time; none if no list says so.
    pub next_update: Option<i64>,
    lists: Vec<CertificateRevocationListDer<'static>>,
}

impl RevocationLists {
    /// Reads a file; blocks on the disk.
    ///
    /// # Errors
    /// The reason why it has no lists that can be used.
    pub fn load(path: &Path) -> Result<Self, TlsFault> {
        let lists = pem::revocation_lists(path)?;
        let mut next_update: Option<i64> = None;
        for (at, list) in lists.iter().enumerate() {
            let parsed = parse(list).ok_or_else(|| TlsFault::Malformed {
                path: path.to_owned(),
                reason: format!("section {} is not a revocation list", at + 1),
            })?;
            let next = parsed.next_update().map(|time| time.timestamp());
            next_update = next_update.into_iter().chain(next).min();
        }
        Ok(Self {
            path: path.to_owned(),
            next_update,
            lists,
        })
    }

    /// Returns the time at which a successor was due, if it has passed.
    pub fn overdue(&self, now: SystemTime) -> Option<SystemTime> {
        let due = u64::try_from(self.next_update?).unwrap_or(0);
        let due = UNIX_EPOCH + Duration::from_secs(due);
        (due < now).then_some(due)
    }

    /// The lists, for a verifier of certificates.
    pub(super) fn lists(&self) -> Vec<CertificateRevocationListDer<'static>> {
        self.lists.clone()
    }

    /// Returns true if the certificate's own authority has revoked it. Costs a walk over the lists.
    pub(super) fn revokes(&self, certificate: &CertificateDer<'_>) -> bool {
        let Ok((_, certificate)) = X509Certificate::from_der(certificate) else {
            return false;
        };
        self.lists.iter().filter_map(parse).any(|list| {
            list.issuer().as_raw() == certificate.issuer().as_raw()
                && list
                    .iter_revoked_certificates()
                    .any(|it| it.raw_serial() == certificate.raw_serial())
        })
    }

    /// Adds the content of the lists to a digest.
    pub(super) fn digest(&self, seen: &mut digest::Context) {
        for list in &self.lists {
            seen.update(list);
        }
    }
}

fn parse<'a>(list: &'a CertificateRevocationListDer<'_>) -> Option<CertificateRevocationList<'a>> {
    let (rest, list) = CertificateRevocationList::from_der(list).ok()?;
    rest.is_empty().then_some(list)
}
