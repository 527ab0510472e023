//! Checks of `discover`.

use std::time::Duration;

use super::Check;
use crate::config::schema::{Discover, DiscoverDns, DiscoverSource, DnsType};

pub(super) fn check(check: &mut Check<'_>, place: &str, discover: &Discover) {
    match &discover.source {
        DiscoverSource::File(_) => {}
        DiscoverSource::Etcd(etcd) => super::etcd::check(check, &format!("{place}.etcd"), etcd),
        DiscoverSource::Consul(consul) => {
            super::registry::check_consul(check, &format!("{place}.consul"), consul);
        }
        DiscoverSource::Eureka(eureka) => {
            super::registry::check_eureka(check, &format!("{place}.eureka"), eureka);
        }
        DiscoverSource::Http(http) => {
            super::registry::check_http(check, &format!("{place}.http"), http);
        }
        DiscoverSource::ZooKeeper(zookeeper) => {
            super::zookeeper::check(check, &format!("{place}.zookeeper"), zookeeper);
        }
        DiscoverSource::Kubernetes(kubernetes) => {
            super::kubernetes::check(check, &format!("{place}.kubernetes"), kubernetes);
        }
        DiscoverSource::Dns(dns) => check_dns(check, &format!("{place}.dns"), dns),
    }
}

fn check_dns(check: &mut Check<'_>, place: &str, dns: &DiscoverDns) {
    match (dns.kind, dns.port) {
        (DnsType::A, None) => {
            let message = format!("[{place}] has no \"port\", and addresses have none");
            let hint = "add port = 8080, or type = \"srv\" if SRV records name the ports";
            check.error(dns.spans.anchor(), message, hint);
        }
        (DnsType::A, Some(0)) => {
            let message = format!("{place}.port cannot be 0");
            check.error(dns.spans.of("port"), message, "allowed: 1 to 65535");
        }
        (DnsType::Srv, Some(_)) => {
            let message = format!("{place}.port has no meaning: SRV records have ports");
            check.error(dns.spans.of("port"), message, "leave it out");
        }
        (DnsType::A, Some(_)) | (DnsType::Srv, None) => {}
    }
    if dns.resolvers.len() > SERVERS_MAX {
        let message = format!("{place}.resolvers has {} servers", dns.resolvers.len());
        let hint = format!("at most {SERVERS_MAX}");
        check.error(dns.spans.of("resolvers"), message, hint);
    }
    let ttl = &dns.ttl;
    if ttl.min < TTL_MIN {
        let message = format!("{place}.ttl.min is too short");
        check.error(ttl.spans.of("min"), message, "at least \"100ms\"");
    } else if ttl.max < ttl.min {
        let message = format!("{place}.ttl.max is less than {place}.ttl.min");
        let hint = "the least time comes in \"min\", 1s by default";
        check.error(ttl.spans.of("max"), message, hint);
    }
}

const SERVERS_MAX: usize = 8;
/// Least time between two look-ups.
const TTL_MIN: Duration = Duration::from_millis(100);
