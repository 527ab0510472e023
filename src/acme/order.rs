//! A certificate as a configuration asks for it, and where its files are.

use std::path::{Path, PathBuf};

use crate::config::value::{HttpUrl, Secret};

/// A certificate to be ordered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Its names, each once, in alphabetical order.
    pub names: Vec<String>,
    /// Address that the CA writes to.
    pub contact: Option<String>,
    /// URL of the CA's directory.
    pub directory: HttpUrl,
    /// File of the authorities that may certify the directory, as PEM; none: the system's.
    pub ca: Option<PathBuf>,
    /// Proof that the names are ours.
    pub method: Method,
    /// Account at the CA that the new one is bound to.
    pub binding: Option<Binding>,
    /// Folder for what belongs to the directory.
    pub folder: PathBuf,
}

/// A proof that a name is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// A text over plain HTTP.
    Http01,
    /// A certificate in a handshake.
    TlsAlpn01,
}

/// An account that was made with the CA by other means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Its id.
    pub key_id: String,
    /// Its key, in Base64.
    pub key: Secret,
}

impl Order {
    /// Returns the folder for what belongs to a directory, below the folder of the state.
    pub fn folder(state_dir: &Path, directory: &HttpUrl) -> PathBuf {
        let host = directory.address.host();
        let name = format!("{}-{:016x}", plain(&host), hash(&directory.to_string()));
        state_dir.join("acme").join(name)
    }

    /// File of the certificate with its key: one for each set of names.
    pub fn certificate(&self) -> PathBuf {
        self.file("pem")
    }

    /// File with the failed attempts.
    pub fn attempts(&self) -> PathBuf {
        self.file("json")
    }

    /// File of the account.
    pub fn account(&self) -> PathBuf {
        self.folder.join("account.json")
    }

    /// File that is locked while one process orders from this directory.
    pub fn lock(&self) -> PathBuf {
        self.folder.join("lock")
    }

    /// Its names in words.
    pub fn label(&self) -> String {
        self.names.join(", ")
    }

    /// Digest of its settings. Secrets have no part in it.
    pub(super) fn digest(&self) -> u64 {
        hash(&format!("{self:?}"))
    }

    fn file(&self, kind: &str) -> PathBuf {
        let first = self.names.first().map_or("", String::as_str);
        let set = hash(&self.names.join(","));
        self.folder
            .join(format!("{}-{set:016x}.{kind}", plain(first)))
    }
}

/// Returns a text as part of a file name: a name in DNS may be longer than one.
fn plain(text: &str) -> String {
    let allowed = |it: char| it.is_ascii_alphanumeric() || matches!(it, '.' | '-' | '_');
    let text = text.chars().map(|it| if allowed(it) { it } else { '_' });
    text.take(100).collect()
}

/// FNV-1a, which is the same in every version of the program.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::acme) fn order(folder: &Path, names: &[&str]) -> Order {
        let directory = HttpUrl::parse("https://ca.internal:14000/dir").unwrap();
        Order {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            contact: None,
            folder: Order::folder(folder, &directory),
            directory,
            ca: None,
            method: Method::Http01,
            binding: None,
        }
    }

    #[test]
    fn each_set_of_names_and_each_directory_has_files_of_its_own() {
        let folder = Path::new("state");
        let one = order(folder, &["a.example", "b.example"]);
        assert!(one.certificate().starts_with("state/acme"));
        assert_eq!(
            one.certificate(),
            order(folder, &["a.example", "b.example"]).certificate()
        );
        assert_ne!(
            one.certificate(),
            order(folder, &["a.example"]).certificate()
        );
        assert_eq!(one.account(), order(folder, &["c.example"]).account());
        let other = HttpUrl::parse("https://ca.internal:14000/other").unwrap();
        assert_ne!(one.folder, Order::folder(folder, &other));
        assert_eq!(plain("../a b"), ".._a_b");
    }
}
