//! The step of the walk at which a request of a route with a cache is answered by a stored answer,
//! or goes upstream and has its answer stored.
//!
//! `fetch` goes upstream, `change` does so with other methods, `from_disk` reads what is on disk alone, [`serve`] answers, [`pump`] moves a body into the cache for whoever reads
//! it ([`reader`]), [`background`] fetches while a stale answer serves. The filters behind the cache
//! see only what goes upstream.

mod background;
mod change;
mod fetch;
mod from_disk;
mod pump;
mod reader;
mod serve;

use std::sync::Arc;

use http::{Method, StatusCode};
use tokio::time::Instant;

use self::serve::Serving;
use super::{call::Home, forward as upstream};
use crate::{
    cache::{
        Asked, Conditions, Entry, Forwarded, Found, Key, Outcome, Progress, RequestDirectives,
        RouteCache, Turn, Url, Usable, usable,
    },
    exchange::{Body, Exchange, Request, Response},
    failure::Failure,
    semantics::{Known, date::unix_seconds, upgrade::Offer},
    state::Action,
    timer,
    worker::Connection,
};

/// A request at the cache.
struct Visit<'a> {
    connection: &'a Connection,
    home: Home,
    offer: Option<&'a Offer>,
    cache: Arc<RouteCache>,
    key: Key,
    /// Pool or version of the user, where there are several.
    cohort: String,
    conditions: Conditions,
    directives: RequestDirectives,
    asked: Asked,
    head: bool,
}

/// Answers a request from the cache of its route, or sends it to a pool.
///
/// # Errors
/// The failure of the last attempt, or the reason why there was none.
pub(super) async fn forward(
    connection: &Connection,
    exchange: &mut Exchange,
    home: Home,
    request: &mut Request,
    offer: Option<&Offer>,
) -> Result<Response, Failure> {
    let Some(using) = &exchange.cached else {
        return Err(Failure::Internal);
    };
    let cache = Arc::clone(&using.cache);
    let url = Url {
        scheme: exchange.scheme.as_str(),
        host: exchange.host_port(),
        target: &exchange.request.target,
    };
    let key = cache.key.key(url, &request.headers);
    let get = request.method == Method::GET || request.method == Method::HEAD;
    if !get {
        return change::pass(connection, exchange, home, request, offer, &key).await;
    }
    let directives = RequestDirectives::read(&request.headers);
    let visit = Visit {
        connection,
        home,
        offer,
        key,
        cohort: cohort(exchange, home),
        conditions: Conditions::read(&request.headers),
        directives,
        asked: Asked {
            authorized: request.headers.contains(Known::Authorization),
            no_store: directives.no_store,
        },
        head: request.method == Method::HEAD,
        cache,
    };
    if is_odd(exchange, request, offer) {
        return visit
            .plain(exchange, request, Forwarded::Bypass, Outcome::Bypass)
            .await;
    }
    visit.answer(exchange, request).await
}

/// Returns true for requests whose answers are for them only.
fn is_odd(exchange: &Exchange, request: &Request, offer: Option<&Offer>) -> bool {
    let headers = &request.headers;
    offer.is_some()
        || exchange.grpc
        // Its bytes are no part of the key.
        || !request.body.is_end()
        // Other bytes than those of the key may have been sent.
        || request.raw_target.is_some()
        || headers.contains(Known::IfMatch)
        || headers.contains(Known::IfUnmodifiedSince)
}

/// Sends a request through the filters behind the cache, and to a pool.
async fn behind(
    connection: &Connection,
    exchange: &mut Exchange,
    home: Home,
    request: &mut Request,
    offer: Option<&Offer>,
) -> Result<Response, Failure> {
    use crate::filter::Verdict;
    let snapshot = std::rc::Rc::clone(&exchange.snapshot);
    let route = exchange.decision.map(|it| it.route.0 as usize);
    let route = route.and_then(|route| snapshot.shared.routes.get(route));
    let (Some(route), Some(using)) = (route, &exchange.cached) else {
        return Err(Failure::Internal);
    };
    let first = using.behind;
    match route
        .filters
        .on_request_from(first, exchange, request)
        .await?
    {
        Verdict::Reply(response) => Ok(response),
        Verdict::Continue => upstream::forward(connection, exchange, home, request, offer).await,
    }
}

/// The pool or version that a user gets; empty where all get the same.
fn cohort(exchange: &Exchange, home: Home) -> String {
    let snapshot = &exchange.snapshot.shared;
    match exchange.route().map(|route| &route.action) {
        Some(Action::Split(_)) => {
            let pool = snapshot.pools.get(home.pool.0 as usize);
            pool.map_or_else(String::new, |pool| format!("pool {}", pool.name))
        }
        Some(Action::Rollout(rollout)) => {
            let choice = exchange.cohort.as_ref().and_then(|it| it.choice);
            let version = choice.map(|it| &rollout.versions[it.arm as usize]);
            version.map_or_else(String::new, |version| format!("version {version}"))
        }
        _ => String::new(),
    }
}

fn note(exchange: &mut Exchange, outcome: Outcome) {
    if let Some(using) = &mut exchange.cached {
        using.outcome = Some(outcome);
    }
}

impl Visit<'_> {
    /// Seconds since 1970.
    fn now(&self) -> u64 {
        unix_seconds(self.connection.worker.wall_time())
    }

    /// Answers from the store, or fetches.
    async fn answer(
        self,
        exchange: &mut Exchange,
        request: &mut Request,
    ) -> Result<Response, Failure> {
        let cache = &self.cache;
        let patience = timer::now() + std::time::Duration::from_millis(cache.rules.wait_ms);
        let mut alone = cache.rules.wait_ms == 0;
        let mut waited = false;
        let mut reads = DISK_READS;
        loop {
            let now = self.now();
            let found = cache
                .store
                .find(&self.key, &self.cohort, &request.headers, now);
            // Whoever waits for nobody reads by himself; for the others the one who fetches does.
            let shares = !alone && self.fetches_whole() && self.may_share();
            if !shares && self.read_from_disk(request, &found, &mut reads).await {
                continue;
            }
            let (stored, reason) = match &found {
                Found::Entry(entry) => (Some(Arc::clone(entry)), Forwarded::Stale),
                Found::Others(_) => (None, Forwarded::VaryMiss),
                Found::Nothing | Found::Pass => (None, Forwarded::UriMiss),
            };
            // The last answer was for one request only. This one may be for all: it is stored then,
            // or else anybody could keep a URL out of the cache by asking in a way of his own.
            let passes = matches!(found, Found::Pass);
            let unstored = match passes {
                true => Outcome::Bypass,
                false => Outcome::Miss,
            };
            if let Some(entry) = &stored {
                let outcome = if waited {
                    Outcome::Collapsed
                } else {
                    Outcome::Hit
                };
                match usable(entry, &self.directives, &cache.rules, now) {
                    Usable::Fresh => return Ok(self.serve(exchange, entry, outcome, None)),
                    Usable::WhileRevalidate => {
                        background::start(&self, exchange, request, entry);
                        return Ok(self.serve(exchange, entry, Outcome::Stale, None));
                    }
                    Usable::Stale => {}
                }
            }
            if self.directives.only_if_cached {
                return Ok(only_if_cached(exchange));
            }
            let partial = self.conditions.range.is_some() && stored.is_none();
            if self.head || partial || (passes && self.conditions.has_any()) {
                // A head alone, a part, or most likely a 304, is nothing to store.
                return self.plain(exchange, request, reason, unstored).await;
            }
            let never_fresh = stored.as_ref().is_some_and(|it| it.meta.is_never_fresh());
            let told = (reason, unstored);
            if alone || passes || never_fresh || !self.may_share() {
                let lead = cache.alone(&self.key);
                return self.fetch(exchange, request, lead, stored, told).await;
            }
            let fill = match cache.turn(&self.key) {
                Turn::Lead(lead) => {
                    if self.read_from_disk(request, &found, &mut reads).await {
                        // It is in memory now, for those who wait, too.
                        drop(lead);
                        continue;
                    }
                    return self.fetch(exchange, request, lead, stored, told).await;
                }
                Turn::Follow(fill) => fill,
            };
            waited = true;
            match follow(&fill, patience).await {
                Progress::Arriving(head) if head.meta.fits(&self.cohort, &request.headers) => {
                    return Ok(self.follow(exchange, &fill, &head));
                }
                Progress::Arriving(_) | Progress::Alone => alone = true,
                Progress::Again if timer::now() >= patience => alone = true,
                Progress::Again => {}
            }
        }
    }

    /// Returns true if an endpoint is asked for a whole answer, as it is stored.
    fn fetches_whole(&self) -> bool {
        !self.head && self.conditions.range.is_none() && !self.directives.only_if_cached
    }

    /// Returns true if the answer to this request can be one for others.
    fn may_share(&self) -> bool {
        !(self.directives.no_store && self.cache.rules.client_refresh)
    }

    /// Sends the request as it is, and stores nothing.
    async fn plain(
        &self,
        exchange: &mut Exchange,
        request: &mut Request,
        reason: Forwarded,
        outcome: Outcome,
    ) -> Result<Response, Failure> {
        note(exchange, outcome);
        self.strip_unkeyed(exchange, request);
        let mut response =
            behind(self.connection, exchange, self.home, request, self.offer).await?;
        upstream::tell(self.connection, exchange, &mut response);
        serve::say(&mut response.headers, &reason.status(None, false, false));
        Ok(response)
    }

    fn strip_unkeyed(&self, exchange: &Exchange, request: &mut Request) {
        let host = exchange.request.authority.as_ref().map(|it| it.as_str());
        self.cache.key.strip_unkeyed(&mut request.headers, host);
    }

    /// Serves a stored answer.
    fn serve(
        &self,
        exchange: &mut Exchange,
        entry: &Arc<Entry>,
        outcome: Outcome,
        status: Option<String>,
    ) -> Response {
        note(exchange, outcome);
        exchange.answered.get_or_insert_with(timer::recent);
        let serving = Serving {
            conditions: &self.conditions,
            head: self.head,
            now: self.now(),
        };
        serving.stored(entry, status)
    }
}

/// Files that are read for one request at most.
const DISK_READS: u8 = 3;

/// Waits for a fetch of another request.
async fn follow(fill: &crate::cache::Fill, patience: Instant) -> Progress {
    let waited = timer::until(patience, fill.progress()).await;
    waited.unwrap_or(Progress::Alone)
}

/// The answer to a client that wants nothing but a stored one.
fn only_if_cached(exchange: &mut Exchange) -> Response {
    note(exchange, Outcome::Bypass);
    exchange.answered = Some(timer::recent());
    let mut response = Response::new(Body::from("504 Gateway Timeout: nothing is stored\n"));
    response.status = StatusCode::GATEWAY_TIMEOUT;
    let headers = &mut response.headers;
    let plain = crate::semantics::Value::from_static("text/plain; charset=utf-8");
    headers.insert(Known::ContentType, plain);
    serve::say(headers, "sluicegate; fwd=uri-miss; detail=only-if-cached");
    response
}
