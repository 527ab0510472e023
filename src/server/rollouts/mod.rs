//! Rollouts on control: a background service lets their time pass, tells of their moves, and keeps
//! their progress on disk.
//!
//! Looks every 100 ms. Owns the gauges; the progress itself is in the registry.

mod fleet;
mod kept;
mod notify;
mod view;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use serde_json::json;
use tokio::time::Instant;

pub(super) use fleet::Desk;
pub(super) use kept::{AllKept, kept, restore, take_up};
pub(super) use view::{change, view};

use self::{kept::Keeper, notify::Notifier};
use super::{
    board::Board,
    service::{Ended, Services, Stop},
};
use crate::{
    rollout::{
        Moved, Rollout,
        machine::{CandidateHealth, State},
        tally::Arm,
    },
    state::Snapshot,
    telemetry::{
        events::Events,
        metrics::{ControlMetrics, SharedGauge, names},
    },
    upstream::health::EndpointState,
    worker::SharedState,
};

/// Starts the service; `path` is the file of the configuration.
pub(super) fn start(
    services: &mut Services,
    shared: &Arc<SharedState>,
    board: &Arc<Board>,
    events: &Arc<Events>,
    path: &Path,
) {
    fleet::start(services, shared, board);
    let (shared, events, path) = (Arc::clone(shared), Arc::clone(events), path.to_owned());
    let board = Arc::clone(board);
    services.start("rollouts", move |stop| {
        let rollouts = Rollouts {
            metrics: shared.metrics.control(),
            shown: HashMap::new(),
            keeper: Keeper::new(&board.outages),
            notifier: Notifier::start(),
            path: path.clone(),
            shared: Arc::clone(&shared),
            board: Arc::clone(&board),
            events: Arc::clone(&events),
        };
        rollouts.run(stop)
    });
}

struct Rollouts {
    shared: Arc<SharedState>,
    board: Arc<Board>,
    events: Arc<Events>,
    metrics: ControlMetrics,
    /// By rollout.
    shown: HashMap<Arc<str>, Shown>,
    keeper: Keeper,
    notifier: Notifier,
    path: PathBuf,
}

/// Gauges of a rollout. Kept, since a gauge lives as long as its handle.
struct Shown {
    share: SharedGauge,
    state: (State, SharedGauge),
}

impl Rollouts {
    async fn run(mut self, stop: Stop) -> Ended {
        let mut looks = stop.looks(LOOK);
        while looks.next().await {
            self.look();
        }
        Ok(())
    }

    fn look(&mut self) {
        // Another process may go on with them.
        if self.shared.is_draining() {
            return;
        }
        let snapshot = self.shared.snapshot();
        let now = Instant::now();
        let mut moved = false;
        for rollout in &snapshot.rollouts {
            self.pass(&snapshot, rollout, now);
            for told in rollout.state.take_moves() {
                moved = true;
                self.tell(rollout, &told);
            }
            self.show(rollout);
        }
        if self.shown.len() > snapshot.rollouts.len() {
            self.shown
                .retain(|name, _| snapshot.rollout(name).is_some());
        }
        self.keeper.keep(&snapshot, &self.path, now, moved);
    }

    /// Lets time pass for a rollout. That of a fleet is its leader's; while nobody can be asked, this
    /// proxy protects its own users.
    fn pass(&self, snapshot: &Snapshot, rollout: &Rollout, now: Instant) {
        if snapshot.config.proxy.rollout_store.is_none() {
            let health = health_of(snapshot, rollout);
            rollout.state.tick(rollout, now, health);
        } else if self.board.rollouts.is_away(&rollout.name) {
            rollout.state.guard(rollout);
        }
    }

    /// Returns true if it is for this proxy to tell others of a rollout's moves.
    fn speaks(&self, snapshot: &Snapshot, rollout: &Rollout) -> bool {
        let desk = &self.board.rollouts;
        snapshot.config.proxy.rollout_store.is_none()
            || desk.leads(&rollout.name)
            || desk.is_away(&rollout.name)
    }

    fn tell(&self, rollout: &Rollout, moved: &Moved) {
        let name = &rollout.name;
        let Moved {
            from,
            to,
            step,
            share,
            reason,
        } = moved;
        let percent = share * 100.0;
        match to {
            State::RollingBack | State::RolledBack | State::Frozen => {
                tracing::warn!(rollout = %name, %from, %to, %percent, %reason, "rollout");
            }
            _ => tracing::info!(rollout = %name, %from, %to, step, %percent, %reason, "rollout"),
        }
        let snapshot = self.shared.snapshot();
        let view = view(&snapshot, &self.board.rollouts, rollout);
        let what = json!({
            "rollout": &**name,
            "from": from.word(),
            "to": to.word(),
            "step": step,
            "share": share,
            "reason": reason,
            "baseline": view.versions.baseline,
            "candidate": view.versions.candidate,
        });
        let written = snapshot.config.rollouts.get(&**name);
        if let Some(notify) = written.and_then(|it| it.notify.as_ref())
            && self.speaks(&snapshot, rollout)
        {
            self.notifier.send(name, notify, &what);
        }
        self.events.publish("rollout", "proxy", what);
    }

    fn show(&mut self, rollout: &Rollout) {
        let (name, metrics) = (&rollout.name, &self.metrics);
        let state = rollout.state.shown();
        let of_state = |state: State| {
            let gauge = metrics.gauge(&names::ROLLOUT_STATE, [&**name, state.word()]);
            gauge.set(1);
            (state, gauge)
        };
        let shown = self.shown.entry(Arc::clone(name)).or_insert_with(|| Shown {
            share: metrics.gauge(&names::ROLLOUT_SHARE, [name]),
            state: of_state(state),
        });
        if shown.state.0 != state {
            shown.state = of_state(state);
        }
        let share = rollout.state.shared.share().millionths();
        shown.share.set(share);
    }
}

/// Returns the health of the candidate's endpoints.
fn health_of(snapshot: &Snapshot, rollout: &Rollout) -> CandidateHealth {
    let pool = &snapshot.pools[rollout.pool.0 as usize];
    let set = pool.endpoint_set();
    let picture = set.health.picture();
    let view = &set.views[rollout.view(Arm::Candidate).0 as usize];
    let members = view.tiers.iter().flatten();
    let members = members.filter(|it| set.endpoint(**it).is_some_and(|it| it.weight > 0));
    let mut health = CandidateHealth::Absent;
    for member in members.filter_map(|it| picture.endpoint(*it)) {
        if member.eligible {
            return CandidateHealth::Healthy;
        }
        health = match (health, member.state) {
            // Only failed checks say that it is not healthy: an operator may drain all of them.
            (CandidateHealth::Absent | CandidateHealth::Unhealthy, EndpointState::Unhealthy) => {
                CandidateHealth::Unhealthy
            }
            _ => CandidateHealth::Unsure,
        };
    }
    health
}

/// Between two looks.
const LOOK: Duration = Duration::from_millis(100);
