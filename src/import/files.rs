//! The files of a configuration, read within bounds.

use std::{
    io,
    path::{Path, PathBuf},
    rc::Rc,
};

use super::ImportError;
use crate::file::{self, pattern};

/// Reads the main file and those that it includes.
pub(super) struct Files {
    /// The folder of the main file; relative paths are taken from there.
    folder: PathBuf,
    bytes: u64,
    count: usize,
}

/// The text of a file.
pub(super) struct Text {
    /// Its name in messages: the path from the folder of the main file.
    pub(super) name: Rc<str>,
    pub(super) text: String,
}

impl Files {
    pub(super) fn of(main: &Path) -> Self {
        let folder = main.parent().unwrap_or_else(|| Path::new(""));
        Self {
            folder: folder.to_owned(),
            bytes: 0,
            count: 0,
        }
    }

    /// Reads a file; `depth` is the number of files that include one another on the way to it.
    ///
    /// # Errors
    /// The file that cannot be read, or the bound that is exceeded.
    pub(super) fn read(&mut self, path: &Path, depth: usize) -> Result<Text, ImportError> {
        self.count += 1;
        let too_much = || {
            ImportError::TooMuch(format!(
                "{}: the configuration has more than {FILES_MAX} files, {} MiB, or {DEPTH_MAX} files in one another; does it include itself?",
                path.display(),
                BYTES_MAX >> 20
            ))
        };
        if depth > DEPTH_MAX || self.count > FILES_MAX {
            return Err(too_much());
        }
        let bytes =
            file::read(path, BYTES_MAX - self.bytes).map_err(|error| match error.kind() {
                io::ErrorKind::FileTooLarge => too_much(),
                _ => ImportError::Unreadable(path.to_owned(), error),
            })?;
        self.bytes += u64::try_from(bytes.len()).unwrap_or(BYTES_MAX);
        let name = path.strip_prefix(&self.folder).unwrap_or(path);
        Ok(Text {
            name: name.display().to_string().into(),
            text: String::from_utf8_lossy(&bytes).into_owned(),
        })
    }

    /// Returns the files of a path with wildcards, in order; none if nothing fits. `usual` is the
    /// folder where the other proxy looks by itself: what it names there is looked for beside the
    /// main file, too, as configurations are copied before they are imported.
    pub(super) fn matching(&self, written: &str, usual: &str) -> Vec<PathBuf> {
        let mut places = vec![self.folder.join(written)];
        if let Some(below) = written.strip_prefix(usual) {
            places.push(self.folder.join(below.trim_start_matches('/')));
        } else if !written.starts_with('/') {
            // A file of a folder such as `conf.d` alone: paths are those of the folder above.
            places.push(self.folder.join("..").join(written));
        }
        let found = places.iter().map(|place| fitting(place));
        found
            .into_iter()
            .find(|it| !it.is_empty())
            .unwrap_or_default()
    }
}

/// The folder of a file, as it is from anywhere, and the name of the file.
pub(super) fn place_of(path: &Path) -> (PathBuf, String) {
    let folder = path.parent().filter(|it| *it != Path::new(""));
    let folder = folder.unwrap_or_else(|| Path::new("."));
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    (folder, name.into_owned())
}

fn fitting(path: &Path) -> Vec<PathBuf> {
    let Some(written) = path.to_str() else {
        return Vec::new();
    };
    let folder = Path::new(if written.starts_with('/') { "/" } else { "" });
    let here = Path::new(".");
    let look = if written.starts_with('/') {
        folder
    } else {
        here
    };
    let names = pattern::find(look, written, FILES_MAX, |_| {});
    let paths = names.into_iter().map(|name| folder.join(name));
    paths.filter(|it| it.is_file()).collect()
}

/// Files of one configuration.
const FILES_MAX: usize = 1000;
const BYTES_MAX: u64 = 16 << 20;
/// Files that include one another.
const DEPTH_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn files_are_counted_before_they_are_read_and_whole_folders_are_searched() {
        let folder = tempfile::tempdir().unwrap();
        let main = folder.path().join("nginx.conf");
        fs::write(&main, "a;").unwrap();
        fs::create_dir_all(folder.path().join("sites/a")).unwrap();
        fs::write(folder.path().join("sites/a/1.conf"), "b;").unwrap();
        let mut files = Files::of(&main);
        let found = files.matching("sites/*/[0-9].conf", "/etc/nginx");
        assert_eq!(found, [folder.path().join("sites/a/1.conf")]);
        assert_eq!(
            files.matching("/etc/nginx/sites/*/1.conf", "/etc/nginx"),
            found
        );
        assert!(files.matching("none/*.conf", "/etc/nginx").is_empty());
        let read = files.read(&found[0], 1).unwrap();
        assert_eq!((&*read.name, &*read.text), ("sites/a/1.conf", "b;"));
        // A device has no end and no size.
        let endless = files.read(Path::new("/dev/zero"), 0);
        assert!(matches!(endless, Err(ImportError::Unreadable(..))));
        files.bytes = BYTES_MAX - 1;
        assert!(matches!(files.read(&main, 0), Err(ImportError::TooMuch(_))));
        assert!(matches!(
            files.read(&main, 17),
            Err(ImportError::TooMuch(_))
        ));
    }
}
