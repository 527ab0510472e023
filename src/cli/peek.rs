//! Settings that the command line needs of a file that may have faults elsewhere.
//!
//! The proxy may still run although its file is now broken, and that is when it is queried most: so
//! the two tables are read on their own, even if other parts have faults.

use std::{
    io,
    path::{Path, PathBuf},
};

use toml::de::DeTable;

use crate::{
    config::{
        schema::{Admin, Log},
        setting::{Node, Reader, Setting},
    },
    file,
    server::last_good,
};

/// Two tables of a file.
#[derive(Debug, Default)]
pub(super) struct Peek {
    /// Address of the running proxy's admin API, if it has one.
    pub(super) admin: Option<Admin>,
    /// Settings of its log.
    pub(super) log: Log,
}

impl Peek {
    /// Reads as much of them as possible.
    ///
    /// # Errors
    /// The file cannot be read at all.
    pub(super) fn at(path: &Path) -> io::Result<Self> {
        let bytes = file::read(path, file::WATCHED_BYTES_MAX)?;
        let base: PathBuf = path.parent().map(Path::to_owned).unwrap_or_default();
        let mut peek = Self::of(&String::from_utf8_lossy(&bytes), &base);
        if peek.admin.is_none() {
            // It may have been started with the last good configuration.
            let kept = last_good::text(path);
            peek.admin = kept.and_then(|text| Self::of(&text, &base).admin);
        }
        Ok(peek)
    }

    fn of(text: &str, base: &Path) -> Self {
        let (tree, _) = DeTable::parse_recoverable(text);
        Self {
            admin: table(tree.get_ref(), "admin", base),
            log: table(tree.get_ref(), "log", base).unwrap_or_default(),
        }
    }
}

fn table<T: Setting>(root: &DeTable<'_>, name: &str, base: &Path) -> Option<T> {
    let (key, value) = root.get_key_value(name)?;
    let mut reader = Reader::new(base);
    T::read(&Node::entry(key.span().into(), value), &mut reader)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::schema::LogFormat;

    #[test]
    fn a_fault_elsewhere_hides_neither_table() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("proxy.toml");
        let text = "[admin]\naddress = \"127.0.0.1:7\"\n[pools.app\nendpoints = 7\n\
                    [log]\nformat = \"json\"\nlevel = \"lowd\"\n";
        std::fs::write(&path, text).unwrap();
        let peek = Peek::at(&path).unwrap();
        assert_eq!(peek.admin.unwrap().address.to_string(), "127.0.0.1:7");
        assert_eq!(peek.log.format, LogFormat::Json);
        assert!(Peek::at(&folder.path().join("none")).is_err());
    }
}
