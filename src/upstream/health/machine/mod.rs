//! Health of one pool as a pure machine: timed events in, transitions and a picture out.
//!
//! Each endpoint has three opinions - the operator's, the checks', the requests' - and the most
//! binding one is its state. Decisions about the whole pool are made here: whether an endpoint may
//! be ejected, when an ejection must end because no other endpoint is left, and when so few are
//! healthy that health is ignored. The limits follow Envoy's outlier detection with two
//! differences: the allowed share is computed after the ejection, and an endpoint comes back by one
//! request on probation.
//!
//! No I/O, no clock, no locks. State is kept by address, so a reload that keeps an address keeps
//! its state.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tokio::time::Instant;

use self::{census::Census, comparison::Comparison, due::Due};
use super::{
    member::{Member, new_window},
    probe::ProbeFailure,
    settings::HealthSettings,
    transition::{AdminState, Cause, EndpointState, Transition},
    window::fraction,
};

mod carry;
mod census;
mod comparison;
mod decisions;
mod draw;
mod due;
mod eject;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

pub(super) use carry::CarriedEjection;
pub use carry::CarriedEndpoint;
pub use decisions::Decisions;

/// Pace of the checks of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// After `interval`.
    Steady,
    /// After `interval_down`: it is down, or between two states.
    Quick,
}

/// The health of one pool.
#[derive(Debug)]
pub struct PoolHealth {
    settings: HealthSettings,
    members: BTreeMap<Arc<str>, Member>,
    /// Numbers of the newest set.
    census: Census,
    /// Times at which endpoints change.
    due: Due,
    /// Endpoints with failed requests in their window.
    suspects: BTreeSet<Arc<str>>,
    /// Last comparison of the endpoints.
    comparison: Option<Comparison>,
    /// True if the pool had endpoints before: those that join later start slowly.
    started: bool,
    /// True if pictures may differ from those drawn last, with transitions or without.
    changed: bool,
    /// Decisions of operators on endpoints that have not joined yet.
    waiting: Decisions,
    /// True if decisions may differ from those kept last.
    decided: bool,
    /// Number of looks at endpoints because of time or outcomes.
    #[cfg(test)]
    pub(super) looks: usize,
}

impl PoolHealth {
    /// Returns a pool without endpoints.
    #[must_use]
    pub fn new(settings: HealthSettings) -> Self {
        Self {
            settings,
            members: BTreeMap::new(),
            census: Census::default(),
            due: Due::default(),
            suspects: BTreeSet::new(),
            comparison: None,
            started: false,
            changed: true,
            waiting: Decisions::new(),
            decided: false,
            #[cfg(test)]
            looks: 0,
        }
    }

    /// The settings in force.
    #[must_use]
    pub const fn settings(&self) -> &HealthSettings {
        &self.settings
    }

    /// Returns true if pictures may differ from those drawn before the last call: drawing a large
    /// pool is expensive, and mostly nothing has changed.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// Takes the newest endpoint set. Known addresses keep their state; those that left keep it
    /// until forgotten.
    pub fn replace_endpoints(&mut self, addresses: &[Arc<str>], now: Instant) -> Vec<Transition> {
        self.changed = true;
        for member in self.members.values_mut() {
            member.current = false;
            self.decided |= !member.is_enabled();
        }
        let joined = self.started.then_some(now);
        let mut changes = Vec::new();
        for address in addresses {
            match self.members.get_mut(address) {
                Some(member) => member.current = true,
                None => {
                    let mut member = Member::new(&self.settings, joined, now);
                    self.decide(address, &mut member, now, &mut changes);
                    self.members.insert(Arc::clone(address), member);
                }
            }
        }
        self.started |= !addresses.is_empty();
        self.count_anew(now);
        self.settled(changes, now)
    }

    /// Forgets endpoints outside the newest set that `is_needed` does not claim.
    pub fn forget_departed(&mut self, is_needed: impl Fn(&str) -> bool) {
        self.members
            .retain(|address, member| member.current || is_needed(address));
    }

    /// Applies new settings without resetting the state.
    pub fn replace_settings(&mut self, settings: HealthSettings, now: Instant) -> Vec<Transition> {
        self.changed = true;
        let old = std::mem::replace(&mut self.settings, settings);
        let interval = |settings: &HealthSettings| {
            settings.ejection.as_ref().map(|ejection| ejection.interval)
        };
        let rewind = interval(&old) != interval(&self.settings);
        let mut changes = Vec::new();
        for (address, member) in &mut self.members {
            let from = member.state();
            member.check.asked(self.settings.check.is_some());
            if self.settings.ejection.is_none() && member.is_ejected() {
                member.ejection.readmit(now);
            }
            if rewind {
                member.window = new_window(&self.settings, now);
            }
            note(address, member, from, Cause::Settings, now, &mut changes);
        }
        self.count_anew(now);
        self.settled(changes, now)
    }

    /// Notes a passed check that began at `began`.
    pub fn check_passed(&mut self, address: &str, began: Instant, now: Instant) -> Vec<Transition> {
        let Some(rise) = self.settings.check.as_ref().map(|check| check.rise) else {
            return Vec::new();
        };
        let mut changes = self.change(address, Cause::CheckPassed, now, |member| {
            member.check.passed(rise);
        });
        changes.extend(if self.is_vouched_for(address, began) {
            self.readmit(address, Cause::CheckPassed, now)
        } else {
            self.change(address, Cause::EjectionCutShort, now, |member| {
                member.ejection.cut_short(began, now);
            })
        });
        self.settled(changes, now)
    }

    /// Notes a failed check.
    pub fn check_failed(
        &mut self,
        address: &str,
        failure: &ProbeFailure,
        now: Instant,
    ) -> Vec<Transition> {
        let Some(fall) = self.settings.check.as_ref().map(|check| check.fall) else {
            return Vec::new();
        };
        let cause = Cause::CheckFailed(failure.clone());
        let changes = self.change(address, cause, now, |member| {
            member.check.failed(fall, failure.clone());
        });
        self.settled(changes, now)
    }

    /// Returns the pace of the checks of this endpoint.
    #[must_use]
    pub fn pace(&self, address: &str) -> Pace {
        match self.members.get(address) {
            Some(member) if member.check.is_restless() => Pace::Quick,
            Some(_) | None => Pace::Steady,
        }
    }

    /// Applies an operator's decision; `None` if the pool has no such endpoint. Enabling also ends
    /// an ejection.
    pub fn set_admin(
        &mut self,
        address: &str,
        admin: AdminState,
        now: Instant,
    ) -> Option<Vec<Transition>> {
        self.members.get(address).filter(|member| member.current)?;
        let changes = self.change(address, Cause::Operator, now, |member| {
            member.admin = admin;
            if admin == AdminState::Enabled && member.is_ejected() {
                member.ejection.readmit(now);
            }
        });
        self.decided = true;
        Some(self.settled(changes, now))
    }

    /// Advances time: holds and ejections end, good behaviour is forgiven. Costs only the due
    /// changes.
    pub fn tick(&mut self, now: Instant) -> Vec<Transition> {
        let mut changes = Vec::new();
        for (address, at) in self.due.take(now) {
            let member = self.members.get_mut(&address);
            let noted = |member: &&mut Member| member.noted == Some(at);
            let Some(member) = member.filter(noted) else {
                continue;
            };
            member.noted = None;
            if !member.current {
                continue;
            }
            #[cfg(test)]
            (self.looks += 1);
            let (from, before) = (member.state(), Census::of(member));
            let ejection = member.ejection.shown();
            member.check.tick(now);
            note(&address, member, from, Cause::HoldOver, now, &mut changes);
            if let Some(settings) = &self.settings.ejection {
                let from = member.state();
                member.ejection.tick(settings, now);
                let cause = Cause::EjectionOver;
                note(&address, member, from, cause, now, &mut changes);
            }
            self.changed |= ejection != member.ejection.shown();
            self.census.moved(before, member);
            self.due.note(&address, member, &self.settings);
        }
        if self.due.is_stale(self.members.len()) {
            self.count_anew(now);
        }
        self.settled(changes, now)
    }

    /// Returns the state of one endpoint.
    #[must_use]
    pub fn state(&self, address: &str) -> Option<EndpointState> {
        self.members.get(address).map(Member::state)
    }

    /// Changes one endpoint of the newest set and notes the transitions.
    fn change(
        &mut self,
        address: &str,
        cause: Cause,
        now: Instant,
        apply: impl FnOnce(&mut Member),
    ) -> Vec<Transition> {
        let mut changes = Vec::new();
        let Some((key, _)) = self.members.get_key_value(address) else {
            return changes;
        };
        let key = Arc::clone(key);
        if let Some(member) = self
            .members
            .get_mut(address)
            .filter(|member| member.current)
        {
            let (from, stood) = (member.state(), Census::of(member));
            let before = (member.ejection.shown(), member.reason());
            apply(member);
            note(&key, member, from, cause, now, &mut changes);
            self.changed |= before != (member.ejection.shown(), member.reason());
            self.census.moved(stood, member);
            self.due.note(&key, member, &self.settings);
        }
        changes
    }

    /// Recomputes the census and the due times of all endpoints.
    fn count_anew(&mut self, now: Instant) {
        self.census = Census::default();
        self.due.clear();
        self.suspects.clear();
        self.comparison = None;
        for (address, member) in &mut self.members {
            member.noted = None;
            if !member.current {
                continue;
            }
            self.census.moved(Census::default(), member);
            self.due.note(address, member, &self.settings);
            if member.window.figures(now).bad() > 0 {
                self.suspects.insert(Arc::clone(address));
            }
        }
    }
}

/// Records that a member is no longer in the state `from`, if so.
fn note(
    address: &Arc<str>,
    member: &mut Member,
    from: EndpointState,
    cause: Cause,
    now: Instant,
    changes: &mut Vec<Transition>,
) {
    let to = member.state();
    if to == from {
        return;
    }
    if to == EndpointState::Healthy {
        // What it did before it was out is no ground to eject it again.
        member.window.clear();
        if from != EndpointState::Pending || member.recovered.is_some() {
            member.recovered = Some(now);
        }
    }
    member.cause = Some(cause.clone());
    changes.push(Transition {
        address: Arc::clone(address),
        from,
        to,
        cause,
        at: now,
    });
}

fn share(part: usize, whole: usize) -> f64 {
    let wide = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    fraction(wide(part), wide(whole))
}
