//! Sources of endpoints, as the configuration describes them.

use crate::{
    config::schema,
    upstream::discovery::{DnsFamily, DnsRecords, DnsSpec},
};

/// Returns the source of a name in DNS.
pub(super) fn dns(written: &schema::DiscoverDns) -> DnsSpec {
    DnsSpec {
        name: written.name.clone(),
        records: match written.kind {
            // The check refuses a missing port.
            schema::DnsType::A => DnsRecords::Addresses(written.port.unwrap_or_default()),
            schema::DnsType::Srv => DnsRecords::Services,
        },
        family: match written.family {
            schema::DnsFamily::Any => DnsFamily::Any,
            schema::DnsFamily::Ipv4 => DnsFamily::V4,
            schema::DnsFamily::Ipv6 => DnsFamily::V6,
        },
        servers: written.resolvers.iter().map(|server| server.0).collect(),
        ttl_min: written.ttl.min,
        ttl_max: written.ttl.max,
        hold: written.hold,
    }
}
