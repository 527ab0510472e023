//! One entry of `endpoints`: an address, or a table with more about it.

use std::collections::BTreeMap;

use crate::config::setting::{Node, Reader, Setting, Spans, elsewhere::is_elsewhere, table};
use crate::config::value::EndpointAddress;

table! {
    /// One address of a pool.
    pub struct Endpoint {
        /// Address: `"ip:port"`, `"name:port"` or `"unix:path"`. With the name of the pool it is the identity of the endpoint. Names are looked up by the system's resolver, at most once in 5 s; while the resolver fails or is late, the last answer is used for up to 1 h. Of several addresses the next is tried after 250 ms of silence (RFC 8305).
        pub address: EndpointAddress,
        /// Share of the traffic relative to the others, 0 to 1000000. 0: no new traffic.
        pub weight: u32 = 1,
        /// Version of the service that runs there.
        pub version: Option<semver::Version> = None,
        /// Zone that it is in.
        pub zone: Option<String> = None,
        /// Level of preference: higher numbers are used only when lower ones cannot serve.
        pub priority: u32 = 0,
        /// Free labels, shown by the admin API.
        pub labels: BTreeMap<String, String> = BTreeMap::new(),
    }
    short { "address", "\"127.0.0.1:9001\"" => read_short }
}

impl Endpoint {
    /// Makes an endpoint of which nothing but the address is known.
    pub fn at(address: EndpointAddress) -> Self {
        Self {
            address,
            weight: 1,
            version: None,
            zone: None,
            priority: 0,
            labels: BTreeMap::new(),
            spans: Spans::default(),
        }
    }
}

fn read_short(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Option<Endpoint>> {
    if node.text().is_none() && !is_elsewhere(node) {
        return None;
    }
    let address = EndpointAddress::read(node, reader);
    Some(address.map(|address| Endpoint {
        spans: Spans::at(node.span),
        ..Endpoint::at(address)
    }))
}
