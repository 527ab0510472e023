//! Steps on the way of a request, compiled from its route.
//!
//! A route's [`Chain`] is built with the snapshot. Requests go through it first to last, responses
//! last to first. The members that come with the proxy sit in an enum, so that a chain costs
//! neither allocation nor dynamic call; an embedding program adds its own through [`Filter`] and
//! [`Filters`].

mod access;
mod auth;
mod body_max;
mod chain;
mod compress;
mod concurrency;
mod cors;
mod error_page;
mod escape;
mod fault;
mod header;
mod https_only;
mod maintenance;
mod rate_limit;
mod redirect;
mod respond;
mod rewrite;
mod secure_headers;
mod states;
mod template;
mod vary;

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use crate::{
    exchange::{Exchange, Request, Response},
    failure::Failure,
};

#[doc(hidden)]
pub use access::{
    AccessFilter, AddressBlocks, AddressRefusal, AllowedMethods, ClaimAccess, GeoRefusal, GeoRule,
    GeoRules, GeoTable,
};
#[doc(hidden)]
pub use auth::{
    ApiKeyAuth, AuthFilter, AuthMethod, AuthStep, BasicAuth, Credentials, ForwardAuth, JwtAuth,
    KeyRing, Metadata, MtlsAuth, OidcAuth, PasswordChecks, Provider, ProviderClient, Remote,
    RemoteKeys, SealKeys, TokenKeys, TokenRules, WithholdCookies,
};
#[doc(hidden)]
pub use body_max::BodyMax;
#[doc(hidden)]
pub use chain::{AnyFilter, Chain, CustomFilter, KeptOut};
#[doc(hidden)]
pub use compress::CompressFilter;
#[doc(hidden)]
pub use concurrency::{
    Adaptive, ClientGates, ConcurrencyFilter, ConcurrencyView, Scope as ConcurrencyScope,
};
#[doc(hidden)]
pub use cors::{AllowedList, CorsFilter};
#[doc(hidden)]
pub use error_page::{ErrorPageFilter, ErrorPages, Page, PageRule};
#[doc(hidden)]
pub use escape::Form;
#[doc(hidden)]
pub use fault::{Fault, FaultFilter};
#[doc(hidden)]
pub use header::HeaderFilter;
#[doc(hidden)]
pub use https_only::HttpsOnly;
#[doc(hidden)]
pub use maintenance::MaintenanceFilter;
#[doc(hidden)]
pub use rate_limit::{
    CarriedBuckets, LocalRates, RateLimitFilter, RateRule, RateStore, RedisSettings, RedisStore,
    RemoteRates,
};
#[doc(hidden)]
pub use redirect::Redirect;
#[doc(hidden)]
pub use respond::Respond;
#[doc(hidden)]
pub use rewrite::{PathRule, RewriteFilter};
#[doc(hidden)]
pub use secure_headers::SecureHeaders;
#[doc(hidden)]
pub use states::{LocalStates, SharedStates};
#[doc(hidden)]
pub use template::{Said, Scope, fill, render};
pub(crate) use template::{put_group, put_parameter, put_query};

/// A future that stays on the worker's thread.
pub type LocalBoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// A step of a route's chain.
///
/// One value serves all workers and all routes that it runs on. It must not block: it runs on
/// the worker's thread.
///
/// What it remembers has one of three lives:
/// * [`Exchange::keep`]: until the exchange ends, for this filter on this route.
/// * [`Exchange::per_worker`]: as long as the process runs, for one worker.
/// * [`Exchange::per_route`]: over reloads, as long as the route keeps the filter; for all workers.
pub trait Filter: Send + Sync {
    /// Sees a request before an endpoint is picked; may change it, or answer it.
    ///
    /// # Errors
    /// The failure that ends the exchange; [`Exchange::refuse`] makes one with a status and a
    /// word of one's own.
    fn on_request<'a>(
        &'a self,
        exchange: &'a mut Exchange,
        request: &'a mut Request,
    ) -> LocalBoxFuture<'a, Result<Verdict, Failure>>;

    /// Sees an answer before its head goes downstream; may change it.
    ///
    /// Called if [`Self::on_request`] let the request pass, whoever then answered: the endpoint,
    /// a later filter, or the proxy with a failure ([`Exchange::failure`]). Not called when the
    /// client left before. Called again if the body of an answer fails before any of it has left:
    /// the failure is answered instead.
    ///
    /// # Errors
    /// The failure that is answered in place of the response; the filters before this one see that.
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

/// The filters of an embedding program, in the order of their registration.
#[doc(hidden)]
#[derive(Clone, Default)]
pub struct Filters(Vec<RegisteredFilter>);

/// A filter of an embedding program.
#[doc(hidden)]
#[derive(Clone)]
pub struct RegisteredFilter {
    /// Name in the configuration.
    pub name: Arc<str>,
    /// Routes that it runs on.
    pub runs: Runs,
    /// The filter.
    pub filter: Arc<dyn Filter>,
}

/// On which routes a filter runs.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runs {
    /// On all of them.
    Everywhere,
    /// On those that name it in `use`.
    WhereUsed,
}

impl Filters {
    /// Adds a filter, in place of one of the same name.
    pub fn register(&mut self, name: &str, runs: Runs, filter: impl Filter + 'static) {
        let new = RegisteredFilter {
            name: name.into(),
            runs,
            filter: Arc::new(filter),
        };
        match self.0.iter_mut().find(|known| *known.name == *name) {
            Some(known) => *known = new,
            None => self.0.push(new),
        }
    }

    /// All of them, each with its number.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &RegisteredFilter)> {
        self.0.iter().enumerate()
    }

    /// The names that routes may use.
    pub fn usable(&self) -> impl Iterator<Item = &str> {
        let usable = self.0.iter().filter(|it| it.runs == Runs::WhereUsed);
        usable.map(|it| &*it.name)
    }

    /// Room for what each of them remembers on one worker.
    pub fn local_states(&self) -> Box<[LocalStates]> {
        self.0.iter().map(|_| LocalStates::default()).collect()
    }
}

impl fmt::Debug for Filters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.0.iter().map(|it| &it.name))
            .finish()
    }
}
