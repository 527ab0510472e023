//! A reserved port of the loopback address.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

/// A port chosen by the system. While this lives, no other program gets it, and connections are
/// refused while nothing listens.
#[derive(Debug)]
pub(super) struct Port {
    address: SocketAddr,
    _held: Socket,
}

impl Port {
    /// Reserves a free one.
    pub(super) fn take() -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
        socket.bind(&SockAddr::from(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))))?;
        // Only now: set before, the system could choose a port that another one shares.
        // It lets the listener of this program bind beside this socket, which never listens.
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
        let address = socket.local_addr()?;
        let address = address
            .as_socket()
            .ok_or_else(|| io::Error::other("a TCP socket without a TCP address"))?;
        Ok(Self {
            address,
            _held: socket,
        })
    }

    /// The address with that port.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_port_is_refused_until_we_listen_and_again_after() {
        let port = Port::take().unwrap();
        let refused = || TcpStream::connect(port.address()).unwrap_err().kind();
        assert_eq!(refused(), io::ErrorKind::ConnectionRefused);
        for _ in 0..2 {
            let listener = TcpListener::bind(port.address()).unwrap();
            TcpStream::connect(port.address()).unwrap();
            drop(listener);
            assert_eq!(refused(), io::ErrorKind::ConnectionRefused);
        }
    }
}
