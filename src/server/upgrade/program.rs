//! The program that this process was started from, as it now stands on disk.

use std::{
    env,
    ffi::OsString,
    fs, io,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{self, Path, PathBuf},
};

/// Path and arguments of this program, to start it again.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(super) path: PathBuf,
    pub(super) arguments: Vec<OsString>,
}

impl Program {
    /// The program of this process; to be asked for at its start, while its file is what it was.
    ///
    /// The name by which it was called comes first: it may be a link that an update points
    /// elsewhere.
    pub(crate) fn of_process() -> Option<Self> {
        let mut arguments = env::args_os();
        let called = arguments.next();
        let file = env::current_exe().ok()?;
        let path = called.and_then(|name| find(Path::new(&name), &file));
        Some(Self {
            path: path.unwrap_or(file),
            arguments: arguments.collect(),
        })
    }

    /// The same arguments, given to another file.
    ///
    /// # Errors
    /// When anybody but its owner, who must be this user or root, could have written it.
    pub(super) fn with_file(&self, path: &Path) -> io::Result<Self> {
        let found = fs::metadata(path)?;
        let (owner, own) = (found.uid(), rustix::process::geteuid().as_raw());
        let refuse = |why: &str| Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
        if !path.is_absolute() {
            return refuse("the path must be absolute");
        }
        if owner != own && owner != 0 {
            return refuse("it belongs neither to the user of the proxy nor to root");
        }
        if found.permissions().mode() & 0o022 != 0 {
            return refuse("others than its owner may write it");
        }
        Ok(Self {
            path: path.to_owned(),
            arguments: self.arguments.clone(),
        })
    }
}

/// The path by which `file` was called `name`, if that can be told.
fn find(name: &Path, file: &Path) -> Option<PathBuf> {
    let is_it = |path: &PathBuf| fs::canonicalize(path).is_ok_and(|found| found == file);
    if name.components().count() > 1 {
        return path::absolute(name).ok().filter(is_it);
    }
    let folders = env::var_os("PATH")?;
    let mut paths = env::split_paths(&folders).map(|folder| folder.join(name));
    paths.find(is_it).and_then(|path| path::absolute(path).ok())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn the_name_by_which_it_was_called_is_kept_if_it_leads_to_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = fs::canonicalize(folder.path()).unwrap().join("proxy-1.0");
        fs::write(&file, "").unwrap();
        let link = folder.path().join("proxy");
        symlink(&file, &link).unwrap();
        assert_eq!(find(&link, &file), Some(link.clone()));
        assert_eq!(find(&folder.path().join("other"), &file), None);
        assert_eq!(find(Path::new("no-such-program"), &file), None);
    }

    #[test]
    fn another_file_must_be_one_that_only_its_owner_writes() {
        let program = Program {
            path: "/bin/true".into(),
            arguments: vec!["run".into()],
        };
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("new");
        assert!(program.with_file(&file).is_err(), "there is none");
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(program.with_file(&file).unwrap().arguments, ["run"]);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o775)).unwrap();
        let error = program.with_file(&file).unwrap_err();
        assert!(error.to_string().contains("may write it"), "{error}");
    }
}
