//! The terms of an upstream call.

use std::{net::IpAddr, rc::Rc};

use http::StatusCode;
use tokio::time::Instant;

use super::search::Home;
use crate::{
    exchange::Trace,
    proxy_protocol::Header,
    semantics::upgrade::Offer,
    state::{LocalSnapshot, Route},
    upstream::pinned::Pinned,
    worker::{Connection, Worker},
};

/// Parameters of an upstream call, apart from its request.
pub(in crate::proxy) struct CallTerms<'a> {
    /// The worker that makes it.
    pub(in crate::proxy) worker: &'a Worker,
    /// The configuration that it uses.
    pub(in crate::proxy) snapshot: &'a LocalSnapshot,
    /// Its pool and view; failover pools may replace it.
    pub(in crate::proxy) home: Home,
    /// Route with the rules for retries and the time limits of an attempt. The total time is in
    /// `end`.
    pub(in crate::proxy) route: &'a Route,
    /// Deadline of the response head.
    pub(in crate::proxy) end: Instant,
    /// Time at which the client gives up by itself: a failure after it is not the endpoint's
    /// fault.
    pub(in crate::proxy) given_up: &'a Option<Instant>,
    /// Client of the request, for pickers that hash the address.
    pub(in crate::proxy) client: &'a IpAddr,
    /// The client's connection, which interim responses and connections of its own belong to;
    /// none where the proxy itself asks.
    pub(in crate::proxy) downstream: Option<&'a Connection>,
    /// Protocol that the client wants to switch to.
    pub(in crate::proxy) offer: Option<&'a Offer>,
    /// Trace of the exchange, while tracing is on.
    pub(in crate::proxy) trace: Option<&'a Trace>,
    /// True for a gRPC call.
    pub(in crate::proxy) grpc: bool,
    /// True if the request has no host but that of its endpoint.
    pub(in crate::proxy) lends_host: bool,
    /// True for a copy of a request: how it ends says nothing of its endpoint.
    pub(in crate::proxy) is_copy: bool,
}

impl CallTerms<'_> {
    /// Connections to endpoints that are the client's own.
    pub(super) fn pinned(&self) -> Option<&Rc<Pinned>> {
        self.downstream?.pinned.get()
    }

    /// PROXY protocol header that a new connection to an endpoint begins with.
    pub(super) fn announcement(&self) -> Header {
        match self.downstream {
            Some(connection) => connection.announcement(*self.client),
            None => Header::Unknown,
        }
    }

    /// Returns true if an answer would do for another request, but not for this one.
    pub(super) fn is_misled_by(&self, status: StatusCode) -> bool {
        self.offer.is_some_and(|offer| offer.is_misled_by(status))
    }

    /// Returns true if the client has given up by now, whatever the endpoint does.
    pub(super) fn is_given_up(&self, now: Instant) -> bool {
        self.given_up.is_some_and(|deadline| now >= deadline)
    }
}
