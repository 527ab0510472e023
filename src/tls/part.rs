//! Content of files that belong together, renewed apart from the rest.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use super::{
    AcmeFile, Stamps, TlsFault,
    authorities::Authorities,
    certificate::{Certificate, KeyPair},
    revocation::RevocationLists,
};

/// Content of files, and their stamps at the reading.
#[derive(Clone, Debug)]
pub(super) struct Part<T> {
    pub(super) value: T,
    pub(super) stamps: Stamps,
}

/// Result of reading changed files again, part by part.
#[derive(Debug, Default)]
pub struct Renewal {
    /// Parts that were renewed.
    pub renewed: Vec<Renewed>,
    /// Faults of the parts that were not renewed: each keeps its old content.
    pub faults: Vec<TlsFault>,
    /// Things about the new content that an operator should know.
    pub warnings: Vec<String>,
}

/// A part that was renewed.
#[derive(Clone, Debug)]
pub enum Renewed {
    /// A certificate; the file of its chain.
    Certificate(PathBuf),
    /// Trusted authorities; their file.
    Authorities(PathBuf),
    /// Revocation lists of clients.
    RevocationLists(Arc<RevocationLists>),
}

impl<T: Clone> Part<T> {
    /// Reads the files; blocks on the disk.
    pub(super) fn read(
        files: &[&Path],
        read: impl FnOnce() -> Result<T, TlsFault>,
    ) -> Result<Self, TlsFault> {
        // Before the files are read: a change in between is then found by the next look.
        let stamps = Stamps::of(files);
        let value = read()?;
        Ok(Self { value, stamps })
    }

    /// Reads the files again if they changed; after a fault this part stays unchanged.
    pub(super) fn renewed(
        &self,
        files: &[&Path],
        read: impl FnOnce() -> Result<T, TlsFault>,
        named: impl FnOnce(&T) -> Renewed,
        renewal: &mut Renewal,
    ) -> Self {
        if Stamps::of(files) == self.stamps {
            return self.clone();
        }
        match Self::read(files, read) {
            Ok(part) => {
                renewal.renewed.push(named(&part.value));
                part
            }
            Err(fault) => {
                renewal.faults.push(fault);
                self.clone()
            }
        }
    }
}

impl Part<Arc<Certificate>> {
    /// Reads a certificate with its key; blocks on the disk.
    pub(super) fn certificate(files: &KeyPair) -> Result<Self, TlsFault> {
        let read = || Certificate::load(files).map(Arc::new);
        Self::read(&files.paths().collect::<Vec<_>>(), read)
    }

    /// Reads the pair again if it changed; an expired one leaves this part unchanged.
    pub(super) fn renewed_certificate(&self, now: SystemTime, renewal: &mut Renewal) -> Self {
        let files = &self.value.files;
        let read = || Certificate::renewed(files, Some(&self.value), now).map(Arc::new);
        let named = |_: &_| Renewed::Certificate(files.chain.clone());
        self.renewed(&files.paths().collect::<Vec<_>>(), read, named, renewal)
    }
}

impl Part<Option<Arc<Certificate>>> {
    /// Reads a certificate that a CA issues, or the one that stands in for it; blocks on the disk.
    /// One that cannot be used is none, and is ordered anew.
    pub(super) fn issued(acme: &AcmeFile) -> Self {
        let stamps = Stamps::of(&[&acme.path]);
        let value = match Certificate::load(&KeyPair::in_one(&acme.path)) {
            Ok(certificate) => Some(Arc::new(certificate)),
            Err(fault) => {
                if !fault.is_missing() {
                    tracing::error!(%fault, "an issued certificate cannot be used");
                }
                stand_in(acme, SystemTime::now()).map(Arc::new)
            }
        };
        Self { value, stamps }
    }

    /// Reads the certificate again if it changed; a file that is removed leaves this part unchanged.
    pub(super) fn renewed_issued(
        &self,
        path: &Path,
        now: SystemTime,
        renewal: &mut Renewal,
    ) -> Self {
        let files = KeyPair::in_one(path);
        let used = self.value.as_deref();
        let read = || Certificate::renewed(&files, used, now).map(|it| Some(Arc::new(it)));
        let named = |_: &_| Renewed::Certificate(path.to_owned());
        self.renewed(&[path], read, named, renewal)
    }
}

impl Part<Arc<Authorities>> {
    /// Reads authorities; blocks on the disk.
    pub(super) fn authorities(ca: &Path) -> Result<Self, TlsFault> {
        Self::read(&[ca], || Authorities::load(ca).map(Arc::new))
    }

    /// Reads the authorities again if they changed.
    pub(super) fn renewed_authorities(&self, ca: &Path, renewal: &mut Renewal) -> Self {
        let named = |_: &_| Renewed::Authorities(ca.to_owned());
        self.renewed(
            &[ca],
            || Authorities::load(ca).map(Arc::new),
            named,
            renewal,
        )
    }
}

impl Part<Arc<RevocationLists>> {
    /// Reads revocation lists of some authorities; blocks on the disk.
    pub(super) fn revocation_lists(
        file: &Path,
        authorities: &Authorities,
    ) -> Result<Self, TlsFault> {
        Self::read(&[file], || {
            RevocationLists::load(file, Some(authorities)).map(Arc::new)
        })
    }

    /// Reads the lists again if they changed.
    pub(super) fn renewed_lists(
        &self,
        file: &Path,
        authorities: &Authorities,
        renewal: &mut Renewal,
    ) -> Self {
        let read = || RevocationLists::load(file, Some(authorities)).map(Arc::new);
        let named = |lists: &Arc<_>| Renewed::RevocationLists(Arc::clone(lists));
        self.renewed(&[file], read, named, renewal)
    }
}

/// Finds a certificate that was issued for other sets of names: one that is valid, has the most of
/// these names, and lasts longest.
fn stand_in(acme: &AcmeFile, now: SystemTime) -> Option<Certificate> {
    let entries = std::fs::read_dir(acme.path.parent()?).ok()?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let paths = paths.filter(|path| path.extension().is_some_and(|it| it == "pem"));
    let loaded = paths.take(STAND_INS_MAX).filter_map(|path| {
        let certificate = Certificate::load(&KeyPair::in_one(&path)).ok()?;
        let names = acme.names.iter();
        let fits = names.filter(|it| certificate.names.contains(it)).count();
        (fits > 0 && certificate.overdue(now).is_none()).then_some((fits, certificate))
    });
    let best = loaded.max_by_key(|(fits, certificate)| (*fits, certificate.expires));
    best.map(|(_, certificate)| certificate)
}

/// Maximum number of files among which a certificate is looked for.
const STAND_INS_MAX: usize = 1000;

impl Renewal {
    /// Returns the object made of the renewed parts, to be put into use; notes why it cannot be
    /// made.
    pub(super) fn take_up<T>(&mut self, made: impl FnOnce() -> Result<T, TlsFault>) -> Option<T> {
        if self.renewed.is_empty() {
            return None;
        }
        match made() {
            Ok(current) => Some(current),
            Err(fault) => {
                self.renewed.clear();
                self.warnings.clear();
                self.faults.push(fault);
                None
            }
        }
    }
}
