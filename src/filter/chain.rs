//! Filters of one route, in order.

use std::{fmt, net::IpAddr, sync::Arc};

use super::{
    AccessFilter, AddressRefusal, AuthFilter, BodyMax, ClaimAccess, CompressFilter,
    ConcurrencyFilter, CorsFilter, ErrorPageFilter, FaultFilter, Filter, HeaderFilter, HttpsOnly,
    MaintenanceFilter, RateLimitFilter, RateRule, RedisStore, RewriteFilter, SecureHeaders,
    SharedStates, Verdict, WithholdCookies,
};
use crate::{
    cache::RouteCache,
    exchange::{CacheUse, Exchange, Request, Response},
    failure::{BadRequest, Failure},
};

/// The filters of a route; empty for most.
#[derive(Debug, Default)]
pub struct Chain(Box<[AnyFilter]>);

/// A member of a chain.
#[derive(Debug)]
pub enum AnyFilter {
    /// Adds security headers to answers.
    SecureHeaders(SecureHeaders),
    /// Compresses answers.
    Compress(CompressFilter),
    /// Gives answers with an error their form.
    ErrorPage(ErrorPageFilter),
    /// Lets pages of other origins read answers.
    Cors(CorsFilter),
    /// Redirects plain HTTP.
    HttpsOnly(HttpsOnly),
    /// Keeps clients out for a while.
    Maintenance(MaintenanceFilter),
    /// Lets in the clients of some addresses.
    Access(AccessFilter),
    /// Limits the rate of requests.
    RateLimit(RateLimitFilter),
    /// Withholds the cookies of logins on other routes.
    Withhold(WithholdCookies),
    /// Authenticates clients.
    Auth(Box<AuthFilter>),
    /// Lets in users with some claims.
    ClaimAccess(Box<ClaimAccess>),
    /// Delays requests and makes them fail on purpose.
    Fault(FaultFilter),
    /// Bounds the body of a request.
    BodyMax(BodyMax),
    /// Limits the requests at once.
    Concurrency(ConcurrencyFilter),
    /// Changes path and host.
    Rewrite(RewriteFilter),
    /// Changes header fields.
    Header(HeaderFilter),
    /// The cache: the filters behind it see only what goes to an endpoint.
    Cache(Arc<RouteCache>),
    /// One of an embedding program.
    Custom(CustomFilter),
}

/// Reason why a client is kept out, whatever else is in its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeptOut {
    /// It is sent to HTTPS.
    ToHttps,
    /// The route is closed for maintenance.
    Maintenance,
    /// Its address has no access.
    Access(AddressRefusal),
}

/// A filter of an embedding program on one route.
pub struct CustomFilter {
    /// Its name.
    pub name: Arc<str>,
    /// Its number among the registered ones.
    pub number: usize,
    /// The filter, on all routes the same.
    pub filter: Arc<dyn Filter>,
    /// Its state on this route.
    pub states: Arc<SharedStates>,
}

impl Chain {
    /// Makes a chain of these filters, in the order in which requests pass them.
    pub fn new(filters: Vec<AnyFilter>) -> Self {
        Self(filters.into())
    }

    /// Returns true if there is no filter: most routes have none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Passes a request through the filters, first to last, until one answers it. Ends before the
    /// filters behind a cache, which the walk calls for what is not in it.
    ///
    /// # Errors
    /// The failure with which a filter ends the exchange.
    pub fn on_request(
        &self,
        exchange: &mut Exchange,
        request: &mut Request,
    ) -> impl Future<Output = Result<Verdict, Failure>> {
        self.on_request_from(0, exchange, request)
    }

    /// Passes a request through the filters from this place on.
    ///
    /// # Errors
    /// The failure with which a filter ends the exchange.
    pub async fn on_request_from(
        &self,
        first: u16,
        exchange: &mut Exchange,
        request: &mut Request,
    ) -> Result<Verdict, Failure> {
        let filters = self.0.get(usize::from(first)..).unwrap_or_default();
        for (place, filter) in (first..).zip(filters) {
            let verdict = match filter {
                AnyFilter::SecureHeaders(_) => Verdict::Continue,
                AnyFilter::Compress(filter) => {
                    exchange.passage.enter(place);
                    filter.on_request(exchange, request)
                }
                AnyFilter::ErrorPage(filter) => {
                    filter.on_request(exchange, request);
                    Verdict::Continue
                }
                AnyFilter::Cors(filter) => {
                    exchange.passage.enter(place);
                    filter.on_request(exchange, request)?
                }
                AnyFilter::HttpsOnly(filter) => filter.on_request(exchange, request)?,
                AnyFilter::Maintenance(filter) => filter.on_request(exchange)?,
                AnyFilter::Access(filter) => filter.on_request(exchange, request)?,
                AnyFilter::ClaimAccess(filter) => filter.on_request(exchange)?,
                AnyFilter::RateLimit(filter) if filter.asks() => {
                    exchange.passage.enter(place);
                    Box::pin(filter.on_request_asking(exchange, request)).await?
                }
                AnyFilter::RateLimit(filter) => {
                    exchange.passage.enter(place);
                    filter.on_request(exchange, request)?
                }
                AnyFilter::Withhold(filter) => {
                    filter.on_request(request);
                    Verdict::Continue
                }
                // In memory of its own: few routes have one.
                AnyFilter::Auth(filter) => {
                    exchange.passage.enter(place);
                    Box::pin(filter.on_request(exchange, request)).await?
                }
                AnyFilter::Fault(filter) => match filter.fault_of(&request.headers, rand::random())
                {
                    Some(fault) => Box::pin(fault.inject(exchange)).await?,
                    None => Verdict::Continue,
                },
                AnyFilter::BodyMax(filter) => filter.on_request(request)?,
                AnyFilter::Concurrency(filter) => {
                    exchange.passage.enter(place);
                    filter.on_request(exchange, request).await?
                }
                AnyFilter::Rewrite(filter) => filter.on_request(exchange, request)?,
                AnyFilter::Header(filter) => {
                    exchange.passage.enter(place);
                    filter.on_request(exchange, request)
                }
                AnyFilter::Cache(cache) => {
                    exchange.cached = Some(CacheUse::new(cache, place + 1));
                    exchange.passage.pass(place);
                    return Ok(Verdict::Continue);
                }
                AnyFilter::Custom(custom) => {
                    exchange.passage.enter(place);
                    custom.filter.on_request(exchange, request).await?
                }
            };
            if let Verdict::Reply(_) = verdict {
                return Ok(verdict);
            }
            exchange.passage.pass(place);
        }
        Ok(Verdict::Continue)
    }

    /// Leads a response through, last to first: through those filters that let the request pass
    /// and have not seen the response yet.
    ///
    /// # Errors
    /// The failure that is answered in place of the response; the filters that are left see that.
    pub async fn on_response(
        &self,
        exchange: &mut Exchange,
        response: &mut Response,
    ) -> Result<(), Failure> {
        while let Some(place) = exchange.passage.next_back() {
            match self.0.get(place) {
                None
                | Some(
                    AnyFilter::HttpsOnly(_)
                    | AnyFilter::Maintenance(_)
                    | AnyFilter::Access(_)
                    | AnyFilter::ClaimAccess(_)
                    | AnyFilter::Withhold(_)
                    | AnyFilter::Fault(_)
                    | AnyFilter::BodyMax(_)
                    | AnyFilter::Cache(_)
                    | AnyFilter::Rewrite(_),
                ) => {}
                Some(AnyFilter::Auth(filter)) => filter.on_response(exchange, response),
                Some(AnyFilter::SecureHeaders(filter)) => filter.on_response(exchange, response),
                Some(AnyFilter::Compress(filter)) => filter.on_response(exchange, response),
                Some(AnyFilter::ErrorPage(filter)) => filter.on_response(exchange, response),
                Some(AnyFilter::Cors(filter)) => filter.on_response(exchange, response),
                Some(AnyFilter::RateLimit(filter)) => filter.on_response(exchange, response),
                Some(AnyFilter::Concurrency(filter)) => filter.on_response(exchange, response),
                Some(AnyFilter::Header(filter)) => filter.on_response(exchange, response),
                Some(AnyFilter::Custom(custom)) => {
                    custom.filter.on_response(exchange, response).await?;
                }
            }
        }
        Ok(())
    }

    /// Stores outside the process that its rate limits ask.
    pub fn rate_stores(&self) -> impl Iterator<Item = &Arc<RedisStore>> {
        let limits = self.0.iter().filter_map(|filter| match filter {
            AnyFilter::RateLimit(filter) => Some(filter),
            _ => None,
        });
        limits.flat_map(RateLimitFilter::stores)
    }

    /// The cache.
    pub fn cache(&self) -> Option<&Arc<RouteCache>> {
        self.0.iter().find_map(|filter| match filter {
            AnyFilter::Cache(cache) => Some(cache),
            _ => None,
        })
    }

    /// The rules on the rate of requests.
    pub fn rate_rules(&self) -> impl Iterator<Item = &RateRule> {
        let limits = self.0.iter().filter_map(|filter| match filter {
            AnyFilter::RateLimit(filter) => Some(filter),
            _ => None,
        });
        limits.flat_map(RateLimitFilter::rules)
    }

    /// Returns true if the route is closed for maintenance.
    pub fn is_closed(&self) -> bool {
        let mut filters = self.0.iter();
        filters.any(|filter| matches!(filter, AnyFilter::Maintenance(_)))
    }

    /// Returns the first filter that answers every request of this client, as far as address and
    /// scheme tell.
    pub fn keeps_out(&self, client: IpAddr, secure: bool) -> Option<KeptOut> {
        self.0.iter().find_map(|filter| match filter {
            AnyFilter::HttpsOnly(_) if !secure => Some(KeptOut::ToHttps),
            AnyFilter::Maintenance(filter) if !filter.lets_in(client) => Some(KeptOut::Maintenance),
            AnyFilter::Access(filter) => filter.refusal(client).map(KeptOut::Access),
            _ => None,
        })
    }

    /// The filter of an embedding program at this place.
    pub fn custom(&self, place: usize) -> Option<&CustomFilter> {
        match self.0.get(place)? {
            AnyFilter::Custom(custom) => Some(custom),
            _ => None,
        }
    }

    /// Maximum number of request body bytes.
    pub fn body_max(&self) -> Option<u64> {
        self.0.iter().find_map(|filter| match filter {
            AnyFilter::BodyMax(max) => Some(max.0),
            _ => None,
        })
    }

    /// The limits on requests at once, in the order in which they are asked.
    pub fn concurrency(&self) -> impl Iterator<Item = &ConcurrencyFilter> {
        self.0.iter().filter_map(|filter| match filter {
            AnyFilter::Concurrency(filter) => Some(filter),
            _ => None,
        })
    }

    /// Its authentication; at most one.
    pub fn auth(&self) -> impl Iterator<Item = &AuthFilter> {
        self.0.iter().filter_map(|filter| match filter {
            AnyFilter::Auth(filter) => Some(&**filter),
            _ => None,
        })
    }

    /// Returns true if the route removes or sets request fields of this name (case-insensitive):
    /// the client's own do not count.
    pub fn owns_of_request(&self, name: &[u8]) -> bool {
        self.header_filters()
            .any(|filter| filter.owns_of_request(name))
            || self.auth().any(|auth| auth.owns_of_request(name))
    }

    /// Returns true if the route removes or sets response fields of this name (case-insensitive).
    pub fn owns_of_response(&self, name: &[u8]) -> bool {
        self.header_filters()
            .any(|filter| filter.owns_of_response(name))
    }

    fn header_filters(&self) -> impl Iterator<Item = &HeaderFilter> {
        self.0.iter().filter_map(|filter| match filter {
            AnyFilter::Header(filter) => Some(filter),
            _ => None,
        })
    }

    /// Returns the path of a request after the filters; none if they do not change it.
    ///
    /// # Errors
    /// The rule that the path breaks.
    pub fn rewritten(&self, path: &str) -> Result<Option<String>, BadRequest> {
        let rules = self.0.iter().filter_map(|filter| match filter {
            AnyFilter::Rewrite(filter) => filter.path.as_ref(),
            _ => None,
        });
        let mut rewritten = None;
        for rule in rules {
            let before = rewritten.as_deref().unwrap_or(path);
            if let Some(path) = rule.apply(before)? {
                rewritten = Some(path);
            }
        }
        Ok(rewritten)
    }

    /// Returns the names of the filters, in order.
    pub fn names(&self) -> Vec<&str> {
        self.0
            .iter()
            .map(|filter| match filter {
                AnyFilter::SecureHeaders(_) => "secure_headers",
                AnyFilter::Compress(_) => "compress",
                AnyFilter::ErrorPage(_) => "error_pages",
                AnyFilter::Cors(_) => "cors",
                AnyFilter::HttpsOnly(_) => "https_only",
                AnyFilter::Maintenance(_) => "maintenance",
                AnyFilter::Access(_) | AnyFilter::ClaimAccess(_) => "access",
                AnyFilter::RateLimit(_) => "rate_limit",
                AnyFilter::Withhold(_) => "session_cookies",
                AnyFilter::Auth(_) => "auth",
                AnyFilter::Fault(_) => "fault",
                AnyFilter::BodyMax(_) => "body_max",
                AnyFilter::Concurrency(_) => "concurrency",
                AnyFilter::Rewrite(_) => "rewrite",
                AnyFilter::Header(_) => "headers",
                AnyFilter::Cache(_) => "cache",
                AnyFilter::Custom(custom) => &custom.name,
            })
            .collect()
    }
}

impl fmt::Debug for CustomFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CustomFilter({})", self.name)
    }
}
