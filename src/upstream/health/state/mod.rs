//! Live health of one pool, in the registry: the machine behind a lock, and the pictures it
//! publishes.
//!
//! The lock is taken for transitions only: a check's answer, the failure that completes a run, the
//! tick, an operator. Requests read a [`PoolHealthView`], which belongs to one endpoint set, so
//! that an exchange of an older snapshot never mistakes one endpoint for another.

mod carry;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, futures::Notified},
    time::Instant,
};

use super::{
    machine::{Pace, PoolHealth},
    observed::{EndpointHealth, Observed},
    probe::ProbeFailure,
    settings::HealthSettings,
    tally::{Run, Tallies, Totals},
    transition::{AdminState, EndpointState, Transition},
    view::PoolHealthView,
    window::Figures,
};

/// Interval of the control thread's calls of [`PoolHealthState::tick`].
pub const TICK: Duration = Duration::from_millis(200);

/// The health of one pool, shared by all threads; outlives reloads.
#[derive(Debug)]
pub struct PoolHealthState {
    pool: Arc<str>,
    workers: usize,
    /// Failures in a row that eject; read by workers if a request failed. `u32::MAX`: never.
    consecutive_max: AtomicU32,
    /// Woken with each new picture, for requests held until a first check is answered.
    changed: Notify,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    machine: PoolHealth,
    /// Number of the tally, by address.
    numbers: BTreeMap<Arc<str>, usize>,
    endpoints: HashMap<usize, Watched>,
    tallies: Tallies,
    views: Vec<Weak<PoolHealthView>>,
    serial: u64,
    /// Transitions since the last tick, at most [`UNREPORTED_MAX`].
    unreported: Vec<Transition>,
    /// Number of endpoints in the pictures drawn since the last tick.
    drawn: usize,
}

/// Counters of one endpoint, and the part of them that the machine has seen.
#[derive(Debug)]
struct Watched {
    endpoint: Arc<EndpointHealth>,
    seen: Totals,
}

impl PoolHealthState {
    /// Returns the state of a pool without endpoints; `workers` is the number of threads that
    /// observe.
    #[must_use]
    pub fn new(pool: Arc<str>, settings: HealthSettings, workers: usize) -> Arc<Self> {
        let consecutive_max = AtomicU32::new(consecutive_max(&settings));
        let inner = Mutex::new(Inner {
            machine: PoolHealth::new(settings),
            numbers: BTreeMap::new(),
            endpoints: HashMap::new(),
            tallies: Tallies::default(),
            views: Vec::new(),
            serial: 1,
            unreported: Vec::new(),
            drawn: 0,
        });
        Arc::new(Self {
            pool,
            workers,
            consecutive_max,
            changed: Notify::new(),
            inner,
        })
    }

    /// The name of the pool.
    #[must_use]
    pub const fn pool(&self) -> &Arc<str> {
        &self.pool
    }

    /// Builds the view of an endpoint set, in its order, without making it the one in force: a
    /// snapshot that is never swapped in leaves no trace.
    #[must_use]
    pub fn view(self: &Arc<Self>, addresses: &[Arc<str>], now: Instant) -> Arc<PoolHealthView> {
        let mut inner = self.lock();
        let endpoints = addresses
            .iter()
            .map(|address| inner.endpoint(address, self.workers))
            .collect();
        let picture = inner.machine.picture(addresses, inner.serial, now);
        let view = Arc::new(PoolHealthView::new(
            Arc::clone(self),
            addresses.into(),
            endpoints,
            picture,
        ));
        inner.views.push(Arc::downgrade(&view));
        view
    }

    /// Makes the endpoint set of a view, and these settings, the ones in force: at the swap of a
    /// snapshot.
    pub fn adopt(&self, view: &PoolHealthView, settings: HealthSettings, now: Instant) {
        self.consecutive_max
            .store(consecutive_max(&settings), Relaxed);
        self.apply(now, |machine| {
            let mut changes = machine.replace_settings(settings, now);
            changes.extend(machine.replace_endpoints(view.addresses(), now));
            changes
        });
        // The pictures change with the set even where no endpoint changed its state.
        self.publish(&mut self.lock(), now);
    }

    /// Takes the answer of a check that began at `began`; returns the pace of the next.
    pub fn checked(
        &self,
        address: &str,
        answer: Result<(), ProbeFailure>,
        began: Instant,
        now: Instant,
    ) -> Pace {
        self.apply(now, |machine| match answer {
            Ok(()) => machine.check_passed(address, began, now),
            Err(failure) => machine.check_failed(address, &failure, now),
        });
        self.lock().machine.pace(address)
    }

    /// Applies an operator's decision. False if the pool has no such endpoint.
    pub fn set_admin(&self, address: &str, admin: AdminState, now: Instant) -> bool {
        let mut known = false;
        self.apply(now, |machine| {
            let changes = machine.set_admin(address, admin, now);
            known = changes.is_some();
            changes.unwrap_or_default()
        });
        known
    }

    /// Notes the outcome of a request to an endpoint. `now` is read only if it is ejected.
    ///
    /// The failure that completes a run ejects before this returns, so that the next pick avoids
    /// the endpoint.
    pub fn observe(
        &self,
        endpoint: &EndpointHealth,
        worker: usize,
        outcome: Observed,
        now: Instant,
    ) {
        let run = match outcome {
            Observed::Success => return endpoint.tally().succeeded(worker),
            Observed::BadAnswer => endpoint.tally().answered_badly(worker),
            Observed::Failure => endpoint.tally().failed(worker),
        };
        // Again at each multiple: an ejection withheld before may be possible by then.
        let max = self.consecutive_max();
        let due = |count: u32| count > 0 && count.is_multiple_of(max);
        if due(run.bad) || due(run.unanswered) {
            self.run_of_failures(endpoint.address(), run, now);
        }
    }

    /// Is ready when pictures have changed since it was made.
    pub fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    /// Wakes all who wait for a change: there is another endpoint set.
    pub fn tell_replaced(&self) {
        self.changed.notify_waiters();
    }

    /// Advances time: sums the workers' counts, ends holds and ejections, and returns every
    /// transition since the last call. Each is logged here and nowhere else.
    pub fn tick(&self, now: Instant) -> Vec<Transition> {
        let mut inner = self.lock();
        let mut fresh = inner.hear(now);
        fresh.extend(inner.machine.judge(now));
        fresh.extend(inner.machine.tick(now));
        inner.moved(&fresh);
        inner.drawn = 0;
        if inner.machine.take_changed() {
            self.publish(&mut inner, now);
        } else {
            inner.views();
        }
        let mut changes = std::mem::take(&mut inner.unreported);
        drop(inner);
        changes.append(&mut fresh);
        for change in &changes {
            change.log(&self.pool);
        }
        changes
    }

    /// Ejects for the failure that completes a run, before the next request is placed.
    fn run_of_failures(&self, address: &str, run: Run, now: Instant) {
        let mut inner = self.lock();
        // Bad answers are compared with what others answered meanwhile.
        let mut changes = match run.unanswered < self.consecutive_max() {
            true => inner.hear(now),
            false => Vec::new(),
        };
        changes.extend(inner.machine.failed_in_a_row(address, run, now));
        self.take(inner, changes, now);
    }

    pub(super) fn trial_ended(
        &self,
        endpoint: &EndpointHealth,
        claim: u64,
        outcome: Observed,
        now: Instant,
    ) {
        self.apply(now, |machine| {
            // The gate moves under this lock only, so a claim that holds here is the one in force.
            if endpoint.holds(claim) {
                machine.trial_ended(endpoint.address(), outcome == Observed::Success, now)
            } else {
                Vec::new()
            }
        });
    }

    fn consecutive_max(&self) -> u32 {
        self.consecutive_max.load(Relaxed)
    }

    fn apply(&self, now: Instant, event: impl FnOnce(&mut PoolHealth) -> Vec<Transition>) {
        let mut inner = self.lock();
        let changes = event(&mut inner.machine);
        self.take(inner, changes, now);
    }

    /// Publishes changes, at the latest with the next tick, and keeps them for it.
    fn take(&self, mut inner: MutexGuard<'_, Inner>, changes: Vec<Transition>, now: Instant) {
        if changes.is_empty() {
            return;
        }
        inner.moved(&changes);
        // In a very large pool that changes at many places the next tick draws them all at once.
        if inner.drawn < DRAWN_MAX {
            self.publish(&mut inner, now);
        }
        let room = UNREPORTED_MAX.saturating_sub(inner.unreported.len());
        inner.unreported.extend(changes.into_iter().take(room));
    }

    /// Updates the pictures from the machine.
    fn publish(&self, inner: &mut Inner, now: Instant) {
        let views = inner.views();
        let mut news = false;
        for view in &views {
            inner.drawn += view.addresses().len();
            let picture = inner
                .machine
                .picture(view.addresses(), inner.serial + 1, now);
            news |= view.publish(picture);
        }
        if news {
            inner.serial += 1;
            self.changed.notify_waiters();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic elsewhere left at worst one transition half told; going on beats refusing every request.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Reports the workers' new counts to the machine.
    fn hear(&mut self, now: Instant) -> Vec<Transition> {
        let mut changes = Vec::new();
        for number in self.tallies.take_touched() {
            let Some(Watched { endpoint, seen }) = self.endpoints.get_mut(&number) else {
                continue;
            };
            let totals = endpoint.totals();
            let fresh = totals.since(*seen);
            if fresh == Totals::default() {
                continue;
            }
            *seen = totals;
            let figures = Figures {
                successes: fresh.successes.into(),
                bad_answers: fresh.bad_answers.into(),
                failures: fresh.failures.into(),
            };
            changes.extend(self.machine.outcomes(endpoint.address(), figures, now));
        }
        changes
    }

    /// Updates the part of an endpoint that requests read to its new state.
    fn moved(&self, changes: &[Transition]) {
        for change in changes.iter().filter(|change| change.from != change.to) {
            let number = self.numbers.get(&change.address);
            let observed = number.and_then(|number| self.endpoints.get(number));
            if let Some(Watched { endpoint, .. }) = observed {
                endpoint.tally().forget_failures();
                let state = self.machine.state(&change.address);
                endpoint.set_probation(state == Some(EndpointState::Probation));
            }
        }
    }

    fn endpoint(&mut self, address: &Arc<str>, workers: usize) -> Arc<EndpointHealth> {
        if let Some(known) = self.numbers.get(address)
            && let Some(known) = self.endpoints.get(known)
        {
            return Arc::clone(&known.endpoint);
        }
        let tally = self.tallies.next(workers);
        let number = tally.number();
        self.numbers.insert(Arc::clone(address), number);
        let endpoint = Arc::new(EndpointHealth::new(Arc::clone(address), tally));
        let observed = Watched {
            endpoint: Arc::clone(&endpoint),
            seen: Totals::default(),
        };
        self.endpoints.insert(number, observed);
        endpoint
    }

    /// Returns the views that are still held; the state that only dropped ones used is forgotten.
    fn views(&mut self) -> Vec<Arc<PoolHealthView>> {
        let views: Vec<_> = self.views.iter().filter_map(Weak::upgrade).collect();
        self.forget_unseen(&views);
        views
    }

    /// Drops the state that belongs to no endpoint set any more.
    fn forget_unseen(&mut self, views: &[Arc<PoolHealthView>]) {
        if views.len() == self.views.len() {
            return;
        }
        self.views.retain(|view| view.strong_count() > 0);
        let addresses = views.iter().flat_map(|view| view.addresses());
        let addresses: HashSet<&str> = addresses.map(|address| &**address).collect();
        let needed = |address: &str| addresses.contains(address);
        self.machine.forget_departed(needed);
        let (machine, endpoints) = (&self.machine, &mut self.endpoints);
        self.numbers.retain(|address, number| {
            let stays = needed(address) || machine.state(address).is_some();
            if !stays {
                endpoints.remove(number);
            }
            stays
        });
    }
}

/// Returns the length of the run that ejects, in the form that workers compare.
fn consecutive_max(settings: &HealthSettings) -> u32 {
    match &settings.ejection {
        Some(ejection) if ejection.consecutive > 0 => ejection.consecutive,
        Some(_) | None => u32::MAX,
    }
}

/// Maximum number of endpoints in pictures that are drawn at once, between two ticks: the cost of a
/// change grows with the pool.
const DRAWN_MAX: usize = 32_768;
/// Maximum number of transitions kept between two ticks; more only if ticks stopped.
const UNREPORTED_MAX: usize = 4096;

#[cfg(test)]
mod tests;
