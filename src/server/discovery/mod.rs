//! Discovery: runs the sources of pools and applies their lists.
//!
//! Part of the control thread. A list becomes a new endpoint set of its pool, without a new
//! snapshot: health and checks follow, workers are told, and removed endpoints are released. If a
//! source fails, the last good list stays.

mod absent;
mod changes;
mod first;
mod kept;

use std::{
    collections::{HashMap, HashSet},
    pin::pin,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::json;
use tokio::{sync::mpsc, task::JoinHandle, time::Instant};

use super::control::Control;
use crate::{
    resilience::restart::RestartBackoff,
    state::Snapshot,
    task,
    telemetry::metrics::{ControlMetrics, SharedGauge, names},
    upstream::{
        discovery::{
            Discovered, Discovery, DiscoveryError, EndpointChanges, Heard, HeardAt, SourceSpec,
            SourceStatus, Update, arrange,
        },
        health::ProbeTarget,
        pool::Pool,
    },
    worker::{Command, SharedState},
};

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
    pub(super) fn new(registry: &ControlMetrics) -> Self {
        let (sender, answers) = mpsc::channel(ANSWERS_MAX);
        Self {
            running: HashMap::new(),
            registry: registry.clone(),
            kept: KeptLists::new(),
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
        let held = status.held.map_or(0, |(count, _)| count);
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
                continue;
            };
            if let Some(first) = &discovery.first
                && !discovered.knows(&discovery.source)
            {
                let (source, hold) = (&discovery.source, discovery.hold);
                let heard = discovered.hear(source, first, hold, HeardAt::now());
                let status = discovered.status();
                tell(&pool.name, &discovery.source, heard, &status);
                tell_skipped(&pool.name, &discovery.source, &status);
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

    /// Applies an answer of a source, or keeps the last good list and reports the error.
    pub(super) fn hear_source(&mut self, answer: &Answer) {
        let snapshot = self.shared.snapshot();
        let Answer { pool, source, list } = answer;
        let Some(pool) = snapshot.pool(pool) else {
            return;
        };
        let current = pool.discovery.as_ref();
        if current.is_none_or(|discovery| discovery.source != *source) {
            return;
        }
        let discovered = &pool.shared.discovered;
        let before = discovered.status();
        let was_bad = before.error.is_some();
        let hold = current.map(|discovery| discovery.hold).unwrap_or_default();
        let heard = discovered.hear(source, list, hold, HeardAt::now());
        let status = discovered.status();
        tell(&pool.name, source, heard, &status);
        if status.skipped != before.skipped {
            tell_skipped(&pool.name, source, &status);
        }
        self.tell_held(pool, source, &before, &status);
        let result = match heard {
            Heard::Changed => "changed",
            Heard::Unchanged => "unchanged",
            Heard::Failed { .. } => "failed",
        };
        if was_bad && !matches!(heard, Heard::Failed { .. }) {
            tracing::info!(pool = %pool.name, from = %source, "the list of endpoints is good again");
        }
        self.discoveries.count(&pool.name, source, result);
        if let Some(state_dir) = &snapshot.config.proxy.state_dir
            && heard == Heard::Changed
            && status.held.is_none()
        {
            let (kept, list) = (&mut self.discoveries.kept, discovered.listed());
            kept.keep(state_dir, &pool.name, source, &list);
        }
        if let Heard::Failed { is_news: true } = heard {
            self.events.publish(
                "discovery",
                "proxy",
                json!({ "pool": &*pool.name, "source": source.kind(), "error": error_of(discovered) }),
            );
        }
        self.take_up_endpoints(pool);
    }

    /// Ends what the source of a pool holds for a time or until a check fails.
    pub(super) fn look_at_source(&mut self, pool: &Arc<Pool>) {
        let Some(discovery) = &pool.discovery else {
            return;
        };
        let discovered = &pool.shared.discovered;
        let before = discovered.status();
        if before.held.is_some() && discovered.end_hold(HeardAt::now()) {
            self.tell_held(pool, &discovery.source, &before, &discovered.status());
        } else if before.absent == 0 || !absent::have_failed(pool) {
            return;
        }
        self.take_up_endpoints(pool);
    }

    /// Tells that endpoints stay for a time though the list has left them out, or that it is over.
    fn tell_held(
        &self,
        pool: &Pool,
        source: &SourceSpec,
        before: &SourceStatus,
        status: &SourceStatus,
    ) {
        let held = |status: &SourceStatus| status.held.map(|(count, _)| count);
        let (name, kind) = (&*pool.name, source.kind());
        match (held(before), held(status)) {
            (was, now) if was == now => return,
            (_, Some(count)) => {
                let hold = pool
                    .discovery
                    .as_ref()
                    .map(|it| it.hold)
                    .unwrap_or_default();
                let hold = humantime::format_duration(hold).to_string();
                tracing::warn!(
                    pool = name,
                    source = kind,
                    held = count,
                    listed = status.endpoints,
                    hold,
                    "most endpoints are suddenly not listed any more; they stay for a time"
                );
            }
            (Some(_), None) => {
                tracing::warn!(
                    pool = name,
                    source = kind,
                    listed = status.endpoints,
                    "the list is used as it is again"
                );
            }
            (None, None) => return,
        }
        let what = json!({ "pool": name, "source": kind, "held": held(status).unwrap_or(0) });
        self.events.publish("discovery", "proxy", what);
    }

    /// Updates the endpoint set of a pool from its lists.
    fn take_up_endpoints(&mut self, pool: &Arc<Pool>) {
        let before = pool.endpoint_set();
        absent::keep(pool, &before);
        if let Some(discovery) = &pool.discovery {
            self.discoveries.show(pool, &discovery.source);
        }
        let arranged = arrange(&before.endpoints, pool.wanted_endpoints());
        if arranged.changes.is_empty() {
            return;
        }
        pool.replace_endpoints(arranged.endpoints, Instant::now());
        if let Some(schedule) = self.schedules.get_mut(&pool.name) {
            let EndpointChanges { added, removed, .. } = &arranged.changes;
            schedule.change(
                added
                    .iter()
                    .map(|it| ProbeTarget::new(it).teaching(pool.shared.endpoint(&it.label))),
                removed.iter().map(|it| Arc::clone(&it.label)),
            );
        }
        tell_workers(&self.shared, &pool.name);
        changes::log(pool, &arranged.changes);
        self.events.publish(
            "endpoints",
            "proxy",
            changes::shown(pool, &arranged.changes),
        );
        self.forget_departed(pool, &arranged.changes);
    }

    /// Removes the metric series of removed endpoints, and of versions that no endpoint has any
    /// more.
    fn forget_departed(&self, pool: &Pool, changes: &EndpointChanges) {
        let metrics = &self.shared.metrics;
        let removed = changes.removed.iter();
        let gone: Vec<_> = removed.map(|gone| [&*pool.name, &*gone.label]).collect();
        metrics.remove_series(["pool", "endpoint"], &gone);
        let changed = changes.changed.iter().map(|(old, _)| old);
        let versions = changes.removed.iter().chain(changed);
        let mut versions: HashSet<&str> = versions
            .filter_map(|old| old.version_label.as_deref())
            .collect();
        if versions.is_empty() {
            return;
        }
        let set = pool.endpoint_set();
        for endpoint in &set.endpoints {
            versions.remove(endpoint.version_label.as_deref().unwrap_or_default());
        }
        let gone: Vec<_> = versions.iter().map(|gone| [&*pool.name, *gone]).collect();
        metrics.remove_series(["pool", "version"], &gone);
    }
}

/// Tells the workers to use the newest endpoints of a pool. Control does not wait for a worker with
/// a full queue: it looks by itself, at the latest with its next request or within a second.
fn tell_workers(shared: &SharedState, pool: &Arc<str>) {
    for worker in &shared.workers {
        let _ = worker
            .commands
            .try_send(Command::FollowEndpoints(Arc::clone(pool)));
    }
}

fn tell(pool: &str, source: &SourceSpec, heard: Heard, status: &SourceStatus) {
    if let (Heard::Failed { is_news: true }, Some((error, _))) = (heard, &status.error) {
        let kept = status.endpoints;
        let source = source.kind();
        if kept == 0 {
            tracing::warn!(pool, source, %error, "no list of endpoints yet");
        } else {
            tracing::warn!(pool, source, kept, %error, "the list of endpoints is refused; the last good one stays");
        }
    }
}

/// Logs the entries of a list that cannot be used.
fn tell_skipped(pool: &str, source: &SourceSpec, status: &SourceStatus) {
    let skipped = &status.skipped;
    if !skipped.is_empty() {
        let (source, count) = (source.kind(), skipped.count());
        tracing::warn!(pool, source, skipped = count, entries = %skipped, "entries of the list of endpoints cannot be used; the others are");
    }
}

fn error_of(discovered: &Discovered) -> Option<String> {
    discovered.status().error.map(|(error, _)| error)
}

/// Maximum number of waiting answers; a source with a further one waits.
const ANSWERS_MAX: usize = 16;
/// Minimum time between two answers of a source.
const PAUSE: Duration = Duration::from_millis(100);
