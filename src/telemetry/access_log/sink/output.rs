//! Destinations of the lines: standard output, a file, a syslog server.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;

use super::rotation::{self, Rotation};
use super::syslog::{Syslog, SyslogTarget};

/// Destination of the lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SinkTarget {
    /// Standard output.
    Stdout,
    /// A file, which is appended to, and rotated if so wanted.
    File(PathBuf, Option<Rotation>),
    /// A syslog server.
    Syslog(SyslogTarget),
}

impl fmt::Display for SinkTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdout => f.write_str("standard output"),
            Self::File(path, _) => path.display().fmt(f),
            Self::Syslog(target) => target.fmt(f),
        }
    }
}

/// An open destination.
pub(super) enum Output {
    Stdout(io::Stdout),
    File {
        file: File,
        path: PathBuf,
        rotation: Option<Rotation>,
    },
    Syslog(Box<Syslog>),
}

/// Lines that were lost, and why.
pub(super) struct Lost {
    pub(super) error: io::Error,
    pub(super) lines: u64,
}

impl Output {
    pub(super) fn open(target: &SinkTarget) -> io::Result<Self> {
        Ok(match target {
            SinkTarget::Stdout => Self::Stdout(io::stdout()),
            SinkTarget::File(path, rotation) => Self::File {
                file: open_file(path)?,
                path: path.clone(),
                rotation: *rotation,
            },
            SinkTarget::Syslog(target) => Self::Syslog(Box::new(Syslog::new(target))),
        })
    }

    /// Writes a batch of lines. If the last one was `torn`, perhaps in the middle of a line, that one
    /// is ended first.
    pub(super) fn write(&mut self, bytes: &[u8], lines: u64, torn: bool) -> Result<(), Lost> {
        let start: &[u8] = if torn { b"\n" } else { b"" };
        let written = match self {
            Self::Stdout(stdout) => stdout
                .write_all(start)
                .and_then(|()| stdout.write_all(bytes))
                .and_then(|()| stdout.flush()),
            Self::File { file, .. } => file.write_all(start).and_then(|()| file.write_all(bytes)),
            Self::Syslog(syslog) => {
                let sent = syslog.send(bytes);
                return sent.map_err(|(error, lines)| Lost { error, lines });
            }
        };
        written.map_err(|error| Lost { error, lines })
    }

    /// Rotates a file that has reached its size; returns true if another is open now.
    pub(super) fn rotate(&mut self) -> io::Result<bool> {
        if let Self::File {
            file,
            path,
            rotation: Some(rotation),
        } = self
            && rotation::rotate(path, file, *rotation)?
        {
            *file = open_file(path)?;
            return Ok(true);
        }
        Ok(false)
    }
}

fn open_file(path: &Path) -> io::Result<File> {
    // Without waiting: a named pipe that nobody reads is refused here (ENXIO).
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .custom_flags(flags)
        .open(path)
        .map_err(|error| match Errno::from_io_error(&error) {
            Some(Errno::NXIO) => io::Error::other("it is a pipe that nobody reads"),
            _ => error,
        })?;
    // Its writer is a thread of its own, which may wait.
    let flags = fcntl_getfl(&file)?;
    fcntl_setfl(&file, flags - OFlags::NONBLOCK)?;
    Ok(file)
}
