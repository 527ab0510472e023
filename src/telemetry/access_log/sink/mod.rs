//! Writer of the access log: from the workers' buffers to the file.
//!
//! A worker owns a [`WorkerLog`] and passes its buffer on when 32 KiB are full or on a tick. One
//! thread writes; between them is a queue of [`QUEUE_BATCHES`] batches. A disk that hangs fills the
//! queue, and from then on lines are dropped and counted: neither a worker nor the control runtime
//! ever waits for it.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use tokio::time::Instant;

use super::format::{Format, Redaction};
use super::record::Line;
use super::sample::Sample;
use crate::telemetry::log::LogLimit;
use crate::telemetry::metrics::SharedCounter;

/// Settings of the access log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLogSettings {
    /// Destination of the lines.
    pub target: SinkTarget,
    /// Format of the lines.
    pub format: Format,
    /// Values that the lines do not show.
    pub redaction: Redaction,
    /// Selection of the exchanges that have a line.
    pub sample: Sample,
}

/// Destination of the lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SinkTarget {
    /// Standard output.
    Stdout,
    /// A file, which is appended to.
    File(PathBuf),
}

impl fmt::Display for SinkTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdout => f.write_str("standard output"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

/// An open access log; a clone is another handle to the same one. The writer ends when all handles
/// and worker logs are dropped, after writing all batches.
#[derive(Clone, Debug)]
pub struct AccessLog {
    settings: Arc<AccessLogSettings>,
    queue: SyncSender<Message>,
    reopen: Arc<AtomicBool>,
    dropped: SharedCounter,
}

/// The access log of one worker.
#[derive(Debug)]
pub struct WorkerLog {
    log: AccessLog,
    buffer: Vec<u8>,
    lines: u64,
}

impl AccessLog {
    /// Opens the file and starts the writer. `dropped` counts lost lines.
    ///
    /// # Errors
    /// If the file cannot be opened or the thread not be started.
    pub fn open(settings: AccessLogSettings, dropped: SharedCounter) -> io::Result<Self> {
        let (queue, messages) = sync_channel(QUEUE_BATCHES);
        let reopen = Arc::new(AtomicBool::new(false));
        let writer = Writer {
            output: Output::open(&settings.target)?,
            target: settings.target.clone(),
            reopen: Arc::clone(&reopen),
            dropped: dropped.clone(),
            state: OutputState::Whole,
            told: LogLimit::default(),
        };
        thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(move || writer.run(&messages))?;
        Ok(Self {
            settings: Arc::new(settings),
            queue,
            reopen,
            dropped,
        })
    }

    /// Returns the settings it was opened with, to see whether a new configuration changes them.
    pub fn settings(&self) -> &AccessLogSettings {
        &self.settings
    }

    /// Makes the log of one worker.
    pub fn worker(&self) -> WorkerLog {
        WorkerLog {
            log: self.clone(),
            buffer: Vec::with_capacity(BATCH_BYTES + BATCH_BYTES / 4),
            lines: 0,
        }
    }

    /// Opens the file again before the next write, after a rotation. Does not wait.
    pub fn reopen(&self) {
        self.reopen.store(true, Ordering::Release);
        // Wakes an idle writer; a full queue means that it is awake.
        let _ = self.queue.try_send(Message::Wake);
    }

    /// Waits until all batches so far are written; returns false if that took longer than
    /// `patience`. Blocks the thread: for the end of the process and tests.
    pub fn settle(&self, patience: Duration) -> bool {
        let (settled, wait) = sync_channel(1);
        let queue = self.queue.clone();
        // Sending waits for a place in the queue, and that wait must have an end too.
        let sender = thread::Builder::new()
            .name("access-log-settle".to_owned())
            .spawn(move || queue.send(Message::Settle(settled)));
        sender.is_ok() && wait.recv_timeout(patience).is_ok()
    }
}

impl WorkerLog {
    /// Adds the line of an exchange, if it is in the sample.
    pub fn write(&mut self, line: &Line<'_>) {
        let settings = &*self.log.settings;
        if !settings.sample.takes(line.request_id) {
            return;
        }
        settings
            .format
            .write(line, &settings.redaction, &mut self.buffer);
        self.lines += 1;
        if self.buffer.len() >= BATCH_BYTES {
            self.flush();
        }
    }

    /// Passes the buffer on; called by the worker's tick. Never waits.
    pub fn flush(&mut self) {
        if self.lines == 0 {
            return;
        }
        let batch = Batch {
            bytes: self.buffer.clone(),
            lines: self.lines,
        };
        if self.log.queue.try_send(Message::Batch(batch)).is_err() {
            self.log.dropped.add(self.lines);
        }
        // The buffer is kept: it grows once and is never given away.
        self.buffer.clear();
        self.buffer.shrink_to(BUFFER_BYTES_KEPT);
        self.lines = 0;
    }
}

impl Drop for WorkerLog {
    fn drop(&mut self) {
        self.flush();
    }
}

enum Message {
    Batch(Batch),
    Wake,
    Settle(SyncSender<()>),
}

struct Batch {
    bytes: Vec<u8>,
    lines: u64,
}

struct Writer {
    output: Output,
    target: SinkTarget,
    reopen: Arc<AtomicBool>,
    dropped: SharedCounter,
    state: OutputState,
    /// Limits log messages: a disk that is nearly full fails and recovers with every batch.
    told: LogLimit<OutputState>,
}

/// Result of the last write.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum OutputState {
    /// A complete line.
    Whole,
    /// An error, perhaps in the middle of a line.
    Torn,
}

impl Writer {
    fn run(mut self, messages: &Receiver<Message>) {
        for message in messages {
            if self.reopen.swap(false, Ordering::Acquire) {
                self.open_anew();
            }
            match message {
                Message::Batch(batch) => self.write(&batch),
                Message::Wake => {}
                // Nobody waits any more: no fault.
                Message::Settle(settled) => drop(settled.try_send(())),
            }
        }
    }

    fn write(&mut self, batch: &Batch) {
        let start = match self.state {
            OutputState::Whole => Ok(()),
            OutputState::Torn => self.output.write_all(b"\n"),
        };
        match start.and_then(|()| self.output.write_all(&batch.bytes)) {
            Ok(()) if self.state == OutputState::Torn => {
                self.state = OutputState::Whole;
                if self.told.due(self.state, Instant::now()).is_some() {
                    tracing::info!("the access log can be written again");
                }
            }
            Ok(()) => {}
            Err(error) => {
                self.dropped.add(batch.lines);
                let was_whole = self.state == OutputState::Whole;
                self.state = OutputState::Torn;
                if was_whole && self.told.due(self.state, Instant::now()).is_some() {
                    tracing::warn!(%error, "the access log cannot be written, lines are lost");
                }
            }
        }
    }

    fn open_anew(&mut self) {
        match Output::open(&self.target) {
            Ok(output) => {
                self.output = output;
                self.state = OutputState::Whole;
            }
            Err(error) => {
                tracing::warn!(%error, "the access log cannot be reopened, the old file stays");
            }
        }
    }
}

enum Output {
    Stdout(io::Stdout),
    File(File),
}

impl Output {
    fn open(target: &SinkTarget) -> io::Result<Self> {
        match target {
            SinkTarget::Stdout => Ok(Self::Stdout(io::stdout())),
            SinkTarget::File(path) => {
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
                Ok(Self::File(file))
            }
        }
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Stdout(stdout) => {
                stdout.write_all(bytes)?;
                stdout.flush()
            }
            Self::File(file) => file.write_all(bytes),
        }
    }
}

/// Size at which a worker passes its buffer on.
const BATCH_BYTES: usize = 32 * 1024;

/// Maximum size of a kept buffer; one that grew beyond this for long lines releases memory.
const BUFFER_BYTES_KEPT: usize = 128 * 1024;

/// Length of the queue: with batches of 32 KiB, at most about 2 MiB wait for the disk.
const QUEUE_BATCHES: usize = 64;

#[cfg(test)]
mod tests;
