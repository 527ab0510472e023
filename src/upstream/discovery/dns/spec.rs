//! Settings of a source in DNS, and the reasons why it has no list.

use std::{net::SocketAddr, time::Duration};

use super::{super::list::ENDPOINTS_MAX, lookup::LookupFault};
use crate::config::value::DnsName;

/// A name in DNS as the source of endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsSpec {
    /// The name.
    pub name: DnsName,
    /// Records that name the endpoints.
    pub records: DnsRecords,
    /// Families of addresses.
    pub family: DnsFamily,
    /// Name servers; none: those of `/etc/resolv.conf`.
    pub servers: Vec<SocketAddr>,
    /// Least time until the next look-up.
    pub ttl_min: Duration,
    /// Greatest time until the next look-up.
    pub ttl_max: Duration,
    /// Time for which the last list is used after the name has ceased to exist.
    pub hold: Duration,
}

/// Records that name endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DnsRecords {
    /// Addresses; all endpoints have this port.
    Addresses(u16),
    /// Services (SRV), which have port, weight and priority.
    Services,
}

/// Families of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DnsFamily {
    /// Both.
    Any,
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
}

/// Reasons why a name has no endpoints now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DnsFault {
    /// No server has an answer.
    #[error("{0}")]
    Lookup(#[source] LookupFault),
    /// The name does not exist.
    #[error("the name does not exist")]
    NoName,
    /// The name exists, without records of these types.
    #[error("the name has no record of type {types}", types = .0.join(" or "))]
    NoRecord(Vec<&'static str>),
    /// Records without one that can be used; with the first reason.
    #[error("no record can be used: {0}")]
    Unusable(String),
    /// No server has had an answer for longer than `hold`.
    #[error("{0}; the last good list is older than \"hold\" ({hold} s), and stays", hold = .1.as_secs())]
    Outdated(Box<Self>, Duration),
    /// More endpoints than a list may have.
    #[error("more than {ENDPOINTS_MAX} endpoints")]
    TooMany,
}
