//! Single values of `proxy.toml`, as types.
//!
//! Each file has one kind of value: its type, a parser that explains its refusals with a
//! [`Mismatch`], and the text that it prints as. Nothing here knows of tables, files or
//! positions. Past these types no string of the configuration is checked again.

mod access_list;
pub mod address;
mod address_map;
mod api_keys;
pub mod base64url;
mod body_bound;
mod certificate_part;
pub mod cidr;
pub mod dns;
pub mod duration;
pub mod file_mode;
mod geo;
pub mod header;
pub mod hedge_after;
pub mod host;
mod htpasswd;
pub mod http_url;
mod jwks;
mod kubernetes;
pub mod media_type;
pub mod memory_limit;
pub mod name;
pub(crate) mod nearest;
pub mod origin;
pub mod pattern;
pub mod picker;
mod placeholder;
mod pool_protocol;
pub mod priority;
mod punycode;
pub mod rate;
pub mod ratio;
mod read_file;
pub mod redis_url;
pub mod retry_on;
pub mod secret;
pub mod server_url;
pub mod size;
pub mod source;
pub mod status;
pub mod template;
pub mod version;

pub use access_list::AccessList;
pub use address::{BindAddress, EndpointAddress, host_with_port};
pub use address_map::AddressMap;
pub use api_keys::ApiKeys;
pub use body_bound::BodyBound;
pub use certificate_part::CertificatePart;
pub use dns::{DnsName, NameServer};
pub use file_mode::FileMode;
pub use geo::{Asn, AsnTable, Country, CountryTable};
pub use hedge_after::{HedgeAfter, Quantile};
pub use host::HostPattern;
pub use htpasswd::{Argon2Hash, Argon2Variant, Htpasswd, HtpasswdUser, PasswordHash};
pub use http_url::HttpUrl;
pub use jwks::{EcCurve, Jwk, JwkKey, Jwks, JwtAlgorithm};
pub use kubernetes::{KubernetesName, KubernetesPort, KubernetesServices};
pub use media_type::MediaPattern;
pub use memory_limit::MemoryLimit;
pub use name::Name;
pub use origin::OriginPattern;
pub use pattern::{Pattern, ValueMatch};
pub use picker::PickerSpec;
pub use placeholder::Placeholder;
pub use pool_protocol::PoolProtocol;
pub use priority::PriorityKey;
pub use rate::{Period, Rate, RateKey};
pub use ratio::Ratio;
pub use read_file::{FileFormat, ReadFile};
pub use redis_url::RedisUrl;
pub use retry_on::{GrpcCode, RetryOn};
pub use secret::Secret;
pub use server_url::ServerUrl;
pub use size::ByteSize;
pub use source::{FieldSource, HashKey};
pub use status::StatusSet;
pub use template::{Piece, Template};

/// Reason why a text is not a valid value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Mismatch {
    /// The fault.
    pub message: String,
    /// A valid value. May be empty.
    pub expected: String,
}

impl Mismatch {
    /// Joins a fault with a valid value.
    pub fn new(message: impl Into<String>, expected: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            expected: expected.into(),
        }
    }
}
