//! State of one exchange: a request with its response.
//!
//! The record is made when a request head has arrived and kept to the end of the response; explain,
//! access log, metrics and `Proxy-Status` all print it.

mod answering;
mod attempt;
mod body;
mod cache_use;
mod call_record;
mod custom_body;
mod identity;
mod message;
mod obstacle;
mod passage;
mod refusal;
mod subrequest;
mod trace;
mod transformed;

use std::{cell::RefCell, fmt::Display, net::IpAddr, rc::Rc, sync::Arc};

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, Version};
use regex::Regex;
use smallvec::SmallVec;
use tokio::time::Instant;

pub use crate::failure::{BadRequest, CLIENT_GONE, Failure, Side};
pub(crate) use answering::{AnswerEnd, Answering, Pending};
pub(crate) use attempt::AttemptNumber;
#[doc(hidden)]
pub use attempt::{Attempt, AttemptKind, AttemptOutcome};
pub use body::Body;
pub(crate) use cache_use::{CacheUse, LeftAnswering};
pub(crate) use call_record::{CallRecord, Copied, QueuedTime};
pub use custom_body::CustomBody;
pub(crate) use identity::{Identity, claim_text, find_claim};
pub use message::{Request, Response};
pub(crate) use obstacle::Obstacle;
pub(crate) use passage::Passage;
pub use refusal::{Reason, Refusal};
pub(crate) use subrequest::{Caller, SubrequestTerms};
pub use subrequest::{Subanswer, Subrequest};
pub(crate) use trace::Trace;
#[doc(hidden)]
pub use transformed::Transformed;

pub use crate::{semantics::forwarded::Scheme, tls::ClientCertificate};

use crate::{
    rollout::Cohort,
    route::{PathMatch, RouteIndex},
    semantics::{
        accept::Accepts, authority::Authority, forwarded::Trust, grpc_web, request_id::RequestId,
    },
    state::{Action, Decision, LocalListener, LocalSnapshot, Route, RouteMetrics},
    tls::Session,
    upstream::pool::{Pool, PoolIndex},
};

/// One request with its response, from the head to the last byte.
#[derive(Debug)]
pub struct Exchange {
    /// The configuration that it uses, to its end.
    pub(crate) snapshot: Rc<LocalSnapshot>,
    /// The listener that accepted it.
    pub(crate) listener: LocalListener,
    /// Time at which its head had arrived.
    pub(crate) started: Instant,
    /// Its identity: in headers, log and admin API.
    pub(crate) request_id: RequestId,
    /// The trace that it belongs to, while tracing is on.
    pub(crate) trace: Option<Box<Trace>>,
    /// Trust in the peer's forwarding fields.
    pub(crate) trust: Trust,
    /// The client's address: the peer's, or the one that trusted proxies report.
    pub(crate) client: IpAddr,
    /// The client's port; 0 if it is not known.
    pub(crate) client_port: u16,
    /// The scheme that the client used, as far as known.
    pub(crate) scheme: Scheme,
    /// The TLS session that it came over.
    pub(crate) tls: Option<Rc<Session>>,
    /// The request line and the parts of the head for the log.
    pub(crate) request: RequestLine,
    /// Its destination.
    pub(crate) decision: Option<Decision>,
    /// The choice between the pools of its route, where there was one.
    pub(crate) cohort: Option<Box<Cohort>>,
    /// Its upstream call, and what that occupies.
    pub(crate) call: CallRecord,
    /// Its use of the cache, on a route that has one.
    pub(crate) cached: Option<Box<CacheUse>>,
    /// Attempts of its subrequests, for the log.
    pub(crate) aside: RefCell<Vec<Attempt>>,
    /// Maker of its subrequests.
    pub(crate) caller: Rc<dyn Caller>,
    /// Failure that ended it early.
    pub(crate) failure: Option<Failure>,
    /// Refusal by a filter; counts while `failure` says that one did.
    pub(crate) refusal: Option<Box<Refusal>>,
    /// Its place on the way through the filters of its route.
    pub(crate) passage: Passage,
    /// Kinds of text that the client likes, where an answer with an error depends on it.
    pub(crate) accepts: Accepts,
    /// The status sent downstream.
    pub(crate) status: Option<StatusCode>,
    /// Time at which the response head had arrived or was made.
    pub(crate) answered: Option<Instant>,
    /// Bytes read of the request body.
    pub(crate) bytes_in: u64,
    /// Bytes passed on of the response body.
    pub(crate) bytes_out: u64,
    /// True if the client speaks gRPC: failures are reported in that form.
    pub(crate) grpc: bool,
    /// The call as the client made it, if the walk has turned gRPC-Web into gRPC.
    pub(crate) grpc_web: Option<Box<grpc_web::WebCall>>,
    /// Deadline that the client has set: of a gRPC call, or on a route that accepts one.
    pub(crate) client_deadline: Option<Instant>,
    /// Status of a gRPC call at its end.
    pub(crate) grpc_status: Option<u8>,
    /// True if the response reached its end.
    pub(crate) complete: bool,
    /// True if its end has been recorded.
    pub(crate) ended: bool,
    /// True if the client asks with leave what becomes of it.
    pub(crate) debugged: bool,
}

/// Parts of a request that are kept to its end.
#[derive(Clone, Debug)]
pub(crate) struct RequestLine {
    pub(crate) method: Method,
    pub(crate) target: Bytes,
    pub(crate) version: Version,
    pub(crate) authority: Option<Authority>,
    pub(crate) user_agent: Option<HeaderValue>,
    /// Values of added fields of the access log, by their index in the snapshot.
    pub(crate) logged: Vec<(usize, HeaderValue)>,
    /// True if the request head was valid.
    pub(crate) known: bool,
}

impl Exchange {
    /// The id of the exchange.
    pub fn request_id(&self) -> &str {
        self.request_id.as_str()
    }

    /// The client's address: the peer's, or the one that trusted proxies report.
    pub fn client_ip(&self) -> IpAddr {
        self.client
    }

    /// The client's port, if the client itself is at the other end of the connection.
    pub fn client_port(&self) -> Option<u16> {
        (self.client_port != 0).then_some(self.client_port)
    }

    /// The host that the client asked for, without its port.
    pub fn host(&self) -> &str {
        self.request
            .authority
            .as_ref()
            .map_or("", |authority| authority.host())
    }

    /// The host that the client asked for, with its port if it named one.
    pub fn host_port(&self) -> &str {
        let authority = self.request.authority.as_ref();
        authority.map_or("", |authority| authority.as_str())
    }

    /// The method of the request.
    pub fn method(&self) -> &Method {
        &self.request.method
    }

    /// Path and query as the client sent them.
    pub fn target(&self) -> &str {
        std::str::from_utf8(&self.request.target).unwrap_or_default()
    }

    /// The scheme that the client used.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The subject of the client's verified certificate (RFC 4514).
    pub fn tls_subject(&self) -> Option<&str> {
        Some(&self.client_certificate()?.subject)
    }

    /// Content of the client's verified certificate.
    pub fn client_certificate(&self) -> Option<&ClientCertificate> {
        self.tls.as_ref()?.client.as_ref()
    }

    /// The name of the listener.
    pub fn listener_name(&self) -> &str {
        &self.listener.name
    }

    /// The name of the route, once it is chosen.
    pub fn route_name(&self) -> Option<&str> {
        self.route().map(|route| &*route.name)
    }

    /// The name of the pool, once it is chosen.
    pub fn pool_name(&self) -> Option<&str> {
        self.pool().map(|pool| &*pool.name)
    }

    /// The address of the endpoint of the attempt that stands: mostly the last.
    pub fn endpoint(&self) -> Option<&str> {
        self.call.standing().map(Attempt::address)
    }

    /// The version that runs at the endpoint of the attempt that stands.
    pub fn version(&self) -> Option<&str> {
        let described = &self.call.standing()?.endpoint;
        described.endpoint.version_label.as_deref()
    }

    /// Gives back its places under the limits of its route, pool and endpoint. Called before the
    /// client can see the end of the answer: its next request, on whatever connection, must find
    /// them free.
    #[inline]
    pub(crate) fn release_places(&mut self) {
        self.passage.release();
        self.call.release_places();
    }

    /// Drops the references to the rest of the configuration. Long-lived exchanges, such as
    /// tunnels, hold only their own route and pools.
    pub(crate) fn let_go(&mut self) {
        if self.trace.is_some() {
            let path = self.route_path().map(Into::into);
            if let Some(trace) = &mut self.trace {
                trace.route_path = path;
            }
        }
        let Some(decision) = &mut self.decision else {
            return;
        };
        let named = self.snapshot.pool_of(decision.route);
        let chosen = self.cohort.as_ref().map(|cohort| cohort.pool);
        let tried = self.call.attempts.iter().map(|attempt| attempt.pool);
        let named = named.into_iter().chain(chosen);
        let mut pools: SmallVec<[PoolIndex; 4]> = named.chain(tried).collect();
        pools.sort_unstable();
        pools.dedup();
        self.snapshot = Rc::new(self.snapshot.only(decision.route, &pools));
        decision.route = RouteIndex(0);
        let chosen = self.cohort.iter_mut().map(|cohort| &mut cohort.pool);
        let attempts = self.call.attempts.iter_mut();
        for index in chosen.chain(attempts.map(|attempt| &mut attempt.pool)) {
            let place = (0_u32..).zip(&pools).find(|(_, pool)| *pool == index);
            *index = PoolIndex(place.map_or(0, |(place, _)| place));
        }
    }

    /// Returns true if the client has given the call up by now, whatever the endpoint does.
    pub(crate) fn is_given_up(&self, now: Instant) -> bool {
        self.client_deadline.is_some_and(|deadline| now >= deadline)
    }

    /// The answer announced no length and has fallen silent.
    pub(crate) fn fell_silent(&mut self) {
        self.call.fell_silent();
        if let Some(using) = &self.cached
            && let Some(mut answering) = using.left()
        {
            answering.quiet = true;
        }
    }

    pub(crate) fn route(&self) -> Option<&Route> {
        let decision = self.decision.as_ref()?;
        self.snapshot.shared.routes.get(decision.route.0 as usize)
    }

    /// Maximum size of the request body on its route.
    pub(crate) fn body_max(&self) -> Option<impl Display> {
        self.route()?.body_max()
    }

    /// The regular expression that its route has for the path.
    pub(crate) fn path_regex(&self) -> Option<&Regex> {
        let spec = self.snapshot.shared.table.spec(self.decision?.route)?;
        match &spec.path {
            PathMatch::Regex(regex) => Some(regex),
            PathMatch::Any | PathMatch::Exact(_) | PathMatch::Prefix(_) => None,
        }
    }

    /// The condition of its route on the path, as it is written: few values, for traces.
    pub(crate) fn route_path(&self) -> Option<&str> {
        let kept = self.trace.as_ref().and_then(|it| it.route_path.as_deref());
        kept.or_else(|| {
            let config = &self.snapshot.shared.config;
            let written = config.routes.get(self.route_name()?)?;
            written.path.as_ref().map(|path| path.as_str())
        })
    }

    /// Metrics of its route; those of none while it has none.
    pub(crate) fn metrics(&self) -> Option<&RouteMetrics> {
        let of_none = || self.snapshot.routes.last().map(Rc::as_ref);
        self.route_metrics().or_else(of_none)
    }

    /// The metrics of its route on this worker.
    pub(crate) fn route_metrics(&self) -> Option<&RouteMetrics> {
        let decision = self.decision.as_ref()?;
        let metrics = self.snapshot.routes.get(decision.route.0 as usize);
        metrics.map(Rc::as_ref)
    }

    /// The pool of an attempt.
    pub(crate) fn pool_of(&self, attempt: &Attempt) -> Option<&Arc<Pool>> {
        self.snapshot.shared.pools.get(attempt.pool.0 as usize)
    }

    /// The pool of the attempt that stands, else the one that the route names.
    pub(crate) fn pool(&self) -> Option<&Arc<Pool>> {
        let index = match self.call.standing() {
            Some(attempt) => attempt.pool,
            None => match self.route()?.action {
                Action::Pool(pool, _) => pool,
                Action::Split(_) | Action::Rollout(_) => self.cohort.as_ref()?.pool,
                Action::Redirect(_) | Action::Respond(_) => return None,
            },
        };
        self.snapshot.shared.pools.get(index.0 as usize)
    }
}
