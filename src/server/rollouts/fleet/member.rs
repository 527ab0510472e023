//! One proxy in its fleet: it reports, follows, and leads where nobody else does.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{
    desk,
    fault::StoreFault,
    link::{Entries, Entry, Leases, Link, Place},
    writes::Written,
};
use crate::{
    rollout::{
        Rollout,
        fleet::{Lead, Record, Report, definition},
        machine::{CandidateHealth, State},
    },
    server::{board::Board, rollouts::health_of, shared_config::process},
    state::Snapshot,
    telemetry::metrics::{ControlMetrics, SharedCounter, SharedGauge},
    upstream::etcd::Cluster,
    worker::SharedState,
};

/// This proxy, as a member.
pub(super) struct Member {
    shared: Arc<SharedState>,
    pub(super) board: Arc<Board>,
    pub(super) metrics: ControlMetrics,
    pub(super) place: Place,
    pub(super) name: String,
    /// One for each process: a restart counts anew.
    pub(super) epoch: String,
    leases: Leases,
    connected: Option<Instant>,
    /// Failures of the store in a row.
    failures: usize,
    pub(super) parts: HashMap<Arc<str>, Part>,
}

/// Part in one rollout.
#[derive(Default)]
pub(super) struct Part {
    /// Digest of the definition that this proxy has.
    pub(super) own: String,
    /// The last write that the store refused, and its reason.
    pub(super) refused: Option<(Written, String)>,
    /// Time until which it leaves the lead to others, whose writes the store may take.
    pub(super) barred_until: Option<Instant>,
    /// True if reports have found no room in the record that it leads.
    pub(super) is_crowded: bool,
    /// The record that is applied: its revision, and the definition that it was applied by.
    pub(super) applied: Option<(i64, String)>,
    /// The record that it leads, and its revision.
    pub(super) lead: Option<(Lead, i64)>,
    pub(super) ticked: Option<Instant>,
    pub(super) reported: Option<(Report, Instant)>,
    /// The reports of all, and the times at which they changed last.
    pub(super) reports: Vec<(Report, Instant)>,
    pub(super) listed: Option<Instant>,
    pub(super) leader: Option<String>,
    pub(super) foreign: Option<String>,
    pub(super) gauges: Option<(SharedGauge, SharedCounter)>,
}

/// The value of the key of a leader.
#[derive(Serialize, Deserialize)]
pub(super) struct Leader {
    pub(super) name: String,
    pub(super) epoch: String,
}

impl Member {
    pub(super) fn new(shared: &Arc<SharedState>, board: &Arc<Board>, place: Place) -> Self {
        let snapshot = shared.snapshot();
        let name = snapshot.config.config.name.as_ref();
        // Under the new epoch it counts from 0.
        for rollout in &snapshot.rollouts {
            rollout.state.rejoin();
        }
        Self {
            shared: Arc::clone(shared),
            board: Arc::clone(board),
            metrics: shared.metrics.control(),
            name: name.map_or_else(process, ToString::to_string),
            epoch: format!("{:016x}", rand::random::<u64>()),
            place,
            leases: Leases::default(),
            connected: None,
            failures: 0,
            parts: HashMap::new(),
        }
    }

    /// Connects.
    pub(super) async fn open(&mut self, cluster: &mut Option<Cluster>) -> Result<Link, StoreFault> {
        let began = Instant::now();
        let watched = format!("{}state/", self.place.prefix);
        let link = Link::open(&self.place, cluster, &mut self.leases, &watched).await?;
        self.leases.renewed = Some(began);
        self.connected = Some(began);
        for part in self.parts.values_mut() {
            // The store may have lost what it had.
            (part.applied, part.reported, part.listed) = (None, None, None);
        }
        Ok(link)
    }

    /// Returns true if the last connection worked for a while.
    pub(super) fn is_steady(&self) -> bool {
        let connected = self.connected;
        connected.is_some_and(|connected| connected.elapsed() > STEADY)
    }

    /// Gives up what only a leader with a connection knows; returns the number of failures in a row.
    pub(super) fn lost(&mut self, why: &StoreFault) -> usize {
        self.connected = None;
        self.failures = self.failures.saturating_add(1);
        for part in self.parts.values_mut() {
            part.lead = None;
            if let Some((leads, _)) = &part.gauges {
                leads.set(0);
            }
        }
        self.board.rollouts.failed(&why.to_string());
        for asked in self.board.rollouts.take_orders() {
            let store = self.place.name();
            let message = format!("{store} {}: nothing is changed ({why})", why.verb());
            super::orders::refuse(asked, &message);
        }
        self.failures
    }

    /// Notes that the store has answered all that was asked since this time; returns the number of
    /// failures before.
    pub(super) fn answered(&mut self, began: Instant) -> usize {
        self.board.rollouts.answered(began);
        std::mem::take(&mut self.failures)
    }

    /// Does what is due.
    pub(super) async fn round(&mut self, link: &mut Link) -> Result<(), StoreFault> {
        let now = Instant::now();
        let renewed = self.leases.renewed;
        if renewed.is_none_or(|at| now.saturating_duration_since(at) >= self.place.lease / 3) {
            if !link.renew().await? {
                return Err(StoreFault::Away("its lease has ended".to_owned()));
            }
            self.leases.renewed = Some(now);
        }
        let snapshot = self.shared.snapshot();
        self.parts
            .retain(|name, _| snapshot.rollout(name).is_some());
        for rollout in &snapshot.rollouts {
            let mut part = self.parts.remove(&rollout.name).unwrap_or_default();
            let done = self.look(link, &snapshot, rollout, &mut part).await;
            self.parts.insert(Arc::clone(&rollout.name), part);
            done?;
        }
        self.obey_all(link, &snapshot).await?;
        self.show(&snapshot);
        Ok(())
    }

    async fn look(
        &self,
        link: &mut Link,
        snapshot: &Snapshot,
        rollout: &Rollout,
        part: &mut Part,
    ) -> Result<(), StoreFault> {
        part.own = definition(rollout);
        self.follow(link.entries(), rollout, part);
        self.report(link, snapshot, rollout, part).await?;
        self.govern(link, rollout, part).await
    }

    /// Applies the record, if it is news.
    fn follow(&self, entries: &Entries, rollout: &Rollout, part: &mut Part) {
        let Some(entry) = entries.get(&self.key(rollout, RECORD)) else {
            part.foreign = None;
            return;
        };
        let applied = part.applied.as_ref();
        let is_newer = applied.is_some_and(|(before, _)| *before < entry.revision);
        if !is_newer && applied.is_some_and(|(_, by)| *by == part.own) {
            return;
        }
        if is_newer {
            // What another one wrote was taken.
            self.taken(rollout, part, Written::Record);
        }
        let own = part.own.clone();
        let foreign = match Record::read(&entry.value) {
            Ok(record) if record.definition == own => {
                let epoch = &self.epoch;
                rollout.state.adopt(rollout, &record, epoch, None);
                None
            }
            Ok(record) => Some(format!(
                "the fleet rolls out another definition of it (written by {})",
                record.by
            )),
            Err(why) => Some(format!("the record in the store cannot be read: {why}")),
        };
        if let Some(why) = foreign.as_ref().filter(|_| part.foreign != foreign) {
            let (rollout, store) = (&rollout.name, self.place.name());
            tracing::warn!(%rollout, %store, %why, "this proxy does not follow the fleet; its share stays");
        }
        (part.foreign, part.applied) = (foreign, Some((entry.revision, own)));
    }

    /// Publishes what this proxy counts, if it is due.
    async fn report(
        &self,
        link: &mut Link,
        snapshot: &Snapshot,
        rollout: &Rollout,
        part: &mut Part,
    ) -> Result<(), StoreFault> {
        let mut is_alike = false;
        if let Some((last, at)) = &part.reported {
            is_alike = (&last.definition, last.generation, last.health)
                == (
                    &part.own,
                    rollout.state.applied(),
                    health_of(snapshot, rollout),
                );
            let every = match rollout.state.state() {
                State::Running | State::Holding | State::Waiting | State::Frozen => Some(TICK),
                State::Pending => Some(PENDING_EVERY),
                // Nothing is compared.
                State::Promoted | State::RollingBack | State::RolledBack => None,
            };
            if is_alike && every.is_none_or(|every| at.elapsed() < every) {
                return Ok(());
            }
        }
        // The figures of all workers are added up only now.
        let report = self.reportable(snapshot, rollout, &part.own);
        if let Some((last, at)) = &mut part.reported
            && is_alike
            && last.figures == report.figures
        {
            *at = Instant::now();
            return Ok(());
        }
        self.publish(link, rollout, report, part).await
    }

    fn reportable(&self, snapshot: &Snapshot, rollout: &Rollout, own: &str) -> Report {
        let (generation, figures) = rollout.state.reported(rollout).unwrap_or_default();
        let health = health_of(snapshot, rollout);
        Report::new(
            [&self.name, &self.epoch],
            own.to_owned(),
            generation,
            health,
            figures,
        )
    }

    async fn publish(
        &self,
        link: &mut Link,
        rollout: &Rollout,
        report: Report,
        part: &mut Part,
    ) -> Result<(), StoreFault> {
        let now = Instant::now();
        let value = serde_json::to_vec(&report).map_err(|error| error.to_string())?;
        let key = format!("{}{}", self.reports(rollout), self.epoch);
        let written = link.report(&key, &value).await;
        // One that is refused is not written again before the next is due.
        if self.noted(rollout, part, Written::Report, written)? != Some(false) {
            part.reported = Some((report, now));
        }
        Ok(())
    }

    /// Leaves the fleet: what was counted is told, and another proxy leads at once.
    pub(super) async fn leave(&mut self, link: &mut Link) -> Result<(), StoreFault> {
        let snapshot = self.shared.snapshot();
        for rollout in &snapshot.rollouts {
            let Some(part) = self.parts.get_mut(&rollout.name) else {
                continue;
            };
            let mut part = std::mem::take(part);
            let mut report = self.reportable(&snapshot, rollout, &definition(rollout));
            report.left = true;
            self.publish(link, rollout, report, &mut part).await?;
            let key = self.key(rollout, LEADER);
            let leader = link.entries().get(&key).and_then(leader);
            if leader.is_some_and(|it| it.epoch == self.epoch) {
                link.release(&key).await?;
            }
        }
        Ok(())
    }

    fn show(&self, snapshot: &Snapshot) {
        let mut parts = BTreeMap::new();
        for rollout in &snapshot.rollouts {
            let Some(part) = self.parts.get(&rollout.name) else {
                continue;
            };
            let present = part.reports.iter().filter(|(report, _)| !report.left);
            let members = present.map(|(report, at)| desk::Member {
                name: report.name.clone(),
                reported: *at,
                same_definition: report.definition == part.own,
                health: word(report.health),
            });
            let shown = desk::Part {
                leads: part.lead.is_some(),
                leader: part.leader.clone(),
                foreign: part.foreign.clone(),
                refused: part.refused.as_ref().map(|(_, why)| why.clone()),
                members: members.collect(),
            };
            parts.insert(Arc::clone(&rollout.name), shown);
        }
        self.board.rollouts.set(parts);
    }

    /// Beginning of the keys of all reports.
    pub(super) fn reports(&self, rollout: &Rollout) -> String {
        format!("{}reports/{}/", self.place.prefix, rollout.name)
    }

    pub(super) fn key(&self, rollout: &Rollout, what: &str) -> String {
        format!("{}state/{}/{what}", self.place.prefix, rollout.name)
    }
}

pub(super) fn leader(entry: &Entry) -> Option<Leader> {
    serde_json::from_slice(&entry.value).ok()
}

fn word(health: CandidateHealth) -> &'static str {
    match health {
        CandidateHealth::Absent => "absent",
        CandidateHealth::Unhealthy => "unhealthy",
        CandidateHealth::Unsure => "unsure",
        CandidateHealth::Healthy => "healthy",
    }
}

pub(super) const RECORD: &str = "record";
pub(super) const LEADER: &str = "leader";
/// Between two ticks of the leader, and two reports of a proxy.
pub(super) const TICK: Duration = Duration::from_secs(1);
/// Between two reports while no candidate runs: what is learned of the baseline can wait.
const PENDING_EVERY: Duration = Duration::from_secs(10);
/// Length of a connection from which its end is not a failure of the start.
const STEADY: Duration = Duration::from_secs(5);
