//! Addresses of listening sockets.

use std::{fmt, net::SocketAddr, path::PathBuf};

/// Where a listener listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BindAddress {
    /// TCP.
    Tcp(SocketAddr),
    /// A unix socket.
    Unix(PathBuf),
}

impl BindAddress {
    /// Whether a socket at this address is in the way of one at the other.
    pub fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Tcp(one), Self::Tcp(two)) => {
                let any = one.ip().is_unspecified() || two.ip().is_unspecified();
                one.port() == two.port() && (any || one.ip() == two.ip())
            }
            _ => self == other,
        }
    }
}

impl fmt::Display for BindAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}
