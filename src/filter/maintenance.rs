//! A route that is closed for a while.

use http::{HeaderValue, StatusCode};

use super::{AddressBlocks, Verdict};
use crate::{
    exchange::{Exchange, Reason, Refusal},
    failure::Failure,
    semantics::Known,
};

/// Keeps clients out of a route.
#[derive(Debug)]
pub struct MaintenanceFilter {
    /// Seconds after which clients may try again.
    pub retry_after: u64,
    /// Addresses that are let in; none: nobody is.
    pub allow: Option<AddressBlocks>,
}

impl MaintenanceFilter {
    pub(super) fn on_request(&self, exchange: &mut Exchange) -> Result<Verdict, Failure> {
        let allow = self.allow.as_ref();
        if allow.is_some_and(|blocks| blocks.allows(exchange.client_ip())) {
            return Ok(Verdict::Continue);
        }
        let refusal = Refusal::new(StatusCode::SERVICE_UNAVAILABLE, MAINTENANCE)
            .sentence("closed for maintenance")
            .header(Known::RetryAfter, HeaderValue::from(self.retry_after));
        Err(exchange.refuse(refusal))
    }
}

/// The word for it.
pub(super) const MAINTENANCE: Reason = Reason::new("maintenance");
