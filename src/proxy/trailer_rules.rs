//! Rules for the trailers of a request on their way upstream.
//!
//! Trailers arrive after filters and checks of the head have run, so a name that these remove, set
//! or refuse must not come in after them.

use std::rc::Rc;

use crate::{
    exchange::Exchange,
    failure::{BadRequest, Failure},
    semantics::{Headers, trailer},
    state::{Decision, LocalListener, LocalSnapshot, Underscores},
    telemetry::metrics::Counter,
};

/// The rules of one request; made for those that have a body.
#[derive(Debug)]
pub(super) struct TrailerRules {
    snapshot: Rc<LocalSnapshot>,
    listener: LocalListener,
    decision: Option<Decision>,
    underscores: Counter,
}

impl TrailerRules {
    /// Takes the rules of the exchange's listener and route; `underscores` counts the fields that
    /// the listener drops.
    pub(super) fn new(underscores: &Counter, exchange: &Exchange) -> Self {
        Self {
            snapshot: Rc::clone(&exchange.snapshot),
            listener: Rc::clone(&exchange.listener),
            decision: exchange.decision,
            underscores: underscores.clone(),
        }
    }

    /// Drops trailers that must not pass.
    ///
    /// # Errors
    /// A name has an underscore, and the listener refuses these.
    pub(super) fn apply(&self, trailers: &mut Headers) -> Result<(), Failure> {
        if self.listener.underscores != Underscores::Allow {
            let dropped = trailer::strip_underscores(trailers);
            if dropped > 0 && self.listener.underscores == Underscores::Refuse {
                return Err(BadRequest::Underscore.into());
            }
            self.underscores.add(dropped as u64);
        }
        let routes = &self.snapshot.shared.routes;
        let route = self
            .decision
            .and_then(|decision| routes.get(decision.route.0 as usize));
        trailer::strip(trailers, |name| {
            route.is_some_and(|route| route.filters.owns_of_request(name))
        });
        Ok(())
    }
}
