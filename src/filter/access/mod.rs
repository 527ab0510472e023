//! Refusal of clients by their addresses.

mod blocks;

use http::StatusCode;

pub use self::blocks::AddressBlocks;
use super::Verdict;
use crate::{
    exchange::{Exchange, Reason, Refusal},
    failure::Failure,
};

/// Lets in the clients of some addresses. The client behind a trusted proxy is the one that the
/// proxy names.
#[derive(Debug)]
pub struct AccessFilter(pub AddressBlocks);

impl AccessFilter {
    pub(super) fn on_request(&self, exchange: &mut Exchange) -> Result<Verdict, Failure> {
        if self.0.allows(exchange.client_ip()) {
            return Ok(Verdict::Continue);
        }
        Err(refuse(exchange))
    }
}

/// Says no more than that; the access log and `why` tell the rest.
#[cold]
fn refuse(exchange: &mut Exchange) -> Failure {
    let client = exchange.client_ip();
    let refusal = Refusal::new(StatusCode::FORBIDDEN, Reason::DENIED)
        .detail(format!("access: {client} is not allowed"));
    exchange.refuse(refusal)
}
