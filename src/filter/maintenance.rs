//! A route that is closed for a while.

use std::net::IpAddr;

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
        if self.lets_in(exchange.client_ip()) {
            return Ok(Verdict::Continue);
        }
        let refusal = Refusal::new(StatusCode::SERVICE_UNAVAILABLE, MAINTENANCE)
            .sentence("closed for maintenance")
            .header(Known::RetryAfter, HeaderValue::from(self.retry_after));
        Err(exchange.refuse(refusal))
    }

    /// Returns true if a client is served all the same.
    pub(super) fn lets_in(&self, client: IpAddr) -> bool {
        self.allow
            .as_ref()
            .is_some_and(|blocks| blocks.allows(client))
    }
}

/// The word for it.
pub(super) const MAINTENANCE: Reason = Reason::new("maintenance");
