//! Keys of programs.
//!
//! Keys are kept as hashes. A key is looked up by a hash of its hash with a secret of the process:
//! the time of a look-up says nothing about the keys in the file.

use std::{collections::HashMap, fmt, sync::Arc};

use aws_lc_rs::{
    digest::{SHA256, digest},
    hmac,
};
use http::HeaderValue;

use super::{
    Asked,
    credentials::{Credentials, Found},
    denial::Denial,
};
use crate::{config::value::ApiKeys, exchange::Request};

/// Checks the key of a program.
#[derive(Debug)]
pub struct ApiKeyAuth {
    /// The keys.
    pub keys: KeyRing,
    /// Place of the key.
    pub credentials: Credentials,
    /// True if the endpoint gets the key.
    pub keep: bool,
    /// Value of `WWW-Authenticate`.
    pub challenge: HeaderValue,
}

/// Names of keys, by keyed hashes.
pub struct KeyRing {
    secret: hmac::Key,
    names: HashMap<[u8; 32], Arc<str>>,
}

impl KeyRing {
    /// Takes over the keys of a file.
    pub fn new(keys: &ApiKeys) -> Self {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, &rand::random::<[u8; 32]>());
        let names = keys
            .iter()
            .map(|(hash, name)| (sealed(&secret, hash), name.into()));
        let names = names.collect();
        Self { secret, names }
    }

    /// Returns the name of a key.
    fn name_of(&self, key: &[u8]) -> Option<&Arc<str>> {
        let hash = digest(&SHA256, key);
        self.names.get(&sealed(&self.secret, hash.as_ref()))
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyRing({})", self.names.len())
    }
}

fn sealed(secret: &hmac::Key, hash: &[u8]) -> [u8; 32] {
    let mut sealed = [0; 32];
    sealed.copy_from_slice(hmac::sign(secret, hash).as_ref());
    sealed
}

impl ApiKeyAuth {
    pub(super) fn ask(&self, request: &Request) -> Asked {
        let denied = |detail: &str| Asked::Denied(Denial::unauthorized(&self.challenge, detail));
        let found = match self.credentials.find(request) {
            Found::Nothing => return denied("api_key: the request has no key"),
            Found::Several => return denied("api_key: the request has several keys"),
            Found::One(found) => found,
        };
        let key = if self.credentials == Credentials::AUTHORIZATION {
            match super::basic::after_scheme(&found, b"bearer") {
                Some(key) => key,
                None => return denied("api_key: Authorization is not of the scheme Bearer"),
            }
        } else {
            &*found
        };
        match self.keys.name_of(key) {
            Some(name) => Asked::named(Some((**name).into())),
            None => denied("api_key: the key is not known"),
        }
    }
}
