//! The route table: built once per snapshot, used once per request.

use std::net::IpAddr;
use std::sync::Arc;

use http::Method;

use super::explain::Explanation;
use super::host_index::HostIndex;
use super::matcher::{Mismatch, check, matches_host, matches_path};
use super::rank::Rank;
use super::spec::{PathMatch, RouteSpec};
use super::tree::{NOWHERE, Place};
use crate::config::value::HostPattern;
use crate::{
    failure::BadRequest,
    semantics::{Headers, path::NormalPath},
    tls::ClientCertificate,
};

/// Facts of a request that routing depends on.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Index of the listener in the list that the table was built with.
    pub listener: u32,
    /// Host as in [`Authority::host`](crate::semantics::authority::Authority::host); empty for a
    /// request of HTTP/1.0 without one.
    pub host: &'a str,
    /// The path in normal form.
    pub path: &'a NormalPath<'a>,
    /// The query as sent, without the question mark.
    pub query: Option<&'a [u8]>,
    /// The method.
    pub method: &'a Method,
    /// The header fields.
    pub headers: &'a Headers,
    /// Address of the client, as reported by trusted proxies if there are any.
    pub client: IpAddr,
    /// Content of the client's verified certificate, if it has presented one.
    pub certificate: Option<&'a ClientCertificate>,
}

/// A route, as the index into the specs that the table was built from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RouteIndex(pub u32);

/// All routes, ready for lookup in time that does not depend on their number.
#[derive(Debug)]
pub struct RouteTable {
    pub(super) routes: Box<[Route]>,
    /// Every route once per host pattern, the most specific first.
    contenders: Box<[Contender]>,
    /// Reasons for the precedence of the routes, by place.
    ranks: Box<[Rank]>,
    listeners: Box<[Arc<str>]>,
    index: HostIndex,
}

/// A route with its listeners as indexes.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) spec: RouteSpec,
    /// Ascending; `None` for all.
    listeners: Option<Box<[u32]>>,
    /// Its places in the order, ascending, each with the host pattern it is for.
    places: Vec<(Place, HostPattern)>,
}

/// A route for one of its host patterns, before its place is known.
struct Ranked {
    rank: Rank,
    route: u32,
    host: HostPattern,
}

/// Part of a route needed for a lookup, small so that many routes fit into few cache lines.
#[derive(Debug)]
struct Contender {
    route: u32,
    /// True if the route has conditions that the index has not settled.
    asks_more: bool,
}

impl RouteTable {
    /// Builds the table. A listener name that is not in `listener_names` matches no request; the
    /// check of the configuration reports it.
    pub fn build(specs: &[RouteSpec], listener_names: &[Arc<str>]) -> Self {
        let mut routes: Box<[Route]> = specs
            .iter()
            .map(|spec| Route::new(spec, listener_names))
            .collect();
        let mut ranked: Vec<Ranked> = (0..)
            .zip(specs)
            .flat_map(|(at, spec)| rank(spec, at))
            .collect();
        ranked.sort_unstable_by(|a, b| a.rank.cmp(&b.rank));
        let mut index = HostIndex::new();
        for (place, entry) in (0..).zip(&ranked) {
            let route = &mut routes[position(entry.route)];
            index.insert(&entry.host, &route.spec.path, place);
            route.places.push((place, entry.host.clone()));
        }
        index.finish();
        let contender = |entry: &Ranked| Contender {
            route: entry.route,
            asks_more: routes[position(entry.route)].asks_more(),
        };
        Self {
            contenders: ranked.iter().map(contender).collect(),
            routes,
            ranks: ranked.into_iter().map(|entry| entry.rank).collect(),
            listeners: listener_names.into(),
            index,
        }
    }

    /// Finds the route that takes a request. Allocates nothing, except for a regex on an encoded
    /// query parameter of more than 256 bytes.
    ///
    /// # Errors
    /// [`BadRequest::Path`] if the path has encoded slashes and would go to another route if they
    /// were decoded, as the endpoint may do.
    pub fn find(&self, facts: &Facts<'_>) -> Result<Option<RouteIndex>, BadRequest> {
        let found = self.find_by_path(facts, facts.path.as_str());
        match facts.path.with_slashes_decoded() {
            Some(path) if self.find_by_path(facts, path) != found => Err(BadRequest::Path),
            _ => Ok(found),
        }
    }

    /// Tells for every route why it takes the request or does not. The winner is that of
    /// [`RouteTable::find`]. Linear in the number of routes: for people, not for traffic.
    pub fn explain(&self, facts: &Facts<'_>) -> Explanation {
        Explanation::new(self, facts)
    }

    /// Returns the routes in the order of their precedence, each by its highest-ranking host.
    pub fn in_order(&self) -> Vec<RouteIndex> {
        let mut seen = vec![false; self.routes.len()];
        let contenders = self.contenders.iter();
        let first = contenders.filter(|it| !std::mem::replace(&mut seen[position(it.route)], true));
        first.map(|contender| RouteIndex(contender.route)).collect()
    }

    /// Returns the spec of a route.
    pub fn spec(&self, route: RouteIndex) -> Option<&RouteSpec> {
        self.routes.get(position(route.0)).map(|route| &route.spec)
    }

    /// Number of routes.
    pub fn len(&self) -> usize {
        self.routes.len()
    }

    /// Tells whether there are no routes.
    pub fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }

    fn find_by_path(&self, facts: &Facts<'_>, path: &str) -> Option<RouteIndex> {
        let takes = |place: Place| {
            let contender = &self.contenders[position(place)];
            !contender.asks_more || self.routes[position(contender.route)].takes(facts, path)
        };
        let place = self.index.find(facts.host, path, &takes);
        (place != NOWHERE).then(|| RouteIndex(self.contenders[position(place)].route))
    }

    /// Returns the rank at a place of the order.
    pub(super) fn rank_at(&self, place: Place) -> &Rank {
        &self.ranks[position(place)]
    }

    /// Returns the name of the route at a place of the order.
    pub(super) fn name_at(&self, place: Place) -> &str {
        &self.routes[self.route_at(place)].spec.name
    }

    /// Returns the name of a listener; empty if the index is not one of the table's.
    pub(super) fn listener_name(&self, listener: u32) -> &str {
        self.listeners
            .get(position(listener))
            .map_or("", |name| &**name)
    }

    /// Returns the position of the route at a place of the order.
    pub(super) fn route_at(&self, place: Place) -> usize {
        position(self.contenders[position(place)].route)
    }
}

impl Route {
    fn new(spec: &RouteSpec, listener_names: &[Arc<str>]) -> Self {
        let listeners = spec.listeners.as_ref().map(|wanted| {
            let indexes = (0..).zip(listener_names);
            indexes
                .filter(|(_, name)| wanted.contains(name))
                .map(|(at, _)| at)
                .collect()
        });
        Self {
            spec: spec.clone(),
            listeners,
            places: Vec::new(),
        }
    }

    /// Tests all conditions of one route, without the index; returns its best place.
    pub(super) fn judge(&self, facts: &Facts<'_>, path: &str) -> Result<Place, Mismatch> {
        let mut places = self.places.iter();
        let (place, _) = places
            .find(|(_, host)| matches_host(host, facts.host))
            .ok_or(Mismatch::Host)?;
        if !matches_path(&self.spec.path, path) {
            return Err(Mismatch::Path);
        }
        self.check(facts)?;
        Ok(*place)
    }

    /// Returns the first of its places.
    pub(super) fn best_place(&self) -> Place {
        self.places.first().map_or(NOWHERE, |(place, _)| *place)
    }

    /// Returns true if it takes a request that the index has led to it.
    fn takes(&self, facts: &Facts<'_>, path: &str) -> bool {
        let path_fits = || match &self.spec.path {
            PathMatch::Regex(_) => matches_path(&self.spec.path, path),
            // The index has settled these.
            PathMatch::Any | PathMatch::Exact(_) | PathMatch::Prefix(_) => true,
        };
        self.check(facts).is_ok() && path_fits()
    }

    /// Returns true if there are conditions for [`Route::takes`] to test.
    fn asks_more(&self) -> bool {
        self.listeners.is_some()
            || self.spec.has_conditions()
            || matches!(self.spec.path, PathMatch::Regex(_))
    }

    fn check(&self, facts: &Facts<'_>) -> Result<(), Mismatch> {
        check(&self.spec, self.listeners.as_deref(), facts)
    }
}

/// Ranks a route once for each of its host patterns.
fn rank(spec: &RouteSpec, route: u32) -> Vec<Ranked> {
    let any = [HostPattern::Any];
    let hosts = if spec.hosts.is_empty() {
        &any[..]
    } else {
        &spec.hosts
    };
    let entry = |host: &HostPattern| Ranked {
        rank: Rank::new(spec, host, route),
        route,
        host: host.clone(),
    };
    hosts.iter().map(entry).collect()
}

/// Converts an index to a position in a slice; `u32` fits on all supported platforms.
fn position(index: u32) -> usize {
    usize::try_from(index).unwrap_or(usize::MAX)
}
