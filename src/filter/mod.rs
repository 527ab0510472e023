//! Steps on the way of a request, compiled from its route.
//!
//! A route's [`Chain`] is built with the snapshot. Requests go through it first to last, responses
//! last to first. The members that come with the proxy sit in an enum, so that a chain costs
//! neither allocation nor dynamic call; an embedding program adds its own through [`Filter`] and
//! [`Filters`].

mod chain;
mod header;
mod redirect;
mod respond;
mod rewrite;
mod template;

use std::{collections::BTreeMap, fmt, future::Future, pin::Pin, sync::Arc};

use crate::{
    exchange::{Exchange, Request, Response},
    failure::Failure,
};

#[doc(hidden)]
pub use chain::{AnyFilter, Chain};
#[doc(hidden)]
pub use header::HeaderFilter;
#[doc(hidden)]
pub use redirect::Redirect;
#[doc(hidden)]
pub use respond::Respond;
#[doc(hidden)]
pub use rewrite::{PathRule, RewriteFilter};
#[doc(hidden)]
pub use template::{Scope, render};

/// A future that stays on the worker's thread.
pub type LocalBoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// A step of a route's chain.
///
/// One value serves all workers; state between requests needs its own synchronization. It must not
/// block: it runs on the worker's thread.
pub trait Filter: Send + Sync {
    /// Sees a request before an endpoint is picked; may change it, or answer it.
    ///
    /// # Errors
    /// The failure that ends the exchange, in place of an answer.
    fn on_request<'a>(
        &'a self,
        exchange: &'a mut Exchange,
        request: &'a mut Request,
    ) -> LocalBoxFuture<'a, Result<Verdict, Failure>>;

    /// Sees a response before its head is sent downstream; may change it.
    ///
    /// # Errors
    /// The failure to answer in place of the response.
    fn on_response<'a>(
        &'a self,
        exchange: &'a mut Exchange,
        response: &'a mut Response,
    ) -> LocalBoxFuture<'a, Result<(), Failure>>;
}

/// Verdict of a filter on a request.
#[derive(Debug)]
pub enum Verdict {
    /// Pass the request to the next filter, and then upstream.
    Continue,
    /// Answer with this response; nothing is sent upstream.
    Reply(Response),
}

/// Filters of an embedding program, by name; every route passes them in that order.
#[doc(hidden)]
#[derive(Clone, Default)]
pub struct Filters(BTreeMap<Arc<str>, Arc<dyn Filter>>);

impl Filters {
    /// Adds a filter; replaces one of the same name.
    pub fn register(&mut self, name: &str, filter: impl Filter + 'static) {
        self.0.insert(name.into(), Arc::new(filter));
    }

    /// Returns the filters in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<dyn Filter>)> {
        self.0.iter()
    }
}

impl fmt::Debug for Filters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
