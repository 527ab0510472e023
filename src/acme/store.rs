//! Files of accounts and certificates; everything here blocks on the disk.
//!
//! Each file is replaced as a whole and readable by its owner alone.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::{AcmeError, Order};
use crate::{
    file,
    tls::{Certificate, KeyPair},
};

/// Failed orders in a row, kept over restarts: a process that is started again and again must not
/// use up the limits of the CA.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempts {
    /// Their number.
    pub failures: u32,
    /// Time before which none is made, in seconds of Unix time.
    pub not_before: i64,
    /// Reason for the last.
    pub error: String,
    /// Digest of the settings that they failed with.
    #[serde(default)]
    pub settings: u64,
}

impl Attempts {
    /// Returns them, or none if they failed with other settings: what changed may mend it.
    #[must_use]
    pub fn of(self, order: &Order) -> Self {
        match self.settings == order.digest() {
            true => self,
            false => Self::default(),
        }
    }

    /// Returns them as those of these settings.
    #[must_use]
    pub fn under(&self, order: &Order) -> Self {
        Self {
            settings: order.digest(),
            ..self.clone()
        }
    }
}

/// A certificate that was issued.
#[derive(Clone, Debug)]
pub struct Held {
    /// Start of its validity, in seconds of Unix time.
    pub begins: i64,
    /// End of its validity, in seconds of Unix time.
    pub expires: i64,
    /// The certificate with its intermediates, as PEM, without the key.
    pub chain: String,
}

/// The right to order from a directory, of one process at a time; it ends when this is dropped.
#[derive(Debug)]
pub struct Turn {
    _lock: File,
}

/// Reads the certificate of an order; one that cannot be used, or is for other names, is none.
pub fn held(order: &Order) -> Option<Held> {
    let path = order.certificate();
    let certificate = Certificate::load(&KeyPair::in_one(&path)).ok()?;
    let fits = order.names.iter().all(|it| certificate.names.contains(it));
    fits.then_some(())?;
    Some(Held {
        begins: certificate.begins,
        expires: certificate.expires,
        chain: chain(&file::read_to_string(&path, BYTES_MAX).ok()?),
    })
}

/// Keeps what was issued, if it is a certificate for the names, with its key.
///
/// # Errors
/// The reason why it cannot be used or written.
pub fn keep(order: &Order, pem: &str) -> Result<Held, AcmeError> {
    let path = order.certificate();
    let trial = path.with_extension("new");
    write(&trial, pem).map_err(|error| state(&trial, &error))?;
    let unusable = |told: String| {
        let _ = fs::remove_file(&trial);
        AcmeError::Unusable(told)
    };
    let certificate = Certificate::load(&KeyPair::in_one(&trial));
    let certificate = certificate.map_err(|fault| unusable(fault.to_string()))?;
    let mut names = order.names.iter();
    if let Some(name) = names.find(|it| !certificate.names.contains(it)) {
        return Err(unusable(format!("it is not for {name}")));
    }
    fs::rename(&trial, &path).map_err(|error| state(&path, &error))?;
    Ok(Held {
        begins: certificate.begins,
        expires: certificate.expires,
        chain: chain(pem),
    })
}

/// Returns what stands behind the key.
fn chain(pem: &str) -> String {
    let start = pem.find("-----BEGIN CERTIFICATE").unwrap_or(pem.len());
    pem[start..].to_owned()
}

/// Reads the account at the directory, if there is one.
pub fn account(order: &Order) -> Option<String> {
    file::read_to_string(&order.account(), BYTES_MAX).ok()
}

/// Keeps the account, or forgets it.
///
/// # Errors
/// The reason why it cannot be written.
pub fn keep_account(order: &Order, record: Option<&str>) -> Result<(), AcmeError> {
    let path = order.account();
    match record {
        Some(record) => replace(&path, record),
        None => remove(&path),
    }
    .map_err(|error| state(&path, &error))
}

/// Reads the failed orders.
pub fn attempts(order: &Order) -> Attempts {
    let text = file::read_to_string(&order.attempts(), BYTES_MAX).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

/// Keeps the failed orders, or forgets them.
///
/// # Errors
/// The reason why they cannot be written.
pub fn keep_attempts(order: &Order, attempts: Option<&Attempts>) -> Result<(), AcmeError> {
    let path = order.attempts();
    let kept = match attempts {
        Some(attempts) => serde_json::to_string(attempts)
            .map_err(io::Error::from)
            .and_then(|text| replace(&path, &text)),
        None => remove(&path),
    };
    kept.map_err(|error| state(&path, &error))
}

/// Takes the right to order from the directory; none if another process has it.
///
/// # Errors
/// The reason why the folder cannot be used.
pub fn turn(order: &Order) -> Result<Option<Turn>, AcmeError> {
    let path = order.lock();
    let opened = || {
        folder(&order.folder)?;
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(0o600);
        options.open(&path)
    };
    let lock = opened().map_err(|error| state(&path, &error))?;
    match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(Turn { _lock: lock })),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(state(&path, &error.into())),
    }
}

fn folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    let trial = path.with_extension("new");
    write(&trial, text)?;
    fs::rename(&trial, path)
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        folder(parent)?;
    }
    // A leftover could have another mode.
    remove(path)?;
    let mut options = OpenOptions::new();
    let mut file = options
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn state(path: &Path, error: &io::Error) -> AcmeError {
    AcmeError::State(format!("{}: {error}", path.display()))
}

/// Maximum size of a file.
const BYTES_MAX: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::acme::order::tests::order;

    fn issued(names: &[&str]) -> String {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        format!("{}{}", made.signing_key.serialize_pem(), made.cert.pem())
    }

    #[test]
    fn what_is_issued_for_other_names_leaves_the_old_certificate() {
        let folder = tempfile::tempdir().unwrap();
        let order = order(folder.path(), &["a.example", "b.example"]);
        assert!(held(&order).is_none());
        let good = issued(&["a.example", "b.example"]);
        keep(&order, &good).unwrap();
        for bad in [issued(&["a.example"]), "torn".to_owned(), String::new()] {
            let refused = keep(&order, &bad).unwrap_err();
            assert!(matches!(refused, AcmeError::Unusable(_)), "{refused}");
            assert_eq!(held(&order).unwrap().chain, chain(&good));
        }
        let mode = fs::metadata(order.certificate())
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        let mode = fs::metadata(&order.folder).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    #[test]
    fn one_process_orders_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let order = order(folder.path(), &["a.example"]);
        let first = turn(&order).unwrap();
        assert!(first.is_some());
        assert!(turn(&order).unwrap().is_none());
        drop(first);
        assert!(turn(&order).unwrap().is_some());
    }

    #[test]
    fn failures_and_the_account_outlive_the_process() {
        let folder = tempfile::tempdir().unwrap();
        let order = order(folder.path(), &["a.example"]);
        assert_eq!(
            (attempts(&order), account(&order)),
            (Attempts::default(), None)
        );
        let failed = Attempts {
            failures: 3,
            not_before: 17,
            error: "no".to_owned(),
            ..Attempts::default()
        };
        let failed = failed.under(&order);
        let changed = Order {
            method: crate::acme::Method::TlsAlpn01,
            ..order.clone()
        };
        assert_eq!(failed.clone().of(&order), failed);
        assert_eq!(failed.clone().of(&changed), Attempts::default());
        keep_attempts(&order, Some(&failed)).unwrap();
        keep_account(&order, Some("{}")).unwrap();
        assert_eq!(attempts(&order), failed);
        assert_eq!(account(&order).as_deref(), Some("{}"));
        keep_attempts(&order, None).unwrap();
        keep_attempts(&order, None).unwrap();
        keep_account(&order, None).unwrap();
        assert_eq!(
            (attempts(&order), account(&order)),
            (Attempts::default(), None)
        );
    }
}
