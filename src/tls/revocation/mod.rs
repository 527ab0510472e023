//! Revocation lists (CRL, RFC 5280 section 5) of the authorities whose clients are accepted.
//!
//! A list whose successor is overdue stays in use: what it names stays revoked, and an authority
//! that is late must not lock out every client. The owner of the file is told instead.
//!
//! Of the lists that one key signed for the same certificates, the newest counts, wherever it stands
//! in the file. A list that no authority can have signed is refused before it is used, since it would
//! lock out every client. A list of an intermediate authority can only be verified with the chain of
//! a client, which has its key.

mod fault;
mod list;
mod scope;
mod signature;

pub use fault::ListFault;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::digest;
use rustls_pki_types::CertificateDer;
use webpki::{Cert, VerifiedPath};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use self::{
    list::{List, newest},
    scope::Role,
};
use super::{Authorities, TlsFault, ocsp, pem};

/// Content of a file of revocation lists, fitted to the authorities.
#[derive(Debug)]
pub struct RevocationLists {
    /// The file.
    pub path: PathBuf,
    /// Things about it that an operator should know, though it can be used.
    pub warnings: Vec<String>,
    lists: Vec<Arc<List>>,
    /// The newest of each series.
    current: Vec<Arc<List>>,
}

/// A list in use, as the operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListInUse {
    /// Its issuer.
    pub issuer: String,
    /// Its number, in decimal digits.
    pub number: Option<String>,
    /// Time at which its successor is due, in seconds of Unix time.
    pub next_update: i64,
    /// The same in RFC 3339.
    pub next_update_text: String,
}

/// Reasons to refuse a client by the lists, the gravest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    /// The authority of a certificate has no list.
    Unlisted,
    /// The lists of the authority's name are signed by other keys.
    OtherKey,
    /// An authority between may not sign lists (RFC 5280 section 4.2.1.3).
    NoSigner,
    /// A certificate is revoked.
    Revoked,
}

impl RevocationLists {
    /// Reads a file; blocks on the disk. Without authorities, which could not be read, only the
    /// lists themselves are checked.
    ///
    /// # Errors
    /// The reason why it has no lists that can be used.
    pub fn load(path: &Path, authorities: Option<&Authorities>) -> Result<Self, TlsFault> {
        let mut lists = Vec::new();
        for (line, der) in pem::revocation_lists(path)? {
            let list = List::read(line, der).map_err(|fault| at(path, line, fault))?;
            lists.push(Arc::new(list));
        }
        let mut warnings = Vec::new();
        if let Some(authorities) = authorities {
            warnings = fit(&lists, authorities).map_err(|(line, fault)| at(path, line, fault))?;
        }
        let mut new = Self {
            path: path.to_owned(),
            current: current(&lists, authorities),
            warnings,
            lists,
        };
        new.tell_old();
        Ok(new)
    }

    /// Returns the same lists for other authorities.
    ///
    /// # Errors
    /// The reason why they cannot be used with these.
    pub(super) fn refit(&self, authorities: &Authorities) -> Result<Self, TlsFault> {
        let warnings = fit(&self.lists, authorities);
        let mut new = Self {
            path: self.path.clone(),
            warnings: warnings.map_err(|(line, fault)| at(&self.path, line, fault))?,
            lists: self.lists.clone(),
            current: current(&self.lists, Some(authorities)),
        };
        new.tell_old();
        Ok(new)
    }

    /// The earliest time at which one of the lists in use should have a successor, in seconds of
    /// Unix time.
    pub fn next_update(&self) -> Option<i64> {
        self.current.iter().map(|list| list.next_update).min()
    }

    /// Returns the time at which a successor was due, if it has passed.
    pub fn overdue(&self, now: SystemTime) -> Option<SystemTime> {
        let due = u64::try_from(self.next_update()?).unwrap_or(0);
        let due = UNIX_EPOCH + Duration::from_secs(due);
        (due < now).then_some(due)
    }

    /// Shows the lists in use.
    pub fn in_use(&self) -> impl Iterator<Item = ListInUse> + '_ {
        self.current.iter().map(|list| ListInUse {
            issuer: list.issuer_text.clone(),
            number: list.number.as_ref().map(|number| number.text.clone()),
            next_update: list.next_update,
            next_update_text: ocsp::time(list.next_update),
        })
    }

    /// Judges a chain of certificates whose signatures were verified: each but the authority's own
    /// must be of an issuer that has a list, and must not be on it.
    pub(super) fn judge(&self, path: &VerifiedPath<'_>) -> Result<(), Standing> {
        let anchor = path.anchor();
        let mut certificate: &Cert<'_> = path.end_entity();
        let mut role = Role::Client;
        for issuer in path.intermediate_certificates() {
            let key = issuer.subject_public_key_info();
            let key = signature::content(&key).ok_or(Standing::OtherKey)?;
            self.judge_one(certificate, role, key)?;
            if !may_sign_lists(&issuer.der()) {
                return Err(Standing::NoSigner);
            }
            (certificate, role) = (issuer, Role::Between);
        }
        self.judge_one(certificate, role, &anchor.subject_public_key_info)
    }

    fn judge_one(
        &self,
        certificate: &Cert<'_>,
        role: Role,
        issuer_key: &[u8],
    ) -> Result<(), Standing> {
        let of_name = self.of_issuer(certificate.issuer());
        if of_name.is_empty() {
            return Err(Standing::Unlisted);
        }
        let of_key = of_name.into_iter().filter(|it| it.is_signed_by(issuer_key));
        let of_key: Vec<&List> = of_key.collect();
        if of_key.is_empty() {
            return Err(Standing::OtherKey);
        }
        let der = certificate.der();
        let (_, parsed) = X509Certificate::from_der(&der).map_err(|_| Standing::Unlisted)?;
        let about = of_key.into_iter().filter(|it| it.scope.has(&parsed, role));
        let about: Vec<&List> = about.collect();
        if about.is_empty() {
            return Err(Standing::Unlisted);
        }
        let newest_of_scope = |it: &&&List| {
            let series = about.iter().filter(|other| other.scope == it.scope);
            let newest = newest(&series.copied().collect::<Vec<_>>());
            newest.is_some_and(|newest| std::ptr::eq(newest, **it))
        };
        let mut counting = about.iter().filter(newest_of_scope);
        match counting.any(|list| list.has(certificate.serial())) {
            true => Err(Standing::Revoked),
            false => Ok(()),
        }
    }

    /// Returns true if a list of the certificate's own issuer has it. For a certificate that is
    /// trusted itself: its issuer's key may be unknown.
    pub(super) fn revokes(&self, certificate: &CertificateDer<'_>) -> bool {
        let Ok((_, certificate)) = X509Certificate::from_der(certificate) else {
            return false;
        };
        let Some(issuer) = signature::content(certificate.issuer().as_raw()) else {
            return false;
        };
        let current = self.current.iter().filter(|list| list.issuer() == issuer);
        current
            .into_iter()
            .any(|list| list.has(certificate.raw_serial()))
    }

    /// Adds the content of the lists to a digest.
    pub(super) fn digest(&self, seen: &mut digest::Context) {
        for list in &self.lists {
            seen.update(&list.der);
        }
    }

    fn of_issuer(&self, issuer: &[u8]) -> Vec<&List> {
        let lists = self.lists.iter().map(|list| &**list);
        lists.filter(|list| list.issuer() == issuer).collect()
    }

    /// Notes the lists that a newer one of the file replaces.
    fn tell_old(&mut self) {
        let old = self.lists.iter();
        let old = old.filter(|list| !is_newest(list, &self.lists));
        let old = old.map(|list| {
            let List {
                line, issuer_text, ..
            } = &**list;
            format!("line {line}: a newer list of {issuer_text} is in the file, which counts")
        });
        let old: Vec<String> = old.collect();
        self.warnings.extend(old);
        let more = self.warnings.len().saturating_sub(WARNINGS_MAX);
        if more > 0 {
            self.warnings.truncate(WARNINGS_MAX);
            self.warnings.push(format!("and {more} more like these"));
        }
    }
}

/// Finds out who signed the lists, and returns what an operator should know; or the first list that
/// would lock out the clients of an authority, with its line.
fn fit(lists: &[Arc<List>], authorities: &Authorities) -> Result<Vec<String>, (usize, ListFault)> {
    let mut warnings = Vec::new();
    let mut fitting = 0;
    for list in lists {
        let issuer = || list.issuer_text.clone();
        let mut keys = authorities.keys_of(list.issuer()).peekable();
        if keys.peek().is_none() {
            fitting += usize::from(authorities.trusts_one_of(list.issuer()));
            if !authorities.trusts_one_of(list.issuer()) {
                warnings.push(format!(
                    "line {}: no authority in client_ca is {}; its list counts only for clients that send the certificate of this authority with theirs",
                    list.line, list.issuer_text
                ));
            }
            continue;
        }
        if keys.any(|key| list.is_signed_by(key)) {
            fitting += 1;
            continue;
        }
        let others = lists.iter().filter(|it| it.issuer() == list.issuer());
        let mut others = others.filter(|other| !Arc::ptr_eq(other, list));
        let fits = |other: &Arc<List>| {
            let mut keys = authorities.keys_of(other.issuer());
            keys.any(|key| other.is_signed_by(key))
        };
        if others.any(fits) {
            warnings.push(format!(
                "line {}: {}",
                list.line,
                ListFault::OtherKey(issuer())
            ));
        } else if signature::is_supported(&list.der) {
            return Err((list.line, ListFault::OtherKey(issuer())));
        } else {
            return Err((list.line, ListFault::Algorithm(issuer())));
        }
    }
    if let (0, Some(first)) = (fitting, lists.first()) {
        let issuer = first.issuer_text.clone();
        return Err((first.line, ListFault::Stranger(issuer)));
    }
    let unlisted = authorities.without(|name, key| {
        let mut lists = lists.iter().filter(|list| list.issuer() == name);
        lists.any(|list| list.is_signed_by(key))
    });
    warnings.extend(unlisted.into_iter().map(|name| {
        format!("has no list of {name}, an authority in client_ca, whose clients are refused")
    }));
    Ok(warnings)
}

/// Returns the newest list of each series, without those that no authority of their name has signed.
fn current(lists: &[Arc<List>], authorities: Option<&Authorities>) -> Vec<Arc<List>> {
    let counts = |list: &List| {
        authorities.is_none_or(|authorities| {
            let mut keys = authorities.keys_of(list.issuer()).peekable();
            keys.peek().is_none() || keys.any(|key| list.is_signed_by(key))
        })
    };
    let newest = lists.iter().filter(|list| is_newest(list, lists));
    newest.filter(|list| counts(list)).map(Arc::clone).collect()
}

/// Returns true if a list is the newest of its series: those of one key, about the same certificates.
fn is_newest(list: &List, lists: &[Arc<List>]) -> bool {
    let is_of_series = |other: &&List| {
        let by_one_key = match (list.signer(), other.signer()) {
            (None, None) => list.key_id == other.key_id,
            (one, other) => one == other,
        };
        by_one_key && other.issuer() == list.issuer() && other.scope == list.scope
    };
    let series = lists.iter().map(|it| &**it).filter(is_of_series);
    let newest = newest(&series.collect::<Vec<_>>());
    newest.is_some_and(|newest| std::ptr::eq(newest, list))
}

/// Returns true if the certificate of an authority lets it sign lists, or does not say.
fn may_sign_lists(certificate: &CertificateDer<'_>) -> bool {
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else {
        return false;
    };
    match parsed.key_usage() {
        Ok(usage) => usage.is_none_or(|usage| usage.value.crl_sign()),
        Err(_) => false,
    }
}

fn at(path: &Path, line: usize, fault: ListFault) -> TlsFault {
    TlsFault::RevocationList {
        path: path.to_owned(),
        line,
        fault,
    }
}

/// Maximum number of warnings about one file.
const WARNINGS_MAX: usize = 8;

#[cfg(test)]
mod tests;
