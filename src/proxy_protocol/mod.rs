//! The PROXY protocol, versions 1 and 2: client addresses, sent before the first byte of a
//! connection.
//!
//! Pure: bytes to a [`Header`] and back. The listener reads one from trusted peers, and the
//! upstream side writes one to the endpoints of pools that are configured so. Additional fields
//! (TLVs) are ignored.
//!
//! Source: "The PROXY protocol, versions 1 & 2", W. Tarreau.

mod binary;
mod text;

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Form of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// A line of text.
    V1,
    /// The binary form.
    V2,
}

/// Header content: the connection that it stands in front of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// The connection is the sender's own, such as a health check.
    Local,
    /// The connection is relayed; its addresses are unknown or not IP addresses.
    Unknown,
    /// The connection is relayed, with these addresses.
    Ends(Ends),
}

/// The two ends of a TCP connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// The client.
    pub source: SocketAddr,
    /// Address that the client connected to.
    pub destination: SocketAddr,
}

/// The bytes are not a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a PROXY protocol header")]
pub struct Malformed;

/// Reads a header of either version from the front of `received`; returns it and its length, or
/// none while bytes are missing. Never needs more than [`HEADER_MAX`] bytes.
///
/// # Errors
/// [`Malformed`] as soon as the received bytes cannot begin a header.
pub fn parse(received: &[u8]) -> Result<Option<(Header, usize)>, Malformed> {
    match received.first() {
        None => Ok(None),
        Some(b'P') => text::parse(received),
        Some(_) => binary::parse(received),
    }
}

impl Header {
    /// Encodes the header.
    pub fn encode(&self, version: Version) -> Vec<u8> {
        match version {
            Version::V1 => text::encode(self),
            Version::V2 => binary::encode(self),
        }
    }
}

impl Ends {
    /// Returns both ends in one family, as a header requires: IPv4 in IPv6 if they differ.
    fn aligned(&self) -> Self {
        match (self.source, self.destination) {
            (SocketAddr::V4(_), SocketAddr::V4(_)) | (SocketAddr::V6(_), SocketAddr::V6(_)) => {
                *self
            }
            (source, destination) => Self {
                source: widened(source),
                destination: widened(destination),
            },
        }
    }
}

fn widened(address: SocketAddr) -> SocketAddr {
    let ip: Ipv6Addr = match address.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    SocketAddr::new(ip.into(), address.port())
}

/// Maximum length of a header: far more than the fields in use take.
pub const HEADER_MAX: usize = 4096;

#[cfg(test)]
mod tests;
