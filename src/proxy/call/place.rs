//! A place at a pool for a request whose body has not begun to arrive.
//!
//! If there is room it gets a place like any other, and an endpoint may answer its head. If there
//! is none it yields to requests that can be served at once, until its body arrives.

use std::future::poll_fn;

use super::{UpstreamCall, pick};
use crate::{
    failure::Failure,
    timer,
    upstream::{
        acquire::{Acquired, Claim, Need},
        pick::Pick,
        transport::{Patience, Purpose, Upload},
    },
};

/// Returns the rights of a request to a place.
pub(super) fn claim_of(upload: &Upload) -> Claim {
    if upload.has_begun() {
        Claim::Full
    } else {
        Claim::Spare
    }
}

impl UpstreamCall<'_> {
    /// Waits for the body of a request that got no connection, then asks again like any other
    /// request.
    ///
    /// # Errors
    /// [`Failure::SlowBody`] or the client's own; then the reason why there is no connection.
    pub(super) async fn contend(
        &self,
        pick: &Pick,
        upload: &mut Upload,
        purpose: Purpose,
        fresh: bool,
        patience: &mut Patience,
    ) -> Result<Acquired, Failure> {
        let late = timer::now() + patience.idle;
        let begun = timer::until(late, poll_fn(|cx| upload.poll_begun(cx))).await;
        begun.map_err(|_| Failure::SlowBody)??;
        // The client has taken the time so far, not the endpoint.
        patience.deadline = patience.deadline.max(timer::now() + patience.attempt);
        let need = Need {
            purpose,
            claim: Claim::Full,
            fresh,
            announcement: None,
            deadline: patience.deadline,
        };
        pick::connection(&self.terms, &self.record.queued, pick, need).await
    }
}
