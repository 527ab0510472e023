//! The PROXY protocol, versions 1 and 2: who the client is, said before its first byte.
//!
//! Pure: bytes to a [`Header`] and back. The listener reads one from the peers that
//! it believes, and the upstream side writes one to the endpoints of pools that ask
//! for it. Additional fields (TLVs) are passed over.
//!
//! Source: "The PROXY protocol, versions 1 & 2", W. Tarreau.

mod binary;
mod text;

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// The form in which a header is written.
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
    /// It is another's, whose addresses are not known or no IP addresses.
    Unknown,
    /// It is another's, with these addresses.
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

/// Bytes that are no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a PROXY protocol header")]
pub struct Malformed;

/// Reads a header of either version from the front of `received`: it and how many bytes it
/// takes; none while bytes are missing. Never asks for more than [`HEADER_MAX`] bytes.
///
/// # Errors
/// [`Malformed`] as soon as no header can come of what was received.
pub fn parse(received: &[u8]) -> Result<Option<(Header, usize)>, Malformed> {
    match received.first() {
        None => Ok(None),
        Some(b'P') => text::parse(received),
        Some(_) => binary::parse(received),
    }
}

impl Header {
    /// The header as it goes out.
    pub fn encode(&self, version: Version) -> Vec<u8> {
        match version {
            Version::V1 => text::encode(self),
            Version::V2 => binary::encode(self),
        }
    }
}

impl Ends {
    /// Both ends in one family, since a header has room for one: IPv4 in IPv6 if they differ.
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

/// The longest header that is read: far more than the fields in use take.
pub const HEADER_MAX: usize = 4096;

#[cfg(test)]
mod tests;
