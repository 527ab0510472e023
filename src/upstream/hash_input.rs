//! The parts of a request that a key may be taken from.

use std::net::IpAddr;

use smallvec::SmallVec;

use super::endpoint::stable_hash;
use crate::{
    config::value::HashKey,
    semantics::{Headers, cookie, query},
};

/// Parts of a request that a key may be taken from.
#[derive(Clone, Copy, Debug)]
pub struct HashInput<'a> {
    /// Its header fields.
    pub headers: &'a Headers,
    /// Its path.
    pub path: &'a str,
    /// Its query.
    pub query: Option<&'a str>,
    /// Address of its client.
    pub client: IpAddr,
}

impl HashInput<'_> {
    /// Returns the hash of the key; none if the request does not have it.
    pub fn hash(&self, key: &HashKey) -> Option<u64> {
        match key {
            HashKey::ClientIp => Some(match self.client {
                IpAddr::V4(address) => stable_hash(&address.octets()),
                IpAddr::V6(address) => stable_hash(&address.octets()),
            }),
            HashKey::Header(name) => Some(stable_hash(self.headers.get(name)?.as_bytes())),
            HashKey::Cookie(name) => cookie::find(self.headers, name).map(stable_hash),
            HashKey::Query(name) => {
                let query = self.query.map(str::as_bytes);
                let value: SmallVec<[u8; 64]> = query::find(query, name)?.collect();
                Some(stable_hash(&value))
            }
            HashKey::Path => Some(stable_hash(self.path.as_bytes())),
        }
    }
}
