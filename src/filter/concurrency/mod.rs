//! Limits on requests at once: of a route, or of each client.
//!
//! A place is held by the exchange. It is given back before the client can see the end of the
//! answer, or at the end of a tunnel, and also when the client leaves or the walk panics.

mod adaptive;
mod clients;

use std::sync::Arc;

use http::{HeaderName, StatusCode};
use tokio::time::Instant;

pub use adaptive::Adaptive;
pub use clients::ClientGates;

use super::Verdict;
use crate::{
    exchange::{Exchange, Obstacle, Request, Response},
    failure::Failure,
    resilience::{
        ClientEntry, Place,
        concurrency::{Entry, Gate, GateView, QueueRules, Urgency},
    },
    timer,
};

/// The limit of a route.
#[derive(Debug)]
pub struct ConcurrencyFilter {
    /// Maximum number of requests at once.
    pub max: u32,
    /// Bounds of the queue.
    pub queue: QueueRules,
    /// Header field with the urgency of a request.
    pub priority: Option<HeaderName>,
    /// The requests that share a limit.
    pub scope: Scope,
    /// Finds the number of places up to `max`; none: there are `max`.
    pub adaptive: Option<Arc<Adaptive>>,
}

/// The requests that share a limit; the registry keeps their places over reloads.
#[derive(Debug)]
pub enum Scope {
    /// All of the route.
    Route(Arc<Gate>),
    /// Those of one client.
    Client(Arc<ClientGates>),
}

/// State of the limit of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConcurrencyView {
    /// The requests that share it: `route` or `client_ip`.
    pub per: &'static str,
    /// Number of places.
    pub limit: u32,
    /// Places in use, and waiters; over all clients.
    pub now: GateView,
    /// Requests that got no place.
    pub refused: u64,
}

/// Share of an exchange in the limit. The place is dropped before the entry of the client.
#[derive(Debug)]
struct Held {
    _place: Place,
    _entry: Option<ClientEntry<Gate>>,
    /// Time at which it got the place, until its answer is a sample.
    since: Option<Instant>,
}

impl ConcurrencyFilter {
    pub(super) async fn on_request(
        &self,
        exchange: &mut Exchange,
        request: &Request,
    ) -> Result<Verdict, Failure> {
        let entry = match &self.scope {
            Scope::Route(_) => None,
            Scope::Client(clients) => Some(clients.enter(exchange.client_ip())),
        };
        let gate = match (&self.scope, &entry) {
            (Scope::Route(gate), _) => gate,
            (Scope::Client(_), Some(entry)) => entry.state(),
            (Scope::Client(_), None) => return Err(Failure::Internal),
        };
        let place = match gate.try_take(self.limit()) {
            Some(place) => place,
            // In memory of its own: most requests never wait.
            None => Box::pin(self.wait(gate, exchange, request)).await?,
        };
        exchange.hold(Held {
            _place: place,
            _entry: entry,
            since: self.adaptive.as_ref().map(|_| timer::now()),
        });
        Ok(Verdict::Continue)
    }

    /// Takes the time to the head of a good answer as a sample. Refusals, failures and clients
    /// that leave tell nothing about the endpoints' latency.
    pub(super) fn on_response(&self, exchange: &mut Exchange, response: &Response) {
        let (Some(adaptive), Scope::Route(gate)) = (&self.adaptive, &self.scope) else {
            return;
        };
        let since = exchange
            .kept_mut::<Held>()
            .and_then(|held| held.since.take());
        let (Some(began), Some(answered)) = (since, exchange.answered) else {
            return;
        };
        let status = response.status;
        let refused = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
        let failed = exchange.failure.is_some() || exchange.grpc_status.is_some_and(|it| it != 0);
        if !refused && !failed {
            adaptive.sample(began, answered, gate, self.max);
        }
    }

    fn limit(&self) -> u32 {
        let adaptive = self.adaptive.as_ref();
        adaptive.map_or(self.max, |it| it.limit().min(self.max))
    }

    /// Waits for a place, at most as long as the queue and the time of the request allow.
    async fn wait(
        &self,
        gate: &Arc<Gate>,
        exchange: &Exchange,
        request: &Request,
    ) -> Result<Place, Failure> {
        let value = self
            .priority
            .as_ref()
            .and_then(|it| request.headers.get(it));
        let urgency = value.map_or_else(Urgency::default, |it| Urgency::read(it.as_bytes()));
        let since = timer::now();
        let waiting = match gate.enter(self.queue, urgency, since) {
            Entry::Place(place) => return Ok(place),
            Entry::Waiting(waiting) => waiting,
            Entry::Full => return Err(self.refuse(exchange, false)),
        };
        let waited = timer::until(self.deadline(exchange, since), waiting).await;
        let took = timer::now().saturating_duration_since(since);
        exchange.call.queued.add(took);
        match waited {
            Ok(Some(place)) => Ok(place),
            Ok(None) => Err(self.refuse(exchange, false)),
            Err(timer::Elapsed) => {
                let refused = self.refuse(exchange, true);
                // Its own deadline may have been the earlier one.
                match exchange.is_given_up(timer::recent()) {
                    true => Err(Failure::ResponseTimeout),
                    false => Err(refused),
                }
            }
        }
    }

    fn deadline(&self, exchange: &Exchange, since: Instant) -> Instant {
        let end = since + self.queue.timeout;
        let total = exchange
            .route()
            .map(|it| exchange.started + it.timeouts.total);
        let given = total.into_iter().chain(exchange.client_deadline);
        given.fold(end, Instant::min)
    }

    #[cold]
    fn refuse(&self, exchange: &Exchange, waited: bool) -> Failure {
        let obstacle = match self.scope {
            Scope::Route(_) => Obstacle::RouteConcurrency,
            Scope::Client(_) => Obstacle::ClientConcurrency,
        };
        exchange.call.queued.refused_by(obstacle, waited);
        if let Some(route) = exchange.route_metrics() {
            route.count_refused_place(self.per());
        }
        match &self.scope {
            Scope::Route(gate) => gate.count_refused(),
            Scope::Client(clients) => clients.count_refused(),
        }
        Failure::LimitReached
    }

    /// The requests that share it: `route` or `client_ip`.
    pub fn per(&self) -> &'static str {
        match self.scope {
            Scope::Route(_) => "route",
            Scope::Client(_) => "client_ip",
        }
    }

    /// State of the limit.
    pub fn view(&self) -> ConcurrencyView {
        let (now, refused) = match &self.scope {
            Scope::Route(gate) => (gate.view(), gate.refused()),
            Scope::Client(clients) => (clients.view(), clients.refused()),
        };
        ConcurrencyView {
            per: self.per(),
            limit: self.limit(),
            now,
            refused,
        }
    }
}
