//! File of a unix socket: made with its mode, and removed only by the process that made it.
//!
//! The path is no proof: a successor may have put its own socket there meanwhile. The file is
//! identified by device and inode; a handle to it keeps the inode from being reused once this file
//! is removed. A [`FileLease`] moves the ownership of the file to another process.

use std::{
    fs::{self, File, Metadata, Permissions},
    io,
    os::{
        fd::OwnedFd,
        unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
    },
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};
use socket2::{Domain, SockAddr, Socket, Type};

use super::bind::BindError;
use crate::config::value::{BindAddress, FileMode};

/// File of a unix socket of this process. Removed on drop, if it is still there.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    identity: FileIdentity,
    /// True if the file is removed with this value; false while another process owns it.
    is_ours: Arc<AtomicBool>,
    _handle: OwnedFd,
}

/// A file, whatever its path: device and inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileIdentity {
    device: u64,
    inode: u64,
}

/// A handle by which the file of a socket is given away, or taken back.
#[derive(Clone, Debug)]
pub struct FileLease {
    /// Identity of the file.
    pub identity: FileIdentity,
    is_ours: Arc<AtomicBool>,
}

impl FileLease {
    /// Leaves the file to another process: it is no longer removed by this one.
    pub fn give(&self) {
        self.is_ours.store(false, Ordering::Release);
    }

    /// Takes the file, which is removed by this process from now on.
    pub fn take(&self) {
        self.is_ours.store(true, Ordering::Release);
    }
}

impl FileIdentity {
    fn of(found: &Metadata) -> Self {
        Self {
            device: found.dev(),
            inode: found.ino(),
        }
    }

    fn is_at(self, path: &Path) -> bool {
        fs::symlink_metadata(path).is_ok_and(|found| Self::of(&found) == self)
    }
}

impl SocketFile {
    /// The file of a socket that another process passed on; it stays that process's until it is
    /// taken. None if something else is at the path now.
    ///
    /// # Errors
    /// What the system says.
    pub fn passed(path: &Path, identity: FileIdentity) -> io::Result<Option<Self>> {
        let handle = match open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let found = File::from(handle.try_clone()?).metadata()?;
        Ok((FileIdentity::of(&found) == identity).then(|| Self {
            path: path.to_owned(),
            identity,
            is_ours: Arc::new(AtomicBool::new(false)),
            _handle: handle,
        }))
    }

    /// A handle to give the file away by.
    pub fn lease(&self) -> FileLease {
        FileLease {
            identity: self.identity,
            is_ours: Arc::clone(&self.is_ours),
        }
    }

    /// Makes a socket that listens at `path`, where no file may exist.
    ///
    /// # Errors
    /// The error of the system; no file is left then.
    pub fn listen(path: &Path, mode: Option<FileMode>, backlog: i32) -> io::Result<(Socket, Self)> {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        if let Some(mode) = mode {
            // The file is born with no more rights than the socket has: at no moment can
            // anybody connect who may not.
            let handle = File::from(OwnedFd::from(socket.try_clone()?));
            handle.set_permissions(Permissions::from_mode(mode.bits()))?;
        }
        socket.bind(&SockAddr::unix(path)?)?;
        let handle = open(path)?;
        let made = File::from(handle.try_clone()?).metadata()?;
        let file = Self {
            path: path.to_owned(),
            identity: FileIdentity::of(&made),
            is_ours: Arc::new(AtomicBool::new(true)),
            _handle: handle,
        };
        if let Some(mode) = mode {
            // The umask may have taken some away.
            file.set_mode(mode)?;
        }
        socket.listen(backlog)?;
        Ok((socket, file))
    }

    /// Sets the access mode.
    ///
    /// # Errors
    /// The error of the system, or that the file has been replaced.
    pub fn set_mode(&self, mode: FileMode) -> io::Result<()> {
        if !self.identity.is_at(&self.path) {
            return Err(io::Error::other("the file has been replaced"));
        }
        fs::set_permissions(&self.path, Permissions::from_mode(mode.bits()))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.is_ours.load(Ordering::Acquire) && self.identity.is_at(&self.path) {
            // Who cannot remove it leaves a stale one, which the next start replaces.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Removes a socket file on which no process listens any more.
///
/// # Errors
/// That a process listens, that this is unknown, or that it is another kind of file.
pub fn clear(path: &Path) -> Result<(), BindError> {
    let Ok(found) = fs::symlink_metadata(path) else {
        return Ok(());
    };
    if !found.file_type().is_socket() {
        return Err(BindError::NotASocket(path.to_owned()));
    }
    match connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            // If it cannot be removed, bind says why.
            let _ = fs::remove_file(path);
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // A full queue is one that somebody has.
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(BindError::Unknown {
            path: path.to_owned(),
            source: error,
        }),
        Ok(()) | Err(_) => Err(BindError::InUse(BindAddress::Unix(path.to_owned()))),
    }
}

fn open(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

fn connect(path: &Path) -> io::Result<()> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.connect(&SockAddr::unix(path)?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_successors_file_is_not_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let (socket, ours) = SocketFile::listen(&path, None, 1).unwrap();
        drop(socket);
        clear(&path).unwrap();
        let (_socket, theirs) = SocketFile::listen(&path, None, 1).unwrap();
        drop(ours);
        assert!(path.exists());
        drop(theirs);
        assert!(!path.exists());
    }

    #[test]
    fn a_file_that_was_passed_on_is_removed_by_whoever_has_taken_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let (_socket, ours) = SocketFile::listen(&path, None, 1).unwrap();
        let identity = ours.lease().identity;
        let passed = || SocketFile::passed(&path, identity).unwrap();
        drop(passed());
        assert!(path.exists(), "not taken yet");
        let theirs = passed().unwrap();
        ours.lease().give();
        theirs.lease().take();
        drop(ours);
        assert!(path.exists(), "given away");
        drop(theirs);
        assert!(!path.exists());
        assert!(passed().is_none());
        let (_socket, _other) = SocketFile::listen(&path, None, 1).unwrap();
        assert!(passed().is_none(), "another file");
    }

    #[test]
    fn the_mode_is_what_is_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        for wanted in ["0666", "0600", "0770"] {
            let wanted = FileMode::parse(wanted).unwrap();
            let (_socket, file) = SocketFile::listen(&path, Some(wanted), 1).unwrap();
            assert_eq!(mode(&path), wanted.bits());
            let other = FileMode::parse("0640").unwrap();
            file.set_mode(other).unwrap();
            assert_eq!(mode(&path), 0o640);
        }
    }

    #[test]
    fn only_a_socket_that_refuses_is_stale() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        // A socket of another kind cannot be asked: it may be in use.
        let datagrams = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
        assert!(matches!(clear(&path), Err(BindError::Unknown { .. })));
        drop(datagrams);
        fs::remove_file(&path).unwrap();
        let live = UnixListener::bind(&path).unwrap();
        assert!(matches!(clear(&path), Err(BindError::InUse(_))));
        drop(live);
        clear(&path).unwrap();
        assert!(!path.exists());
    }
}
