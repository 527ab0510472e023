//! Published result of the health machine. Immutable; workers keep the one they loaded.

use std::sync::Arc;

use tokio::time::Instant;

use super::transition::{Cause, EndpointState};
use crate::upstream::picker::EndpointIndex;

/// Picture of one endpoint set: endpoints that may be picked, and the reasons against the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Increases with each change; workers compare it to detect an old picture.
    pub serial: u64,
    /// Every endpoint of the set, by index.
    pub endpoints: Vec<EndpointView>,
    /// Those that may be picked, ascending.
    pub eligible: Vec<EndpointIndex>,
    /// Those that wait for the one request that decides, ascending.
    pub probation: Vec<EndpointIndex>,
    /// None may be picked yet, but a first check may change that soon: hold the request.
    pub pending: bool,
}

/// One endpoint as the picture shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointView {
    /// Its identity.
    pub address: Arc<str>,
    /// Its state.
    pub state: EndpointState,
    /// True if it may be picked: healthy, and not ejected. Panic, which ignores that, is decided
    /// where tiers and pools are known.
    pub eligible: bool,
    /// Reason why it is not healthy, if it is not.
    pub cause: Option<Cause>,
    /// End of its ejection.
    pub ejected_until: Option<Instant>,
    /// True if it has waited for its trial for so long that any request may be it.
    pub overdue: bool,
    /// Number of ejections that are not forgiven yet.
    pub ejections: u32,
    /// Time at which it joined a running pool or last came back: slow start counts from here.
    /// `None`: there from the start.
    pub recovered: Option<Instant>,
}

impl EndpointView {
    /// Returns true if a session bound to this endpoint may continue there: draining does not break
    /// sessions.
    #[must_use]
    pub const fn serves_sessions(&self) -> bool {
        self.eligible || matches!(self.state, EndpointState::Draining)
    }
}

impl Picture {
    /// Returns the view of one endpoint; `None` if the index belongs to another endpoint set.
    #[must_use]
    pub fn endpoint(&self, endpoint: EndpointIndex) -> Option<&EndpointView> {
        self.endpoints.get(usize::try_from(endpoint.0).ok()?)
    }

    /// Returns true if the endpoint may be picked.
    #[must_use]
    pub fn is_eligible(&self, endpoint: EndpointIndex) -> bool {
        self.endpoint(endpoint).is_some_and(|view| view.eligible)
    }

    /// Returns true if the endpoint may be picked where health is ignored: no operator has disabled
    /// it.
    #[must_use]
    pub fn is_enabled(&self, endpoint: EndpointIndex) -> bool {
        let view = self.endpoint(endpoint);
        view.is_some_and(|view| view.state.is_enabled())
    }

    /// Returns true if both are equal apart from their serials.
    pub(super) fn agrees_with(&self, other: &Self) -> bool {
        self.endpoints == other.endpoints && self.pending == other.pending
    }
}
