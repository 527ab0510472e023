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

#[cfg(test)]
mod tests {
    use hickory_proto::rr::rdata::{A, AAAA, TXT};

    use super::*;

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    #[test]
    fn addresses_that_no_server_has_are_left_out() {
        let v6 = |segments: [u16; 8]| {
            let [a, b, c, d, e, f, g, h] = segments;
            RData::AAAA(AAAA::new(a, b, c, d, e, f, g, h))
        };
        let records = [
            RData::A(A::new(10, 0, 0, 1)),
            RData::A(A::new(0, 0, 0, 0)),
            RData::A(A::new(224, 0, 0, 1)),
            RData::A(A::new(255, 255, 255, 255)),
            v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1]),
            v6([0; 8]),
            v6([0xfe80, 0, 0, 0, 0, 0, 0, 1]),
            v6([0xff02, 0, 0, 0, 0, 0, 0, 1]),
            v6([0, 0, 0, 0, 0, 0xffff, 0x0a00, 2]),
        ];
        let mut bad = Vec::new();
        let found = addresses(&records.iter().collect::<Vec<_>>(), &mut bad);
        let texts: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["10.0.0.1", "2001:db8::1", "10.0.0.2"]);
        assert_eq!(bad.len(), 6, "{bad:?}");
    }

    #[test]
    fn services_without_port_or_target_are_left_out() {
        let records = [
            RData::SRV(SRV::new(1, 2, 80, name("a.test."))),
            RData::SRV(SRV::new(1, 2, 0, name("b.test."))),
            RData::SRV(SRV::new(0, 0, 0, Name::root())),
        ];
        let mut bad = Vec::new();
        let found = services(&records.iter().collect::<Vec<_>>(), &mut bad);
        assert_eq!(found.len(), 1);
        assert_eq!(
            bad,
            ["b.test. has port 0", "the target of a record is \".\""]
        );
    }

    #[test]
    fn the_version_is_a_part_of_a_text() {
        let txt = |parts: &[&str]| {
            RData::TXT(TXT::new(parts.iter().map(|it| (*it).to_owned()).collect()))
        };
        for (records, wanted) in [
            (vec![txt(&["version=1.2.3"])], Some("1.2.3")),
            (
                vec![txt(&["v=spf1 -all"]), txt(&["a=b", "VERSION = 2"])],
                Some("2"),
            ),
            (vec![txt(&["version"]), txt(&["xversion=1"])], None),
            (vec![], None),
        ] {
            assert_eq!(version(&records).as_deref(), wanted, "{records:?}");
        }
    }

    #[test]
    fn endpoints_have_what_the_record_says_and_are_named_by_their_address() {
        let host = host(&name("A.Test."));
        let address = "10.0.0.1:80".parse().unwrap();
        let made = endpoint(address, &host, (7, 0), Some("v1.2.3"));
        assert_eq!((made.weight, made.priority), (1, 7));
        assert_eq!((&*made.label, &*made.host()), ("10.0.0.1:80", "a.test"));
        assert_eq!(made.version_label.as_deref(), Some("1.2.3"));
        let made = endpoint(address, &host, (7, 65_535), Some("blue"));
        assert_eq!(made.weight, 65_535);
        assert!(made.version.is_none());
        assert_eq!(made.labels["version"], "blue");
    }

    #[test]
    fn an_address_in_several_records_is_one_endpoint_of_the_first_priority() {
        let host: Arc<str> = "a.test".into();
        let made = |address: &str, rank| endpoint(address.parse().unwrap(), &host, rank, None);
        let all = [
            made("10.0.0.2:80", (1, 9)),
            made("10.0.0.1:80", (2, 9)),
            made("10.0.0.1:80", (1, 3)),
            made("10.0.0.1:80", (1, 5)),
        ];
        let mut other = all.to_vec();
        other.reverse();
        let texts = |all: Vec<Endpoint>| -> Vec<String> {
            let all = all.iter();
            all.map(|it| format!("{} {} {}", it.label, it.priority, it.weight))
                .collect()
        };
        let wanted = ["10.0.0.2:80 1 9", "10.0.0.1:80 1 5"];
        assert_eq!(texts(sorted(all.to_vec())), wanted);
        assert_eq!(
            texts(sorted(other)),
            wanted,
            "whatever the order of the answer"
        );
    }
}
