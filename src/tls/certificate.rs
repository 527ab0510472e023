//! One certificate with its key, read and checked.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use rustls::{Error, InconsistentKeys, sign::CertifiedKey};
use x509_parser::{
    extensions::GeneralName,
    prelude::{FromDer as _, X509Certificate},
};

use super::{
    file::{self, TlsFault},
    provider,
};

/// The files of a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyPair {
    /// The certificate with those that lead to its authority, as PEM.
    pub chain: PathBuf,
    /// The private key, as PEM.
    pub key: PathBuf,
}

/// A certificate that can be shown.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The DNS names that it is for, in lower case; a wildcard begins with `*.`.
    pub names: Vec<String>,
    /// When it expires, in seconds of Unix time.
    pub expires: i64,
    pub(super) key: Arc<CertifiedKey>,
}

impl Certificate {
    /// Reads a certificate and its key; blocks on the disk.
    ///
    /// # Errors
    /// Why they cannot be used at `now`: unreadable, not a pair, expired.
    pub fn load(files: &KeyPair, now: SystemTime) -> Result<Self, TlsFault> {
        let chain = file::chain(&files.chain)?;
        let key = file::key(&files.key)?;
        let malformed = |reason: String| TlsFault::Malformed {
            path: files.chain.clone(),
            reason,
        };
        let (names, expires) = chain.first().map_or_else(
            || Err(malformed("no certificate".to_owned())),
            |first| read(first).map_err(malformed),
        )?;
        let now_s = now
            .duration_since(UNIX_EPOCH)
            .map_or(0, |now| now.as_secs());
        if expires < i64::try_from(now_s).unwrap_or(i64::MAX) {
            let expired = u64::try_from(expires).unwrap_or(0);
            let at = UNIX_EPOCH + std::time::Duration::from_secs(expired);
            return Err(TlsFault::Expired {
                path: files.chain.clone(),
                at: humantime::format_rfc3339_seconds(at).to_string(),
            });
        }
        let key = CertifiedKey::from_der(chain, key, &provider()).map_err(|error| match error {
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => TlsFault::Mismatch {
                chain: files.chain.clone(),
                key: files.key.clone(),
            },
            Error::InvalidCertificate(reason) => malformed(format!("{reason:?}")),
            error => TlsFault::Key {
                path: files.key.clone(),
                reason: error.to_string(),
            },
        })?;
        Ok(Self {
            names,
            expires,
            key: Arc::new(key),
        })
    }
}

/// The names and the expiry of a certificate. Names are those of the extension (RFC 9525
/// section 2): the common name has not counted for years.
fn read(der: &[u8]) -> Result<(Vec<String>, i64), String> {
    let (_, parsed) = X509Certificate::from_der(der).map_err(|error| error.to_string())?;
    let extension = parsed
        .subject_alternative_name()
        .map_err(|error| error.to_string())?;
    let listed = extension.map_or(&[][..], |extension| &extension.value.general_names);
    let names = listed.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    });
    Ok((names.collect(), parsed.validity().not_after.timestamp()))
}

#[cfg(test)]
pub(super) mod tests {
    use std::{path::Path, time::Duration};

    use super::*;

    /// Writes a fresh certificate for these names.
    pub(in crate::tls) fn written(folder: &Path, stem: &str, names: &[&str]) -> KeyPair {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        let files = KeyPair {
            chain: folder.join(format!("{stem}.pem")),
            key: folder.join(format!("{stem}.key")),
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
        let read = Certificate::load(&a, SystemTime::now()).unwrap();
        assert_eq!(read.names, ["shop.example", "*.shop.example"]);
        let mixed = KeyPair {
            chain: a.chain,
            key: b.key,
        };
        let fault = Certificate::load(&mixed, SystemTime::now()).unwrap_err();
        assert!(matches!(fault, TlsFault::Mismatch { .. }), "{fault}");
    }

    #[test]
    fn a_certificate_is_refused_once_it_has_expired() {
        let folder = tempfile::tempdir().unwrap();
        let files = written(folder.path(), "a", &["a.example"]);
        let read = Certificate::load(&files, SystemTime::now()).unwrap();
        let expires = UNIX_EPOCH + Duration::from_secs(u64::try_from(read.expires).unwrap());
        let fault = Certificate::load(&files, expires + Duration::from_secs(1)).unwrap_err();
        assert!(fault.to_string().contains("expired at"), "{fault}");
    }
}
