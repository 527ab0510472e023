//! Sources of endpoints, as the configuration describes them.

use super::listener::key_pair;
use crate::{
    config::schema,
    upstream::discovery::{DnsFamily, DnsRecords, DnsSpec, KubernetesSource},
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
        family: family(written.family),
        servers: written.resolvers.iter().map(|server| server.0).collect(),
        ttl_min: written.ttl.min,
        ttl_max: written.ttl.max,
        hold: written.hold,
    }
}

/// Returns the source of the endpoints of Services in Kubernetes.
pub(super) fn kubernetes(written: &schema::DiscoverKubernetes) -> KubernetesSource {
    let namespace = written.namespace.as_ref();
    KubernetesSource {
        services: written.service.names().map(str::to_owned).collect(),
        namespace: namespace.map(|name| name.as_str().to_owned()),
        port: written.port.clone(),
        family: family(written.family),
        version_label: written.version_label.clone(),
        address: written.address.clone(),
        account: written.account.clone(),
        token: written.token.clone(),
        client: written.client.as_ref().map(key_pair),
        ca: written.ca.clone(),
    }
}

fn family(written: schema::DnsFamily) -> DnsFamily {
    match written {
        schema::DnsFamily::Any => DnsFamily::Any,
        schema::DnsFamily::Ipv4 => DnsFamily::V4,
        schema::DnsFamily::Ipv6 => DnsFamily::V6,
    }
}
