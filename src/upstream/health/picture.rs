//! The published result: who may be picked now. Immutable; workers keep the one they loaded.

use std::sync::Arc;

use tokio::time::Instant;

use super::transition::{Cause, EndpointState};
use crate::upstream::picker::EndpointIndex;

/// Which endpoints of one endpoint set may be picked, and why the others may not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Grows with each change; workers compare it to know that theirs is old.
    pub serial: u64,
    /// Every endpoint of the set, by index.
    pub endpoints: Vec<EndpointView>,
    /// Those that may be picked, ascending.
    pub eligible: Vec<EndpointIndex>,
    /// Those waiting for the one request that decides, ascending.
    pub probation: Vec<EndpointIndex>,
    /// Nothing may be picked yet, and a first check will change that soon: hold the request.
    pub pending: bool,
}

/// One endpoint as the picture shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointView {
    /// Its identity.
    pub address: Arc<str>,
    /// Where it stands.
    pub state: EndpointState,
    /// Whether it may be picked: healthy, and not ejected. Panic, which ignores that, is decided
    /// where tiers and pools are known.
    pub eligible: bool,
    /// Why it is not healthy, when it is not.
    pub cause: Option<Cause>,
    /// When its ejection is over.
    pub ejected_until: Option<Instant>,
    /// Whether it has waited for its trial for so long that any request may be it.
    pub overdue: bool,
    /// Its ejections that are not forgiven yet.
    pub ejections: u32,
    /// When it joined a running pool or last came back: slow start counts from here. `None`: there from the start.
    pub recovered: Option<Instant>,
}

impl EndpointView {
    /// Whether a session that is bound to this endpoint may go on there: draining does not break sessions.
    #[must_use]
    pub const fn serves_sessions(&self) -> bool {
        self.eligible || matches!(self.state, EndpointState::Draining)
    }
}

impl Picture {
    /// The view of one endpoint; `None` when the index belongs to another endpoint set.
    #[must_use]
    pub fn endpoint(&self, endpoint: EndpointIndex) -> Option<&EndpointView> {
        self.endpoints.get(usize::try_from(endpoint.0).ok()?)
    }

    /// Whether the endpoint may be picked.
    #[must_use]
    pub fn is_eligible(&self, endpoint: EndpointIndex) -> bool {
        self.endpoint(endpoint).is_some_and(|view| view.eligible)
    }

    /// Whether the endpoint may be picked where health is ignored: no operator forbids it.
    #[must_use]
    pub fn is_enabled(&self, endpoint: EndpointIndex) -> bool {
        let view = self.endpoint(endpoint);
        view.is_some_and(|view| view.state.is_enabled())
    }

    /// Whether both say the same, whatever their serials.
    pub(super) fn agrees_with(&self, other: &Self) -> bool {
        self.endpoints == other.endpoints && self.pending == other.pending
    }
}
