//! One certificate with its key, read and verified.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use rustls::{Error, InconsistentKeys, sign::CertifiedKey};
use x509_parser::{
    extensions::GeneralName,
    prelude::{FromDer as _, X509Certificate},
};

use super::{
    TlsFault, file,
    ocsp::{self, Staple},
    pem, provider,
};

/// The files of a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyPair {
    /// The certificate with its intermediates, as PEM.
    pub chain: PathBuf,
    /// The private key, as PEM.
    pub key: PathBuf,
    /// File of the OCSP response in DER to staple to it.
    pub ocsp: Option<PathBuf>,
}

impl KeyPair {
    /// Certificate and key in one file.
    pub fn in_one(path: &Path) -> Self {
        Self {
            chain: path.to_owned(),
            key: path.to_owned(),
            ocsp: None,
        }
    }

    /// Each of the files.
    pub(super) fn paths(&self) -> impl Iterator<Item = &Path> {
        let ocsp = self.ocsp.as_deref();
        [self.chain.as_path(), self.key.as_path()]
            .into_iter()
            .chain(ocsp)
    }
}

/// A certificate that can be presented.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// Files that it was read from.
    pub files: KeyPair,
    /// The DNS names that it is for, in lower case; a wildcard begins with `*.`.
    pub names: Vec<String>,
    /// Start of its validity, in seconds of Unix time.
    pub begins: i64,
    /// End of its validity, in seconds of Unix time.
    pub expires: i64,
    /// Without an OCSP response.
    pub(super) key: Arc<CertifiedKey>,
    /// With the OCSP response.
    pub(super) stapled: Option<Stapled>,
}

/// A certificate with its OCSP response.
#[derive(Clone, Debug)]
pub(super) struct Stapled {
    pub(super) key: Arc<CertifiedKey>,
    staple: Arc<Staple>,
}

impl Certificate {
    /// Reads a certificate and its key, valid now or not; blocks on the disk.
    ///
    /// # Errors
    /// The reason why they cannot be used: unreadable, not a pair, a response about another
    /// certificate.
    pub fn load(files: &KeyPair) -> Result<Self, TlsFault> {
        let chain = pem::chain(&files.chain)?;
        let key = pem::key(&files.key)?;
        let malformed = |reason: String| TlsFault::Malformed {
            path: files.chain.clone(),
            reason,
        };
        let first = chain.first();
        let first = first.ok_or_else(|| malformed("no certificate".to_owned()))?;
        let (_, parsed) =
            X509Certificate::from_der(first).map_err(|error| malformed(error.to_string()))?;
        let names = names(&parsed).map_err(malformed)?;
        let begins = parsed.validity().not_before.timestamp();
        let expires = parsed.validity().not_after.timestamp();
        let staple = match &files.ocsp {
            None => None,
            Some(path) => {
                let staple = Staple::read(file::read(path)?, &parsed);
                Some(staple.map_err(|fault| TlsFault::Ocsp {
                    path: path.clone(),
                    fault,
                })?)
            }
        };
        let key =
            CertifiedKey::from_der(chain.clone(), key, &provider()).map_err(
                |error| match error {
                    Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => TlsFault::Mismatch {
                        chain: files.chain.clone(),
                        key: files.key.clone(),
                    },
                    Error::InvalidCertificate(reason) => malformed(format!("{reason:?}")),
                    error => TlsFault::Key {
                        path: files.key.clone(),
                        reason: error.to_string(),
                    },
                },
            )?;
        let stapled = staple.map(|staple| Stapled {
            key: Arc::new(CertifiedKey {
                ocsp: Some(staple.der.clone()),
                ..key.clone()
            }),
            staple: Arc::new(staple),
        });
        Ok(Self {
            files: files.clone(),
            names,
            begins,
            expires,
            key: Arc::new(key),
            stapled,
        })
    }

    /// Reads the files that replace the certificate in use; blocks on the disk.
    ///
    /// # Errors
    /// As [`Self::load`] and [`Self::overdue_beside`].
    pub(super) fn renewed(
        files: &KeyPair,
        used: Option<&Self>,
        now: SystemTime,
    ) -> Result<Self, TlsFault> {
        let new = Self::load(files)?;
        match new.overdue_beside(used, now) {
            Some(fault) => Err(fault),
            None => Ok(new),
        }
    }

    /// Returns the fault of the part that is expired or not yet valid: the certificate, else the
    /// OCSP response.
    pub fn overdue(&self, now: SystemTime) -> Option<TlsFault> {
        self.out_of_time(now).or_else(|| self.staple_overdue(now))
    }

    /// Checks as [`Self::overdue`], but tolerates a fault that `used` has as well.
    pub fn overdue_beside(&self, used: Option<&Self>, now: SystemTime) -> Option<TlsFault> {
        let Some(used) = used else {
            return self.overdue(now);
        };
        if self.key.cert.first() != used.key.cert.first()
            && let Some(fault) = self.out_of_time(now)
        {
            return Some(fault);
        }
        let staple = |it: &Self| it.stapled.as_ref().map(|it| Arc::clone(&it.staple));
        self.staple_overdue(now)
            .filter(|_| staple(self) != staple(used))
    }

    /// Returns the reason why no OCSP response is stapled to it at this time, if none is.
    pub fn staple_overdue(&self, now: SystemTime) -> Option<TlsFault> {
        let stapled = self.stapled.as_ref()?;
        Some(TlsFault::Ocsp {
            path: self.files.ocsp.clone()?,
            fault: stapled.staple.overdue(ocsp::unix_s(now))?,
        })
    }

    /// Returns whether its end is near or over at this time, in seconds of Unix time: from two weeks
    /// before the end, or for the last quarter of a shorter life.
    pub fn expires_soon(&self, now: i64) -> bool {
        let life = self.expires.saturating_sub(self.begins);
        self.expires.saturating_sub(now) < SOON.min(life / 4)
    }

    fn out_of_time(&self, now: SystemTime) -> Option<TlsFault> {
        let now = ocsp::unix_s(now);
        let path = || self.files.chain.clone();
        if self.expires < now {
            let at = ocsp::time(self.expires);
            return Some(TlsFault::Expired { path: path(), at });
        }
        (now < self.begins).then(|| TlsFault::Early {
            path: path(),
            at: ocsp::time(self.begins),
        })
    }

    /// Returns the certificate to present at this time: with the OCSP response while that is valid.
    pub(super) fn shown(&self, now: SystemTime) -> &Arc<CertifiedKey> {
        let counts = |it: &&Stapled| it.staple.overdue(ocsp::unix_s(now)).is_none();
        let stapled = self.stapled.as_ref().filter(counts);
        stapled.map_or(&self.key, |stapled| &stapled.key)
    }
}

/// Seconds before the end of a certificate from which on it is warned of.
const SOON: i64 = 14 * 24 * 3600;

/// Returns the names of a certificate: those of the extension (RFC 9525 section 2); the common name
/// is obsolete.
fn names(certificate: &X509Certificate<'_>) -> Result<Vec<String>, String> {
    let extension = certificate
        .subject_alternative_name()
        .map_err(|error| error.to_string())?;
    let listed = extension.map_or(&[][..], |extension| &extension.value.general_names);
    let names = listed.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    });
    Ok(names.collect())
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    /// Writes a new certificate for these names.
    pub(in crate::tls) fn written(folder: &Path, stem: &str, names: &[&str]) -> KeyPair {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        let files = KeyPair {
            chain: folder.join(format!("{stem}.pem")),
            key: folder.join(format!("{stem}.key")),
            ocsp: None,
        };
        std::fs::write(&files.chain, made.cert.pem()).unwrap();
        std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
        files
    }

    #[test]
    fn names_come_in_lower_case_and_a_stranger_s_key_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let a = written(folder.path(), "a", &["Shop.Example", "*.shop.example"]);
        let b = written(folder.path(), "b", &["b.example"]);
        let read = Certificate::load(&a).unwrap();
        assert_eq!(read.names, ["shop.example", "*.shop.example"]);
        let mixed = KeyPair {
            chain: a.chain,
            key: b.key,
            ocsp: None,
        };
        let fault = Certificate::load(&mixed).unwrap_err();
        assert!(matches!(fault, TlsFault::Mismatch { .. }), "{fault}");
    }

    #[test]
    fn an_expired_certificate_is_overdue_but_no_worse_than_itself() {
        let folder = tempfile::tempdir().unwrap();
        let files = written(folder.path(), "a", &["a.example"]);
        let read = Certificate::load(&files).unwrap();
        let expires = UNIX_EPOCH + Duration::from_secs(u64::try_from(read.expires).unwrap());
        assert!(read.overdue(expires).is_none());
        let after = expires + Duration::from_secs(1);
        let fault = read.overdue(after).unwrap();
        assert!(fault.to_string().contains("expired at"), "{fault}");
        assert!(read.overdue_beside(Some(&read.clone()), after).is_none());
        let other = Certificate::load(&written(folder.path(), "b", &["a.example"])).unwrap();
        assert!(other.overdue_beside(Some(&read), after).is_some());
        assert!(other.overdue_beside(None, after).is_some());
    }
}
