//! Refusal of clients by their addresses, countries, methods and claims.

mod blocks;
mod claims;
mod geo;
mod methods;

use std::{fmt, net::IpAddr};

use http::StatusCode;

pub use self::{
    blocks::AddressBlocks,
    claims::ClaimAccess,
    geo::{GeoRefusal, GeoRule, GeoRules, GeoTable},
    methods::AllowedMethods,
};
use super::Verdict;
use crate::{
    exchange::{Exchange, Reason, Refusal, Request},
    failure::Failure,
    semantics::Known,
};

/// Lets in the clients of some addresses. The client behind a trusted proxy is the one that the
/// proxy names.
#[derive(Debug)]
pub struct AccessFilter {
    /// The addresses.
    pub blocks: AddressBlocks,
    /// Rules on countries and autonomous systems.
    pub geo: Option<Box<GeoRules>>,
    /// Methods that may be used; none: any.
    pub methods: Option<AllowedMethods>,
}

/// Reason for which the clients of an address are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRefusal {
    client: IpAddr,
    geo: Option<GeoRefusal>,
}

impl AccessFilter {
    pub(super) fn on_request(
        &self,
        exchange: &mut Exchange,
        request: &Request,
    ) -> Result<Verdict, Failure> {
        if let Some(why) = self.refusal(exchange.client_ip()) {
            return Err(refuse(exchange, why));
        }
        if let Some(allowed) = &self.methods
            && let Some(why) = allowed.refusal(exchange.method(), &request.headers)
        {
            let refusal = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, Reason::DENIED)
                .header(Known::Allow, &allowed.named)
                .detail(why);
            return Err(exchange.refuse(refusal));
        }
        Ok(Verdict::Continue)
    }

    /// Returns the reason to refuse a client at this address.
    pub fn refusal(&self, client: IpAddr) -> Option<AddressRefusal> {
        if !self.blocks.allows(client) {
            return Some(AddressRefusal { client, geo: None });
        }
        let geo = self.geo.as_ref()?.refusal(client)?;
        let geo = Some(geo);
        Some(AddressRefusal { client, geo })
    }
}

impl fmt::Display for AddressRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "access: {} is not allowed", self.client)?;
        match self.geo {
            Some(geo) => write!(f, ": {geo}"),
            None => Ok(()),
        }
    }
}

/// Says no more than that; the access log and `why` tell the rest.
#[cold]
fn refuse(exchange: &mut Exchange, why: AddressRefusal) -> Failure {
    let refusal = Refusal::new(StatusCode::FORBIDDEN, Reason::DENIED).detail(why.to_string());
    exchange.refuse(refusal)
}
