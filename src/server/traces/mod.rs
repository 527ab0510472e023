//! Export of spans to a collector.
//!
//! Takes batches from the queue that workers fill, and sends them one request after the other. A
//! collector that is slow or away costs nothing but spans: the queue is bounded, and what finds no
//! place in it is counted by the worker. A reload with another `[tracing]` makes another queue; the
//! old one is sent to its end first.

mod collector;

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::{Notify, mpsc::Receiver},
    time::{Instant, sleep, timeout, timeout_at},
};

use self::collector::{Collector, ExportError};
use super::{
    control::Control,
    outages::Outages,
    service::{Services, Stop},
};
use crate::{
    config::schema::Tracing,
    state::Snapshot,
    telemetry::{
        metrics::{ControlMetrics, SharedCounter, SharedGauge, names},
        trace::{SpanBatch, TraceSpool},
    },
};

/// The export, if tracing is on.
#[derive(Clone)]
pub(super) struct Traces(Rc<Slot>);

struct Slot {
    metrics: ControlMetrics,
    outages: Arc<Outages>,
    /// The newest queue, until the service takes it.
    next: RefCell<Option<Source>>,
    /// Number of queues so far.
    number: Cell<u64>,
    changed: Notify,
}

/// A queue, and the settings of its export.
struct Source {
    settings: Tracing,
    batches: Receiver<SpanBatch>,
}

struct Exporter {
    collector: Collector,
    batches: Receiver<SpanBatch>,
    exported: SharedCounter,
    failed: SharedCounter,
    refused: SharedCounter,
    up: SharedGauge,
    is_up: bool,
    outages: Arc<Outages>,
}

impl Control {
    /// Makes a new queue of spans if `[tracing]`, or what spans mask, has changed. Workers take it
    /// up with the snapshot.
    pub(super) fn follow_traces(&self, old: Option<&Snapshot>, new: &Snapshot) {
        let same =
            |old: &Snapshot| old.config.tracing == new.config.tracing && old.tracing == new.tracing;
        if old.is_some_and(same) {
            return;
        }
        let slot = &self.traces.0;
        let settings = new.tracing.as_ref().filter(|it| it.encoding.is_some());
        let (spool, source) = match (settings, &new.config.tracing) {
            (Some(settings), Some(written)) => {
                let dropped = &names::TRACE_SPANS_DROPPED_TOTAL;
                let dropped = slot.metrics.counter(dropped, ["queue_full"]);
                let (spool, batches) = TraceSpool::new(Arc::clone(settings), dropped);
                let settings = written.clone();
                (Some(spool), Some(Source { settings, batches }))
            }
            _ => (None, None),
        };
        self.shared.traces.store(Arc::new(spool));
        *slot.next.borrow_mut() = source;
        slot.number.set(slot.number.get() + 1);
        slot.changed.notify_one();
    }
}

impl Traces {
    pub(super) fn new(metrics: ControlMetrics, outages: Arc<Outages>) -> Self {
        Self(Rc::new(Slot {
            metrics,
            outages,
            next: RefCell::default(),
            number: Cell::default(),
            changed: Notify::new(),
        }))
    }

    /// Exports from the newest queue, and each one that replaces it.
    pub(super) fn start(&self, services: &mut Services) {
        let traces = self.clone();
        services.start("trace export", move |stop| {
            let slot = Rc::clone(&traces.0);
            async move {
                loop {
                    let (source, number) = (slot.next.borrow_mut().take(), slot.number.get());
                    slot.outages.over(UNDELIVERED);
                    if let Some(source) = source {
                        let exporter = Exporter::new(source, &slot);
                        exporter.run(&slot, number, &stop).await;
                    } else {
                        tokio::select! {
                            () = stop.told() => {}
                            () = slot.follows(number) => {}
                        }
                    }
                    if stop.is_told() {
                        return Ok(());
                    }
                }
            }
        });
    }
}

impl Slot {
    /// Waits until there is another queue than the one of this number.
    async fn follows(&self, number: u64) {
        while self.number.get() == number {
            self.changed.notified().await;
        }
    }
}

impl Exporter {
    fn new(source: Source, slot: &Slot) -> Self {
        let metrics = &slot.metrics;
        let dropped = |reason| metrics.counter(&names::TRACE_SPANS_DROPPED_TOTAL, [reason]);
        let up = metrics.gauge(&names::TRACE_COLLECTOR_UP, []);
        up.set(1);
        Self {
            collector: Collector::new(source.settings),
            batches: source.batches,
            exported: metrics.counter(&names::TRACE_SPANS_EXPORTED_TOTAL, []),
            failed: dropped("export_failed"),
            refused: dropped("refused"),
            up,
            is_up: true,
            outages: Arc::clone(&slot.outages),
        }
    }

    /// Exports until the queue ends, another replaces it, or the process stops.
    async fn run(mut self, slot: &Slot, number: u64, stop: &Stop) {
        let ends = async || {
            tokio::select! {
                () = stop.told() => {}
                () = slot.follows(number) => {}
            }
        };
        loop {
            let batch = tokio::select! {
                () = ends() => break,
                batch = self.batches.recv() => batch,
            };
            let Some(batch) = batch else {
                return;
            };
            let whole = self.gather(batch, GATHER).await;
            let late = async {
                ends().await;
                sleep(LAST).await;
            };
            tokio::select! {
                () = self.deliver(&whole) => {}
                () = late => break,
            }
        }
        // Workers flush their buffers every 200 ms, and when they take up another queue.
        let end = Instant::now() + FLUSH;
        if let Ok(Some(batch)) = timeout_at(end, self.batches.recv()).await {
            let whole = self.gather(batch, FLUSH).await;
            let lost = self.lost(&whole);
            if let Ok(Ok(())) = timeout(LAST, self.export(&whole)).await {
                lost.none();
            }
        }
        // Workers that are late count theirs by themselves.
        self.batches.close();
        while let Ok(batch) = self.batches.try_recv() {
            drop(self.lost(&batch));
        }
    }

    /// Sends a batch, again after a failure that may pass.
    async fn deliver(&mut self, whole: &SpanBatch) {
        let lost = self.lost(whole);
        let mut wait = WAIT_FIRST;
        for attempt in 1..=TRIES {
            match self.export(whole).await {
                Ok(()) => return lost.none(),
                Err(error) if error.may_pass() && attempt < TRIES => {
                    sleep(wait).await;
                    wait *= 2;
                }
                Err(_) => break,
            }
        }
        drop(lost);
        // Whatever comes meanwhile waits in the queue.
        sleep(wait).await;
    }

    fn lost(&self, batch: &SpanBatch) -> Lost {
        Lost {
            counter: self.failed.clone(),
            spans: batch.spans,
        }
    }

    /// Adds the batches that are there, and those of the next moment.
    async fn gather(&mut self, mut batch: SpanBatch, time: Duration) -> SpanBatch {
        let end = Instant::now() + time;
        while batch.bytes.len() < EXPORT_BYTES {
            let Ok(Some(more)) = timeout_at(end, self.batches.recv()).await else {
                break;
            };
            batch.bytes.extend_from_slice(&more.bytes);
            batch.spans += more.spans;
        }
        batch
    }

    async fn export(&mut self, batch: &SpanBatch) -> Result<(), ExportError> {
        let sent = timeout(EXPORT_MAX, self.collector.send(&batch.bytes)).await;
        let sent = sent.unwrap_or(Err(ExportError::Late));
        match &sent {
            Ok(refused) => {
                let refused = (*refused).min(batch.spans);
                self.refused.add(refused);
                self.exported.add(batch.spans - refused);
                if !self.is_up {
                    tracing::info!(collector = %self.collector, "the collector of spans takes exports again");
                }
            }
            Err(error) if self.is_up => {
                tracing::warn!(collector = %self.collector, %error, "spans do not reach their collector");
            }
            Err(_) => {}
        }
        self.is_up = sent.is_ok();
        self.outages.note(UNDELIVERED, &sent);
        self.up.set(i64::from(self.is_up));
        sent.map(drop)
    }
}

/// Spans that count as lost unless they are delivered, whatever ends the wait for it.
struct Lost {
    counter: SharedCounter,
    spans: u64,
}

impl Lost {
    fn none(mut self) {
        self.spans = 0;
    }
}

impl Drop for Lost {
    fn drop(&mut self) {
        self.counter.add(self.spans);
    }
}

/// Time for which an export waits for more spans.
const GATHER: Duration = Duration::from_millis(500);
/// Size from which an export does not wait.
const EXPORT_BYTES: usize = 512 << 10;
/// Maximum time of one request.
const EXPORT_MAX: Duration = Duration::from_secs(5);
/// Tries for one export.
const TRIES: u32 = 4;
/// Wait after the first failure; twice as long after each further one.
const WAIT_FIRST: Duration = Duration::from_millis(500);
/// Time for the last spans to arrive, at the end or before another queue.
const FLUSH: Duration = Duration::from_millis(300);
/// Time for the last export.
const LAST: Duration = Duration::from_secs(1);

/// The outage of the collector.
const UNDELIVERED: &str = "spans do not reach their collector";
