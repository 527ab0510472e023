//! Refusal of clients by their addresses, methods and claims.

mod blocks;
mod claims;

use http::{HeaderValue, Method, StatusCode};

pub use self::{blocks::AddressBlocks, claims::ClaimAccess};
use super::Verdict;
use crate::{
    exchange::{Exchange, Reason, Refusal},
    failure::Failure,
    semantics::Known,
};

/// Lets in the clients of some addresses. The client behind a trusted proxy is the one that the
/// proxy names.
#[derive(Debug)]
pub struct AccessFilter {
    /// The addresses.
    pub blocks: AddressBlocks,
    /// Methods that may be used, and how the answer to others names them; none: any.
    pub methods: Option<(Vec<Method>, HeaderValue)>,
}

impl AccessFilter {
    pub(super) fn on_request(&self, exchange: &mut Exchange) -> Result<Verdict, Failure> {
        if !self.blocks.allows(exchange.client_ip()) {
            return Err(refuse(exchange));
        }
        match &self.methods {
            Some((allowed, named)) if !allowed.contains(exchange.method()) => {
                let refusal = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, Reason::DENIED)
                    .header(Known::Allow, named)
                    .detail("access: the method is not allowed");
                Err(exchange.refuse(refusal))
            }
            _ => Ok(Verdict::Continue),
        }
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
