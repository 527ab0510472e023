//! From the workers' buffers to the exporter.

use std::sync::Arc;

use tokio::sync::mpsc::{self, Receiver, Sender};

use super::{
    otlp::Otlp,
    settings::{TraceEncoding, TraceSettings},
    span::{self, TraceView},
    zipkin::Zipkin,
};
use crate::telemetry::{access_log::Line, metrics::SharedCounter};

/// The queue of spans; a clone is another handle to the same one. The receiver ends when all
/// handles and worker buffers are dropped.
#[derive(Clone, Debug)]
pub struct TraceSpool {
    settings: Arc<TraceSettings>,
    queue: Sender<SpanBatch>,
    dropped: SharedCounter,
}

/// Encoded spans.
#[derive(Debug)]
pub struct SpanBatch {
    /// The spans, in the form of the settings.
    pub bytes: Vec<u8>,
    /// Number of spans.
    pub spans: u64,
}

/// The spans of one worker.
#[derive(Debug)]
pub struct WorkerTraces {
    spool: TraceSpool,
    buffer: Vec<u8>,
    spans: u64,
}

impl TraceSpool {
    /// Makes a queue; `dropped` counts lost spans.
    pub fn new(
        settings: Arc<TraceSettings>,
        dropped: SharedCounter,
    ) -> (Self, Receiver<SpanBatch>) {
        let (queue, batches) = mpsc::channel(QUEUE_BATCHES);
        let spool = Self {
            settings,
            queue,
            dropped,
        };
        (spool, batches)
    }

    /// Makes the buffer of one worker.
    pub fn worker(&self) -> WorkerTraces {
        WorkerTraces {
            spool: self.clone(),
            buffer: Vec::new(),
            spans: 0,
        }
    }
}

impl WorkerTraces {
    /// Adds the spans of an exchange.
    pub fn write(&mut self, line: &Line<'_>, trace: &TraceView<'_>) {
        let settings = Arc::clone(&self.spool.settings);
        let out = &mut self.buffer;
        self.spans += match settings.encoding {
            None => 0,
            Some(TraceEncoding::Otlp) => span::write(line, trace, &settings, &mut Otlp::new(out)),
            Some(TraceEncoding::Zipkin) => {
                let mut form = Zipkin::new(out, &settings.service);
                span::write(line, trace, &settings, &mut form)
            }
        };
        if self.buffer.len() >= BATCH_BYTES {
            self.flush();
        }
    }

    /// Passes the buffer on; called by the worker's tick. Never waits.
    pub fn flush(&mut self) {
        if self.spans == 0 {
            return;
        }
        let batch = SpanBatch {
            bytes: self.buffer.clone(),
            spans: self.spans,
        };
        if self.spool.queue.try_send(batch).is_err() {
            self.spool.dropped.add(self.spans);
        }
        // The buffer is kept, unless it grew for long lines.
        self.buffer.clear();
        self.buffer.shrink_to(BATCH_BYTES * 2);
        self.spans = 0;
    }
}

impl Drop for WorkerTraces {
    fn drop(&mut self) {
        self.flush();
    }
}

/// Size at which a worker passes its buffer on.
const BATCH_BYTES: usize = 64 * 1024;

/// Length of the queue: at most about 4 MiB of spans wait for the collector.
const QUEUE_BATCHES: usize = 64;
