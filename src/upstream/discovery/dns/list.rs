//! Endpoints made of records (RFC 2782 for services).
//!
//! Pure.

use std::{
    collections::{BTreeMap, HashSet},
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use hickory_proto::rr::{Name, RData, rdata::SRV};

use crate::{config::value::EndpointAddress, upstream::endpoint::Endpoint};

/// Returns the addresses that can be connected to, and adds the others to `bad`.
pub(super) fn addresses(records: &[&RData], bad: &mut Vec<String>) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for address in records.iter().filter_map(|record| record.ip_addr()) {
        let address = address.to_canonical();
        let is_one = match address {
            IpAddr::V4(v4) => !v4.is_unspecified() && !v4.is_multicast() && !v4.is_broadcast(),
            // One of a link would need the name of the link.
            IpAddr::V6(v6) => {
                !v6.is_unspecified() && !v6.is_multicast() && !v6.is_unicast_link_local()
            }
        };
        if is_one {
            found.push(address);
        } else {
            bad.push(format!("{address} is no address of a server"));
        }
    }
    found
}

/// Returns the services among records, and adds those without a port to `bad`. The target `.` says
/// that the service is not offered.
pub(super) fn services<'a>(records: &[&'a RData], bad: &mut Vec<String>) -> Vec<&'a SRV> {
    let mut found = Vec::new();
    for record in records {
        let RData::SRV(service) = record else {
            continue;
        };
        if service.target.is_root() {
            bad.push("the target of a record is \".\"".to_owned());
        } else if service.port == 0 {
            bad.push(format!("{} has port 0", service.target));
        } else {
            found.push(service);
        }
    }
    found
}

/// Returns the version that TXT records give as `version=…`.
pub(super) fn version(records: &[RData]) -> Option<String> {
    let texts = records.iter().filter_map(|record| match record {
        RData::TXT(txt) => Some(&txt.txt_data),
        _ => None,
    });
    let mut parts = texts.flat_map(|parts| parts.iter());
    parts.find_map(|part| {
        let text = std::str::from_utf8(part).ok()?;
        let (key, version) = text.split_once('=')?;
        let is_version = key.trim().eq_ignore_ascii_case("version");
        is_version.then(|| version.trim().to_owned())
    })
}

/// Makes an endpoint. A version that is not a semantic version is a label.
pub(super) fn endpoint(
    address: SocketAddr,
    host: &Arc<str>,
    (priority, weight): (u16, u16),
    version: Option<&str>,
) -> Endpoint {
    let parsed = version.and_then(|text| text.strip_prefix('v').unwrap_or(text).parse().ok());
    let mut labels = BTreeMap::new();
    if let (Some(text), None) = (version, &parsed) {
        labels.insert("version".to_owned(), text.to_owned());
    }
    Endpoint {
        priority: priority.into(),
        // In RFC 2782, 0 is chosen once in so many times as the sum of the weights, and one more.
        weight: u32::from(weight).max(1),
        labels,
        host: Some(Arc::clone(host)),
        ..Endpoint::new(EndpointAddress::Socket(address), parsed)
    }
}

/// Brings endpoints into an order that does not depend on that of the answers. Of those with the
/// same address the first by priority, then the heaviest, stays.
pub(super) fn sorted(mut endpoints: Vec<Endpoint>) -> Vec<Endpoint> {
    let address = |it: &Endpoint| it.address.clone();
    endpoints.sort_by_key(|it| (it.priority, u32::MAX - it.weight, address(it)));
    let mut seen = HashSet::with_capacity(endpoints.len());
    endpoints.retain(|it| seen.insert(Arc::clone(&it.label)));
    endpoints
}

/// Returns a name as certificates have it: without the final dot.
pub(super) fn host(name: &Name) -> Arc<str> {
    let text = name.to_ascii().to_ascii_lowercase();
    text.trim_end_matches('.').into()
}
