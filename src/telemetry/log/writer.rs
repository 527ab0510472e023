//! Writer of the log: from every thread to standard error, without waiting.
//!
//! One event is one line, passed to a thread of its own through a bounded queue. A pipe that is not
//! read, or a disk that hangs, fills the queue; from then on lines are dropped and counted, and the
//! next written line tells their number.

use std::{
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::Duration,
};

use tokio::time::Instant;
use tracing_subscriber::fmt::MakeWriter;

/// Number of lost lines of the log, in the whole process.
pub static LINES_DROPPED: AtomicU64 = AtomicU64::new(0);

/// Queue of lines to write. A clone is another handle to the same queue.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    messages: SyncSender<Message>,
    /// Number of bytes that wait to be written.
    waiting: Arc<AtomicUsize>,
    layout: Layout,
}

/// Layout of the lines, by their destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// On a terminal: an event may have several lines.
    Terminal,
    /// In a file, a pipe or a journal: each event is one line.
    Lines,
}

#[derive(Debug)]
enum Message {
    Line(Vec<u8>),
    Settle(SyncSender<()>),
}

/// Writer of one event's line.
pub(super) struct Line<'a>(&'a Queue);

impl Queue {
    /// Starts the thread that writes to `output`.
    pub(super) fn start<W>(output: W, layout: Layout) -> io::Result<Self>
    where
        W: Write + Send + 'static,
    {
        let (messages, received) = sync_channel(QUEUE_LINES);
        let waiting = Arc::new(AtomicUsize::new(0));
        let taken = Arc::clone(&waiting);
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || write(output, &received, &taken))?;
        Ok(Self {
            messages,
            waiting,
            layout,
        })
    }

    /// Waits until all lines so far are written; returns false if that takes longer than
    /// `patience`. Blocks the thread: for the end of the process.
    pub(super) fn settle(&self, patience: Duration) -> bool {
        let (settled, wait) = sync_channel(1);
        let end = Instant::now() + patience;
        let mut message = Message::Settle(settled);
        while let Err(refused) = self.messages.try_send(message) {
            let (TrySendError::Full(back) | TrySendError::Disconnected(back)) = refused;
            message = back;
            if Instant::now() >= end {
                return false;
            }
            thread::park_timeout(FULL_PAUSE);
        }
        wait.recv_timeout(end.saturating_duration_since(Instant::now()))
            .is_ok()
    }

    fn hand_over(&self, text: &[u8]) {
        let line = self.layout.line(text);
        let length = line.len();
        // Exact to the lines that other threads hand over at the same moment.
        let before = self.waiting.fetch_add(length, Ordering::Relaxed);
        let fits = before + length <= QUEUE_BYTES;
        if !fits || self.messages.try_send(Message::Line(line)).is_err() {
            self.waiting.fetch_sub(length, Ordering::Relaxed);
            LINES_DROPPED.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Layout {
    /// Returns the bytes to write for an event, with its line end.
    fn line(self, text: &[u8]) -> Vec<u8> {
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        let (text, cut) = match text.get(..LINE_BYTES_MAX) {
            Some(start) if text.len() > LINE_BYTES_MAX => (start, " ...".as_bytes()),
            _ => (text, &b""[..]),
        };
        let mut line = Vec::with_capacity(text.len() + cut.len() + 1);
        match self {
            Self::Terminal => line.extend_from_slice(text),
            Self::Lines => {
                for byte in text {
                    match byte {
                        b'\n' => line.extend_from_slice(b"\\n"),
                        b'\r' => line.extend_from_slice(b"\\r"),
                        byte => line.push(*byte),
                    }
                }
            }
        }
        line.extend_from_slice(cut);
        line.push(b'\n');
        line
    }
}

impl<'a> MakeWriter<'a> for Queue {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        Line(self)
    }
}

impl Write for Line<'_> {
    /// Takes a complete event: the formatter writes each with one call.
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.0.hand_over(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write<W: Write>(mut output: W, messages: &Receiver<Message>, waiting: &AtomicUsize) {
    let mut told = LINES_DROPPED.load(Ordering::Relaxed);
    // The last write ended in an error, perhaps in the middle of a line.
    let mut torn = false;
    for message in messages {
        match message {
            Message::Line(line) => {
                waiting.fetch_sub(line.len(), Ordering::Relaxed);
                torn = !((!torn || put(&mut output, b"\n")) && put(&mut output, &line));
                if torn {
                    LINES_DROPPED.fetch_add(1, Ordering::Relaxed);
                }
            }
            // Nobody waits any more: no fault.
            Message::Settle(settled) => drop(settled.try_send(())),
        }
        let dropped = LINES_DROPPED.load(Ordering::Relaxed);
        // Not while writing fails: that line would be lost too, be told again, and so on.
        if !torn && dropped > told && waiting.load(Ordering::Relaxed) == 0 {
            let lines = dropped - told;
            told = dropped;
            tracing::warn!(lines, "the log could not be written, lines are lost");
        }
    }
}

/// Writes all bytes, even if another program made the output non-blocking.
fn put<W: Write>(output: &mut W, mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        match output.write(bytes) {
            Ok(0) => return false,
            Ok(written) => bytes = &bytes[written..],
            Err(error) => match error.kind() {
                io::ErrorKind::Interrupted => {}
                io::ErrorKind::WouldBlock => thread::park_timeout(FULL_PAUSE),
                _ => return false,
            },
        }
    }
    output.flush().is_ok()
}

/// Maximum number of lines that wait to be written.
const QUEUE_LINES: usize = 1024;
/// Maximum number of bytes that wait to be written.
const QUEUE_BYTES: usize = 1 << 20;
/// Maximum length of an event; a longer one is cut.
const LINE_BYTES_MAX: usize = 64 * 1024;
/// Pause before the next try at a non-blocking output that is full.
const FULL_PAUSE: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn an_event_is_one_line_except_on_a_terminal() {
        let event = b"reload refused\nerror: no such pool\r\n";
        let line = Layout::Lines.line(event);
        assert_eq!(line, b"reload refused\\nerror: no such pool\\r\n");
        assert_eq!(Layout::Terminal.line(event), event);
    }

    #[test]
    fn a_line_that_is_too_long_keeps_its_start() {
        let line = Layout::Lines.line(&[b'a'; LINE_BYTES_MAX + 9]);
        assert_eq!(line.len(), LINE_BYTES_MAX + 5);
        assert!(line.ends_with(b"a ...\n"));
    }

    /// A test output that takes as much as there is room for, then fails until there is room again.
    struct Disk {
        room: Arc<AtomicUsize>,
        kept: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let room = self.room.load(Ordering::Relaxed).min(bytes.len());
            if room == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.room.fetch_sub(room, Ordering::Relaxed);
            self.kept.lock().unwrap().extend_from_slice(&bytes[..room]);
            Ok(room)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_after_a_torn_one_begins_at_its_own_line() {
        let room = Arc::new(AtomicUsize::new(6));
        let kept = Arc::<Mutex<Vec<u8>>>::default();
        let disk = Disk {
            room: Arc::clone(&room),
            kept: Arc::clone(&kept),
        };
        let queue = Queue::start(disk, Layout::Lines).unwrap();
        for line in [b"one", b"two", b"six"] {
            queue.hand_over(line);
        }
        assert!(queue.settle(Duration::from_secs(20)));
        room.store(100, Ordering::Relaxed);
        queue.hand_over(b"ten");
        assert!(queue.settle(Duration::from_secs(20)));
        assert_eq!(kept.lock().unwrap().as_slice(), b"one\ntw\nten\n");
    }

    #[test]
    fn lines_that_find_no_room_are_counted_and_nobody_waits() {
        let (reader, pipe) = io::pipe().unwrap();
        let queue = Queue::start(pipe, Layout::Lines).unwrap();
        let before = LINES_DROPPED.load(Ordering::Relaxed);
        for _ in 0..QUEUE_LINES * 4 {
            queue.hand_over(&[b'a'; 1024]);
        }
        assert!(LINES_DROPPED.load(Ordering::Relaxed) > before);
        assert!(queue.waiting.load(Ordering::Relaxed) <= QUEUE_BYTES);
        assert!(!queue.settle(Duration::from_millis(1)));
        drop(reader);
    }
}
