//! Schedule of the checks: one task per endpoint on the control thread, so that a check that hangs
//! delays no other. Owns its tasks; the state they report to outlives them.

use std::{collections::HashMap, fmt, pin::pin, sync::Arc, time::Duration};

use tokio::{
    sync::{Semaphore, watch},
    task::JoinHandle,
    time::Instant,
};

use super::{
    machine::Pace,
    probe::{Probe, ProbeFailure, ProbeTarget},
    settings::CheckSettings,
    state::PoolHealthState,
};
use crate::{resilience::restart::RestartBackoff, task};

/// Plan of the checks of a pool's endpoints.
#[derive(Clone)]
pub struct SchedulePlan {
    /// The probe.
    pub probe: Arc<dyn Probe>,
    /// Interval and timeout of the checks.
    pub settings: CheckSettings,
}

/// The running checks of one pool. Dropping it stops them; [`Schedule::stop`] also waits for their
/// end.
pub struct Schedule {
    state: Arc<PoolHealthState>,
    running: HashMap<Arc<str>, Running>,
    plan: Option<SchedulePlan>,
}

struct Running {
    target: ProbeTarget,
    plan: watch::Sender<SchedulePlan>,
    task: JoinHandle<()>,
}

impl Schedule {
    /// Returns a schedule without checks, reporting to this state.
    #[must_use]
    pub fn new(state: Arc<PoolHealthState>) -> Self {
        Self {
            state,
            running: HashMap::new(),
            plan: None,
        }
    }

    /// Makes these targets and no others be checked, after the state adopted them: at start and
    /// after each reload. `None` stops all checks. Endpoints that stay are checked on, with the new
    /// settings if those changed.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn sync(&mut self, targets: Vec<ProbeTarget>, plan: Option<&SchedulePlan>) {
        let mut old = std::mem::take(&mut self.running);
        self.plan = plan.cloned();
        let Some(plan) = plan else { return };
        for target in targets {
            let stays = |running: &Running| running.target == target;
            let running = match old.remove(&target.identity).filter(stays) {
                Some(running) => {
                    running.plan.send_replace(plan.clone());
                    running
                }
                None => self.start(target.clone(), plan.clone()),
            };
            self.running.insert(target.identity, running);
        }
    }

    /// Adds checks of some targets, with the plan in force, and removes others. Costs only the
    /// changes.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn change(
        &mut self,
        joined: impl IntoIterator<Item = ProbeTarget>,
        left: impl IntoIterator<Item = Arc<str>>,
    ) {
        let Some(plan) = self.plan.clone() else {
            return;
        };
        for address in left {
            self.running.remove(&address);
        }
        for target in joined {
            let running = self.start(target.clone(), plan.clone());
            self.running.insert(target.identity, running);
        }
    }

    /// Number of endpoints that are checked.
    #[must_use]
    pub fn len(&self) -> usize {
        self.running.len()
    }

    /// Returns true if nothing is checked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    /// Stops all checks and waits for their tasks to end.
    pub async fn stop(&mut self) {
        for (_, mut running) in self.running.drain() {
            running.task.abort();
            let _ = (&mut running.task).await;
        }
    }

    fn start(&self, target: ProbeTarget, plan: SchedulePlan) -> Running {
        let (sender, receiver) = watch::channel(plan);
        let task = tokio::spawn(go_on_checking(
            Arc::clone(&self.state),
            target.clone(),
            receiver,
        ));
        Running {
            target,
            plan: sender,
            task,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schedule")
            .field("pool", self.state.pool())
            .field("running", &self.running.len())
            .finish()
    }
}

/// Checks until there is no plan any more. After a panic of the probe it continues: the endpoint
/// must not stay unchecked for that.
async fn go_on_checking(
    state: Arc<PoolHealthState>,
    target: ProbeTarget,
    mut plan: watch::Receiver<SchedulePlan>,
) {
    let mut backoff = RestartBackoff::default();
    loop {
        let began = Instant::now();
        let checking = pin!(check_for_ever(&state, &target, &mut plan, &FIRST_CHECKS));
        if let Ok(()) = task::caught(checking).await {
            return;
        }
        let wait = backoff.after(began.elapsed());
        tracing::error!(
            pool = %state.pool(), endpoint = %target.identity, wait_ms = wait.as_millis(),
            "a health check panicked; this is a bug; the checks go on after a wait"
        );
        tokio::time::sleep(wait).await;
    }
}

async fn check_for_ever(
    state: &PoolHealthState,
    target: &ProbeTarget,
    plan: &mut watch::Receiver<SchedulePlan>,
    turns: &Semaphore,
) {
    let mut first = true;
    loop {
        let now = plan.borrow_and_update().clone();
        let pace = {
            // Endpoints that join together would all be connected to at once.
            let _turn = match first {
                true => turns.acquire().await.ok(),
                false => None,
            };
            check(state, target, &now).await
        };
        let asked = Instant::now();
        // New settings end the wait of the old ones; the check is then due by the new.
        loop {
            let settings = plan.borrow_and_update().settings.clone();
            let wait = pause(&settings, pace, first, rand::random());
            tokio::select! {
                () = tokio::time::sleep_until(asked + wait) => break,
                changed = plan.changed() => if changed.is_err() { return },
            }
        }
        first = false;
    }
}

/// Checks once and reports.
async fn check(state: &PoolHealthState, target: &ProbeTarget, plan: &SchedulePlan) -> Pace {
    let began = Instant::now();
    let timeout = plan.settings.timeout.min(TIMEOUT_MAX);
    let deadline = began + timeout;
    let answer = match tokio::time::timeout_at(deadline, plan.probe.probe(target, deadline)).await {
        // Whoever noticed: an operator reads the time that is configured.
        Err(_) | Ok(Err(ProbeFailure::Timeout(_))) => Err(ProbeFailure::Timeout(timeout)),
        // Nobody was asked: what is known of the endpoint stays.
        Ok(Err(ProbeFailure::Shortage)) => {
            tracing::debug!(endpoint = %target.identity, "no check: the proxy has no descriptor or port left");
            return Pace::Quick;
        }
        Ok(answer) => answer,
    };
    state.checked(&target.identity, answer, began, Instant::now())
}

/// Returns the time to the next check; `draw` is from 0 to 1. Endpoints that joined together were
/// checked together: the first wait in good health is spread over the whole interval, the others by
/// 10 % in both directions.
fn pause(settings: &CheckSettings, pace: Pace, first: bool, draw: f64) -> Duration {
    let (length, factor) = match pace {
        Pace::Steady if first => (settings.interval, draw),
        Pace::Steady => (settings.interval, 0.9 + draw / 5.0),
        Pace::Quick => (settings.interval_down, 0.9 + draw / 5.0),
    };
    length.min(INTERVAL_MAX).mul_f64(factor).max(INTERVAL_MIN)
}

/// Maximum number of first checks under way at once, over all pools.
static FIRST_CHECKS: Semaphore = Semaphore::const_new(FIRST_CHECKS_MAX);
const FIRST_CHECKS_MAX: usize = 512;
/// Minimum interval: keeps `interval = "0s"` from turning a check into an attack.
const INTERVAL_MIN: Duration = Duration::from_millis(10);
const INTERVAL_MAX: Duration = Duration::from_secs(86_400);
const TIMEOUT_MAX: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests;
