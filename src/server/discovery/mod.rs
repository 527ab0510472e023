//! Discovery: runs the sources of pools and applies their lists.
//!
//! Part of the control thread. A list becomes a new endpoint set of its pool, without a new
//! snapshot: health and checks follow, workers are told, and removed endpoints are released. If a
//! source fails, the last good list stays.

mod absent;
mod changes;
mod endpoints;
mod first;
mod heard;
mod kept;

use std::{
    collections::HashMap,
    pin::pin,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::{sync::mpsc, task::JoinHandle, time::Instant};

use super::{control::Control, outages::Outages};
use crate::{
    resilience::restart::RestartBackoff,
    state::Snapshot,
    task,
    telemetry::metrics::{ControlMetrics, SharedGauge, names},
    upstream::{
        discovery::{Discovery, DiscoveryError, HeardAt, SourceSpec, Update},
        pool::Pool,
    },
};

use heard::{tell, tell_skipped};
use kept::KeptLists;

pub(super) use first::ask_first;

/// The running sources.
pub(super) struct Discoveries {
    /// By pool.
    running: HashMap<Arc<str>, Running>,
    registry: ControlMetrics,
    pub(super) kept: KeptLists,
    sender: mpsc::Sender<Answer>,
    answers: mpsc::Receiver<Answer>,
}

/// One running source; dropping it stops the source.
struct Running {
    source: SourceSpec,
    task: JoinHandle<()>,
    gauges: Gauges,
}

/// Metrics of a source.
struct Gauges {
    endpoints: SharedGauge,
    skipped: SharedGauge,
    held: SharedGauge,
    absent: SharedGauge,
    last_success: SharedGauge,
    last_success_time: SharedGauge,
}

/// Answer of a source.
pub(super) struct Answer {
    pool: Arc<str>,
    source: SourceSpec,
    list: Result<Update, DiscoveryError>,
}

impl Discoveries {
    pub(super) fn new(registry: &ControlMetrics, outages: &Arc<Outages>) -> Self {
        let (sender, answers) = mpsc::channel(ANSWERS_MAX);
        Self {
            running: HashMap::new(),
            registry: registry.clone(),
            kept: KeptLists::new(outages),
            sender,
            answers,
        }
    }

    /// Waits for the next answer of any source. Cancel safe.
    pub(super) async fn next(&mut self) -> Answer {
        match self.answers.recv().await {
            Some(answer) => answer,
            // Not while a sender is kept here.
            None => std::future::pending().await,
        }
    }

    /// Runs the sources of this snapshot, and stops others.
    fn follow(&mut self, snapshot: &Snapshot, mut begun: HashMap<&str, Box<dyn Discovery>>) {
        self.running.retain(|name, running| {
            let pool = snapshot.pool(name);
            let source = pool.and_then(|pool| pool.discovery.as_ref());
            source.is_some_and(|discovery| discovery.source == running.source)
        });
        for pool in &snapshot.pools {
            let Some(discovery) = &pool.discovery else {
                continue;
            };
            if !self.running.contains_key(&pool.name) {
                let begun = begun.remove(&*pool.name);
                self.start(&pool.name, &discovery.source, begun);
            }
            self.show(pool, &discovery.source);
        }
    }

    fn start(&mut self, pool: &Arc<str>, source: &SourceSpec, begun: Option<Box<dyn Discovery>>) {
        let labels = [&**pool, source.kind()];
        let gauges = Gauges {
            endpoints: self.registry.gauge(&names::DISCOVERY_ENDPOINTS, labels),
            skipped: self
                .registry
                .gauge(&names::DISCOVERY_SKIPPED_ENTRIES, labels),
            held: self
                .registry
                .gauge(&names::DISCOVERY_HELD_ENDPOINTS, labels),
            absent: self
                .registry
                .gauge(&names::DISCOVERY_ABSENT_ENDPOINTS, labels),
            last_success: self.registry.gauge(&names::DISCOVERY_LAST_SUCCESS, labels),
            last_success_time: self
                .registry
                .gauge(&names::DISCOVERY_LAST_SUCCESS_TIMESTAMP_SECONDS, labels),
        };
        let running = Running {
            source: source.clone(),
            task: run(pool, source, begun, &self.sender),
            gauges,
        };
        self.running.insert(Arc::clone(pool), running);
    }

    fn count(&self, pool: &str, source: &SourceSpec, result: &str) {
        let labels = [pool, source.kind(), result];
        self.registry
            .counter(&names::DISCOVERY_UPDATES_TOTAL, labels)
            .inc();
    }

    fn show(&self, pool: &Pool, source: &SourceSpec) {
        let Some(running) = self.running.get(&pool.name) else {
            return;
        };
        debug_assert!(running.source == *source);
        let status = pool.shared.discovered.status();
        let seconds = |time: SystemTime| {
            let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
            i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
        };
        let gauges = &running.gauges;
        let endpoints = i64::try_from(status.endpoints).unwrap_or(i64::MAX);
        gauges.endpoints.set(endpoints);
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        gauges.skipped.set(number(status.skipped.count()));
        let held = status.held.map_or(0, |held| held.count);
        gauges.held.set(number(held));
        gauges.absent.set(number(status.absent));
        gauges.last_success.set(i64::from(status.error.is_none()));
        gauges
            .last_success_time
            .set(status.succeeded.map_or(0, seconds));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Runs a source until its pool is removed, the one that has begun if there is one; restarts it after
/// a panic.
fn run(
    pool: &Arc<str>,
    source: &SourceSpec,
    mut begun: Option<Box<dyn Discovery>>,
    answers: &mpsc::Sender<Answer>,
) -> JoinHandle<()> {
    let (pool, source, answers) = (Arc::clone(pool), source.clone(), answers.clone());
    task::spawn_local("discovery", async move {
        let mut backoff = RestartBackoff::default();
        loop {
            let began = Instant::now();
            let running = begun.take().unwrap_or_else(|| source.start());
            let listening = pin!(listen(&pool, &source, running, &answers));
            if let Ok(()) = task::caught(listening).await {
                return;
            }
            let wait = backoff.after(began.elapsed());
            tracing::error!(
                %pool, wait_ms = wait.as_millis(),
                "the discovery of a pool panicked; this is a bug; it is started again after a wait"
            );
            tokio::time::sleep(wait).await;
        }
    })
}

/// Passes the answers of a source on, until the receiver is dropped.
async fn listen(
    pool: &Arc<str>,
    source: &SourceSpec,
    mut running: Box<dyn Discovery>,
    answers: &mpsc::Sender<Answer>,
) {
    loop {
        let list = running.next().await;
        let answer = Answer {
            pool: Arc::clone(pool),
            source: source.clone(),
            list,
        };
        if answers.send(answer).await.is_err() {
            return;
        }
        // Whatever the source does, it does it so often and no more.
        tokio::time::sleep(PAUSE).await;
    }
}

impl Control {
    /// Follows the sources of a newly applied snapshot.
    pub(super) fn follow_sources(&mut self, snapshot: &Snapshot) {
        let mut begun = HashMap::new();
        let mut answers = Vec::new();
        for pool in &snapshot.pools {
            let discovered = &pool.shared.discovered;
            let Some(discovery) = &pool.discovery else {
                discovered.forget();
                pool.shared.health.forget_waiting();
                continue;
            };
            if let Some(first) = &discovery.first
                && !discovered.knows(&discovery.source)
            {
                let (source, hold) = (&discovery.source, discovery.hold);
                let before = discovered.status();
                let heard = discovered.hear(source, first, hold, HeardAt::now());
                let status = discovered.status();
                tell(&pool.name, &discovery.source, heard, &status);
                tell_skipped(&pool.name, &discovery.source, &status);
                self.tell_held(pool, source, &before, &status);
                pool.shared.health.forget_waiting();
            }
            if let Some((running, first)) = discovery.begun.take() {
                begun.insert(&*pool.name, running);
                answers.extend(first.map(|list| Answer {
                    pool: Arc::clone(&pool.name),
                    source: discovery.source.clone(),
                    list,
                }));
            }
        }
        self.discoveries.follow(snapshot, begun);
        for answer in &answers {
            self.hear_source(answer);
        }
        for pool in snapshot.pools.iter().filter(|it| it.discovery.is_some()) {
            // The list may have changed since the snapshot was compiled.
            self.take_up_endpoints(pool);
        }
    }
}

/// Maximum number of waiting answers; a source with a further one waits.
const ANSWERS_MAX: usize = 16;
/// Minimum time between two answers of a source.
const PAUSE: Duration = Duration::from_millis(100);
