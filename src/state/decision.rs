//! Routing decision: one pure function from a snapshot and a request head to a decision.
//!
//! The walk of a request, `explain`, the tests in the configuration and dry runs
//! all call this function, so that they cannot disagree.

use std::net::IpAddr;

use http::Method;

use super::Snapshot;
use crate::{
    failure::Failure,
    route::{Explanation, Facts, RouteIndex},
    semantics::{
        Headers,
        path::{NormalPath, normalise},
    },
    tls::ClientCertificate,
};

/// Destination of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The route that won.
    pub route: RouteIndex,
}

/// Parts of a request head that a decision depends on.
#[derive(Clone, Copy, Debug)]
pub struct RequestView<'a> {
    /// Index of the listener in the snapshot.
    pub listener: u32,
    /// The host in lower case, without port; empty if there is none.
    pub host: &'a str,
    /// The path as received.
    pub path: &'a str,
    /// The query as received, without `?`.
    pub query: Option<&'a str>,
    /// The method.
    pub method: &'a Method,
    /// The header fields.
    pub headers: &'a Headers,
    /// The client's address.
    pub client: IpAddr,
    /// Content of the client's verified certificate.
    pub certificate: Option<&'a ClientCertificate>,
}

/// Decides the destination of a request. Pure: no I/O, no clock, no state.
///
/// # Errors
/// [`Failure::RouteNotFound`], or the rule that the path violates.
pub fn route(snapshot: &Snapshot, request: &RequestView<'_>) -> Result<Decision, Failure> {
    let path = normalise(request.path.as_bytes())?;
    let found = snapshot.table.find(&facts(request, &path))?;
    let route = found.ok_or(Failure::RouteNotFound)?;
    Ok(Decision { route })
}

/// Tells for every route why it won or lost.
///
/// # Errors
/// The rule that the path violates.
pub(super) fn explain(
    snapshot: &Snapshot,
    request: &RequestView<'_>,
) -> Result<Explanation, Failure> {
    let path = normalise(request.path.as_bytes())?;
    Ok(snapshot.table.explain(&facts(request, &path)))
}

fn facts<'a>(request: &RequestView<'a>, path: &'a NormalPath<'a>) -> Facts<'a> {
    Facts {
        listener: request.listener,
        host: request.host,
        path,
        query: request.query.map(str::as_bytes),
        method: request.method,
        headers: request.headers,
        client: request.client,
        certificate: request.certificate,
    }
}
