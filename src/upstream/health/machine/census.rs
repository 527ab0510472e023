//! Census: number of endpoints of the newest set in each state, updated as they change.

use crate::upstream::health::{member::Member, transition::EndpointState};

/// Numbers of endpoints, for decisions about the whole pool.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Census {
    /// Not disabled by an operator.
    pub(super) enabled: usize,
    pub(super) serving: usize,
    /// Among the enabled ones.
    pub(super) ejected: usize,
    /// Serving, or waiting for the first check.
    pub(super) ready: usize,
    /// Ejected, and healthy otherwise.
    pub(super) returning: usize,
}

impl Census {
    /// Counts one endpoint.
    pub(super) fn of(member: &Member) -> Self {
        if !member.current {
            return Self::default();
        }
        let state = member.state();
        let (enabled, ready, returning) = (
            member.is_enabled(),
            matches!(state, EndpointState::Healthy | EndpointState::Pending),
            matches!(state, EndpointState::Ejected | EndpointState::Probation),
        );
        Self {
            enabled: enabled.into(),
            serving: member.serves().into(),
            ejected: (enabled && member.is_ejected()).into(),
            ready: ready.into(),
            returning: returning.into(),
        }
    }

    /// Replaces the count `before` of an endpoint by its current one.
    pub(super) fn moved(&mut self, before: Self, member: &Member) {
        let now = Self::of(member);
        if now != before {
            *self = self.with(now, |all, one| all + one);
            *self = self.with(before, usize::saturating_sub);
        }
    }

    fn with(self, other: Self, combine: impl Fn(usize, usize) -> usize) -> Self {
        Self {
            enabled: combine(self.enabled, other.enabled),
            serving: combine(self.serving, other.serving),
            ejected: combine(self.ejected, other.ejected),
            ready: combine(self.ready, other.ready),
            returning: combine(self.returning, other.returning),
        }
    }
}
