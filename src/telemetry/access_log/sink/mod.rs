//! Writer of the access log: from the workers' buffers to a file, standard output or syslog.
//!
//! A worker owns a [`WorkerLog`] and passes its buffer on when 32 KiB are full or on a tick. One
//! thread writes; between them is a queue of [`QUEUE_BATCHES`] batches. A disk that hangs fills the
//! queue, and from then on lines are dropped and counted: neither a worker nor the control runtime
//! ever waits for it.

mod faults;
mod output;
mod rotation;
mod syslog;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use tokio::time::Instant;

use super::format::{Format, Redaction};
use super::record::Line;
use super::sample::Sample;
use crate::telemetry::log::LogLimit;
use crate::telemetry::metrics::SharedCounter;

use faults::LogFaults;
use output::{Lost, Output};

pub use faults::LogStep;
pub use output::SinkTarget;
pub use rotation::Rotation;
pub use syslog::{SyslogAddress, SyslogTarget};

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

/// An open access log; a clone is another handle to the same one. The writer ends when all handles
/// and worker logs are dropped, after writing all batches.
#[derive(Clone, Debug)]
pub struct AccessLog {
    settings: Arc<AccessLogSettings>,
    queue: SyncSender<Message>,
    reopen: Arc<AtomicBool>,
    dropped: SharedCounter,
    faults: Arc<LogFaults>,
}

/// The access log of one worker.
#[derive(Debug)]
pub struct WorkerLog {
    log: AccessLog,
    buffer: Vec<u8>,
    lines: u64,
}

impl AccessLog {
    /// Opens the target and starts the writer. `dropped` counts lost lines.
    ///
    /// # Errors
    /// If the file cannot be opened or the thread not be started.
    pub fn open(settings: AccessLogSettings, dropped: SharedCounter) -> io::Result<Self> {
        let (queue, messages) = sync_channel(QUEUE_BATCHES);
        let reopen = Arc::new(AtomicBool::new(false));
        let faults = Arc::<LogFaults>::default();
        let writer = Writer {
            output: Output::open(&settings.target)?,
            target: settings.target.clone(),
            reopen: Arc::clone(&reopen),
            dropped: dropped.clone(),
            faults: Arc::clone(&faults),
            state: OutputState::Whole,
            told: LogLimit::default(),
            rotation_told: LogLimit::default(),
        };
        thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(move || writer.run(&messages))?;
        Ok(Self {
            settings: Arc::new(settings),
            queue,
            reopen,
            dropped,
            faults,
        })
    }

    /// Returns the settings it was opened with, to see whether a new configuration changes them.
    pub fn settings(&self) -> &AccessLogSettings {
        &self.settings
    }

    /// Returns the reason why its last step of this kind failed, if it did.
    pub fn fault(&self, step: LogStep) -> Option<String> {
        self.faults.of(step)
    }

    /// Number of lines that were lost since it was opened.
    pub fn lost(&self) -> u64 {
        self.faults.lost()
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
            self.log.faults.lose(self.lines);
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
    faults: Arc<LogFaults>,
    state: OutputState,
    /// Limits log messages: a disk that is nearly full fails and recovers with every batch.
    told: LogLimit<OutputState>,
    rotation_told: LogLimit<()>,
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
        let torn = self.state == OutputState::Torn;
        match self.output.write(&batch.bytes, batch.lines, torn) {
            Ok(()) if torn => {
                self.state = OutputState::Whole;
                self.faults.note(LogStep::Write, Ok(()));
                if self.told.due(self.state, Instant::now()).is_some() {
                    tracing::info!("the access log can be written again");
                }
            }
            Ok(()) => {}
            Err(Lost { error, lines }) => {
                self.dropped.add(lines);
                self.faults.lose(lines);
                self.faults.note(LogStep::Write, Err(error.to_string()));
                self.state = OutputState::Torn;
                if !torn && self.told.due(self.state, Instant::now()).is_some() {
                    let to = &self.target;
                    tracing::warn!(%error, %to, "the access log cannot be written, lines are lost");
                }
            }
        }
        match self.output.rotate() {
            Ok(true) => {
                self.state = OutputState::Whole;
                self.faults.note(LogStep::Rotate, Ok(()));
            }
            Ok(false) => {}
            Err(error) => {
                self.faults.note(LogStep::Rotate, Err(error.to_string()));
                if self.rotation_told.due((), Instant::now()).is_some() {
                    let to = &self.target;
                    tracing::warn!(%error, %to, "the access log cannot be rotated, its file grows on");
                }
            }
        }
    }

    fn open_anew(&mut self) {
        match Output::open(&self.target) {
            Ok(output) => {
                self.output = output;
                self.state = OutputState::Whole;
                for step in [LogStep::Write, LogStep::Reopen] {
                    self.faults.note(step, Ok(()));
                }
            }
            Err(error) => {
                self.faults.note(LogStep::Reopen, Err(error.to_string()));
                tracing::warn!(%error, "the access log cannot be reopened, the old file stays");
            }
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
