//! Reading certificates and keys from PEM files (RFC 7468), and noticing that they changed.

use std::{
    fs::File,
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use rustls::RootCertStore;
use rustls_pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{self, PemObject as _},
};

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

/// Reads the certificates of a file, the end entity's first.
pub(super) fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsFault> {
    let bytes = read(path)?;
    let sections: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&bytes).collect();
    let chain = sections.map_err(|error| malformed(path, &error))?;
    if chain.is_empty() {
        return Err(TlsFault::Empty {
            path: path.to_owned(),
            what: "certificate",
        });
    }
    Ok(chain)
}

/// Reads the first private key of a file.
pub(super) fn key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsFault> {
    let bytes = read(path)?;
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| match error {
        pem::Error::NoItemsFound => TlsFault::Empty {
            path: path.to_owned(),
            what: "private key",
        },
        error => malformed(path, &error),
    })
}

/// Reads authorities to trust.
pub(super) fn roots(path: &Path) -> Result<RootCertStore, TlsFault> {
    let mut roots = RootCertStore::empty();
    for certificate in chain(path)? {
        roots
            .add(certificate)
            .map_err(|error| TlsFault::Malformed {
                path: path.to_owned(),
                reason: error.to_string(),
            })?;
    }
    Ok(roots)
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, TlsFault> {
    let unreadable = |source| TlsFault::Unreadable {
        path: path.to_owned(),
        source,
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    let mut bounded = file.take(FILE_BYTES_MAX + 1);
    bounded.read_to_end(&mut bytes).map_err(unreadable)?;
    if bounded.limit() == 0 {
        return Err(unreadable(io::ErrorKind::FileTooLarge.into()));
    }
    Ok(bytes)
}

fn malformed(path: &Path, error: &pem::Error) -> TlsFault {
    TlsFault::Malformed {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}

/// What tells that files are not what they were: time, size and inode of each.
///
/// Links are followed, so that a mounted secret that changes by a link is noticed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamps(Vec<Option<Stamp>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    modified: (i64, i64),
    length: u64,
    inode: (u64, u64),
}

impl Stamps {
    /// Looks at the files; blocks on the disk.
    pub fn of<P: AsRef<Path>>(files: &[P]) -> Self {
        let stamp = |file: &P| {
            let found = std::fs::metadata(file).ok()?;
            Some(Stamp {
                modified: (found.mtime(), found.mtime_nsec()),
                length: found.len(),
                inode: (found.dev(), found.ino()),
            })
        };
        Self(files.iter().map(stamp).collect())
    }
}

/// Bundles of all public authorities have a quarter of this.
const FILE_BYTES_MAX: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_the_section_says_what_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("empty.pem");
        std::fs::write(&path, "nothing here").unwrap();
        let fault = chain(&path).unwrap_err().to_string();
        assert!(fault.ends_with("empty.pem has no certificate"), "{fault}");
        let fault = key(&path).unwrap_err().to_string();
        assert!(fault.ends_with("has no private key"), "{fault}");
        std::fs::write(&path, "-----BEGIN CERTIFICATE-----\n!!\n").unwrap();
        let fault = chain(&path).unwrap_err();
        assert!(matches!(fault, TlsFault::Malformed { .. }), "{fault}");
        let fault = chain(&folder.path().join("none")).unwrap_err();
        assert!(matches!(fault, TlsFault::Unreadable { .. }), "{fault}");
    }

    #[test]
    fn a_file_that_is_too_long_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("long.pem");
        let file = File::create(&path).unwrap();
        file.set_len(FILE_BYTES_MAX + 1).unwrap();
        assert!(matches!(chain(&path), Err(TlsFault::Unreadable { .. })));
    }

    #[test]
    fn stamps_tell_a_replaced_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.pem");
        let missing = Stamps::of(&[&path]);
        std::fs::write(&path, "1").unwrap();
        let first = Stamps::of(&[&path]);
        assert_ne!(missing, first);
        assert_eq!(first, Stamps::of(&[&path]));
        let other = folder.path().join("b.pem");
        std::fs::write(&other, "2").unwrap();
        std::fs::rename(&other, &path).unwrap();
        assert_ne!(first, Stamps::of(&[&path]));
    }
}
