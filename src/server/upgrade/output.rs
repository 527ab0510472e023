//! Standard error of a new process until it serves: copied to our own, with the last lines kept.

use std::{
    collections::VecDeque,
    io::{self, PipeReader, Read as _, Write as _},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// The lines of a new process.
#[derive(Clone, Debug, Default)]
pub(super) struct Output(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    lines: Mutex<Lines>,
    /// Nobody wants more of them.
    over: AtomicBool,
}

#[derive(Debug, Default)]
struct Lines {
    last: VecDeque<String>,
    /// The beginning of the next.
    begun: Vec<u8>,
    ended: bool,
}

impl Output {
    /// Reads on a thread of its own, and writes everything to standard error as it comes.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn follow(from: PipeReader) -> io::Result<Self> {
        let output = Self::default();
        let inner = Arc::clone(&output.0);
        thread::Builder::new()
            .name("upgrade output".to_owned())
            .spawn(move || inner.read(from))?;
        Ok(output)
    }

    /// Lets go of it: a child of the process may hold its standard error open for ever.
    pub(super) fn leave(&self) {
        self.0.over.store(true, Ordering::Release);
    }

    /// The last lines, once all is read or for want of patience.
    pub(super) fn last_lines(&self, patience: Duration) -> Vec<String> {
        let pause = patience / 20;
        for _ in 0..20 {
            if self.0.lock().ended {
                break;
            }
            thread::park_timeout(pause);
        }
        let mut lines = self.0.lock();
        lines.end_line();
        lines.last.iter().cloned().collect()
    }
}

impl Inner {
    fn read(&self, mut from: PipeReader) {
        let mut piece = [0; 4096];
        while !self.over.load(Ordering::Acquire) {
            let mut wait = [PollFd::new(&from, PollFlags::IN)];
            match poll(&mut wait, Some(&LOOK)) {
                Ok(0) => continue,
                Ok(_) => {}
                Err(rustix::io::Errno::INTR) => continue,
                Err(_) => break,
            }
            match from.read(&mut piece) {
                Ok(0) | Err(_) => break,
                Ok(count) => {
                    self.lock().take(&piece[..count]);
                    // If nobody hears it, the last lines are still told.
                    let _ = io::stderr().write_all(&piece[..count]);
                }
            }
        }
        self.lock().ended = true;
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines {
    fn take(&mut self, piece: &[u8]) {
        for byte in piece {
            match byte {
                b'\n' => self.end_line(),
                byte if self.begun.len() < LINE_BYTES_MAX => self.begun.push(*byte),
                _ => {}
            }
        }
    }

    fn end_line(&mut self) {
        if self.begun.is_empty() {
            return;
        }
        if self.last.len() == LINES_MAX {
            self.last.pop_front();
        }
        let line = String::from_utf8_lossy(&self.begun);
        let line = line.trim_end().replace(char::is_control, " ");
        self.last.push_back(line);
        self.begun.clear();
    }
}

/// Maximum number of lines kept.
const LINES_MAX: usize = 20;
/// Maximum number of bytes kept of a line.
const LINE_BYTES_MAX: usize = 500;
/// Interval of the check whether more lines are wanted.
const LOOK: Timespec = Timespec {
    tv_sec: 1,
    tv_nsec: 0,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_remembered_without_control_characters() {
        let mut lines = Lines::default();
        for n in 0..30 {
            lines.take(format!("line {n}\r\n\n").as_bytes());
        }
        lines.take(&[b'x'; 4096]);
        lines.take(b"\nred \x1b[31m\xff");
        lines.end_line();
        assert_eq!(lines.last.len(), LINES_MAX);
        assert_eq!(lines.last[0], "line 12");
        assert_eq!(lines.last[LINES_MAX - 2].len(), LINE_BYTES_MAX);
        assert_eq!(lines.last[LINES_MAX - 1], "red  [31m\u{fffd}");
    }
}
