//! One endpoint inside the machine of its pool: its checks, its ejection and the operator's
//! decision.

use tokio::time::Instant;

use super::{
    check::{Check, CheckVerdict},
    ejection::{Ejection, Phase, later},
    settings::HealthSettings,
    transition::{AdminState, Cause, EndpointState},
    window::Figures,
};
use crate::resilience::Window;

#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) check: Check,
    pub(super) ejection: Ejection,
    pub(super) admin: AdminState,
    pub(super) window: Window<Figures>,
    /// Part of the newest endpoint set. A removed one is kept unchanged for exchanges of older
    /// sets.
    pub(super) current: bool,
    /// Time at which it joined a running pool or last came back.
    pub(super) recovered: Option<Instant>,
    /// Reason for its state.
    pub(super) cause: Option<Cause>,
    /// Time that the machine has noted for its next look.
    pub(super) noted: Option<Instant>,
}

impl Member {
    pub(super) fn new(settings: &HealthSettings, joined: Option<Instant>, now: Instant) -> Self {
        let verdict = settings
            .check
            .as_ref()
            .map_or(CheckVerdict::Unasked, |check| CheckVerdict::Pending {
                until: later(now, check.hold()),
            });
        Self {
            check: Check::new(verdict),
            ejection: Ejection::new(now),
            admin: AdminState::Enabled,
            window: new_window(settings, now),
            current: true,
            recovered: joined,
            cause: None,
            noted: None,
        }
    }

    /// Returns the time of its next change without outcomes.
    pub(super) fn due(&self, settings: &HealthSettings) -> Option<Instant> {
        let ejection = settings.ejection.as_ref();
        let ejection = ejection.and_then(|settings| self.ejection.due(settings));
        ejection.into_iter().chain(self.check.due()).min()
    }

    pub(super) const fn state(&self) -> EndpointState {
        match (self.admin, self.check.verdict(), self.ejection.phase()) {
            (AdminState::Draining, ..) => EndpointState::Draining,
            (AdminState::Ejected, ..) => EndpointState::EjectedByOperator,
            (_, CheckVerdict::Unhealthy, _) => EndpointState::Unhealthy,
            (_, _, Phase::Out { .. }) => EndpointState::Ejected,
            (_, _, Phase::Probation { .. }) => EndpointState::Probation,
            (_, CheckVerdict::Pending { .. }, _) => EndpointState::Pending,
            (
                _,
                CheckVerdict::Unasked | CheckVerdict::Assumed | CheckVerdict::Healthy,
                Phase::In,
            ) => EndpointState::Healthy,
        }
    }

    pub(super) fn serves(&self) -> bool {
        self.state() == EndpointState::Healthy
    }

    pub(super) fn is_enabled(&self) -> bool {
        self.admin == AdminState::Enabled
    }

    pub(super) fn is_ejected(&self) -> bool {
        self.ejection.phase() != Phase::In
    }

    /// Returns true if any request may be its trial.
    pub(super) fn is_overdue(&self) -> bool {
        matches!(
            self.ejection.phase(),
            Phase::Probation { overdue: true, .. }
        )
    }

    pub(super) fn ejected_until(&self) -> Option<Instant> {
        match self.ejection.phase() {
            Phase::Out { until, .. } => Some(until),
            Phase::In | Phase::Probation { .. } => None,
        }
    }

    /// Returns the reason why it is not healthy; for failing checks the newest.
    pub(super) fn reason(&self) -> Option<Cause> {
        match self.state() {
            EndpointState::Healthy | EndpointState::Pending => None,
            EndpointState::Unhealthy => match self.check.failure() {
                Some(failure) => Some(Cause::CheckFailed(failure.clone())),
                // Known from the process before.
                None => self.cause.clone(),
            },
            EndpointState::Ejected
            | EndpointState::Probation
            | EndpointState::Draining
            | EndpointState::EjectedByOperator => self.cause.clone(),
        }
    }
}

/// Makes the window of the failure share; without ejection its length does not matter.
pub(super) fn new_window(settings: &HealthSettings, now: Instant) -> Window<Figures> {
    Window::new(
        settings
            .ejection
            .as_ref()
            .map_or(std::time::Duration::ZERO, |ejection| ejection.interval),
        now,
    )
}
