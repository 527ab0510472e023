//! One address of a pool, as the configuration gives it.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use semver::Version;

use crate::config::value::EndpointAddress;

/// One endpoint of a pool; its identity is the pool with the address.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    /// Address that it listens on.
    pub address: EndpointAddress,
    /// The address as text: in logs, metrics and the admin API.
    pub label: Arc<str>,
    /// Share of the traffic; 0 takes none.
    pub weight: u32,
    /// The version of the service that runs there.
    pub version: Option<Version>,
    /// The version as text.
    pub version_label: Option<Arc<str>>,
    /// The zone it is in.
    pub zone: Option<Arc<str>>,
    /// Lower is preferred; a higher number is a reserve.
    pub priority: u32,
    /// Free labels of the operator.
    pub labels: BTreeMap<String, String>,
    /// Name that led to the address: verified with TLS, and sent as Host by checks. None: the
    /// address has it.
    pub host: Option<Arc<str>>,
    /// Status in the registry that it is from.
    pub standing: Standing,
}

/// Status of an endpoint in a registry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// It may serve.
    #[default]
    Up,
    /// It is not to serve, for this reason in the words of the registry: it is drained.
    Down(Arc<str>),
    /// It ends, as its registry has announced in these words: it is drained, and that many do so at
    /// once is no fault of the registry.
    Leaving(Arc<str>),
}

impl Endpoint {
    /// Makes an endpoint of weight 1 and priority 0, without other properties.
    pub fn new(address: EndpointAddress, version: Option<Version>) -> Self {
        Self {
            label: address.to_string().into(),
            address,
            weight: 1,
            version_label: version.as_ref().map(|it| it.to_string().into()),
            version,
            zone: None,
            priority: 0,
            labels: BTreeMap::new(),
            host: None,
            standing: Standing::Up,
        }
    }

    /// The name or IP address that a certificate of the endpoint is for; empty for a Unix socket.
    pub fn host(&self) -> Cow<'_, str> {
        match &self.host {
            Some(host) => Cow::Borrowed(host),
            None => self.address.host(),
        }
    }

    /// Returns the weight for new traffic: 0 while its registry says that it is down.
    pub fn share(&self) -> u32 {
        match self.standing {
            Standing::Up => self.weight,
            Standing::Down(_) | Standing::Leaving(_) => 0,
        }
    }

    /// Returns true unless its registry says that it is down.
    pub fn is_up(&self) -> bool {
        self.standing == Standing::Up
    }

    /// Returns a hash of the address that is the same in every process and after every reload.
    pub fn key(&self) -> u64 {
        stable_hash(self.label.as_bytes())
    }
}

/// FNV-1a with a final mix: the same everywhere and in all versions, so that hashing pickers of a
/// fleet agree.
pub fn stable_hash(bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in bytes {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    // The finaliser of MurmurHash3: FNV alone leaves the upper bits poorly mixed.
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}
