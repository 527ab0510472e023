//! Close of a listening socket: no new connection enters its queue, and those in it are still
//! accepted.
//!
//! The kernel resets the connections in the queue of a socket that closes. A unix socket can be
//! shut for new connections at once, and then be emptied; for TCP the first packet of a handshake
//! is dropped, and handshakes under way must be waited for.

use std::io;

use rustix::fd::AsFd;
use socket2::{SockAddr, SockFilter, SockRef, Socket};

/// Makes the kernel refuse new connections to a unix socket; those in the queue stay.
///
/// # Errors
/// The error of the system.
pub fn shut_unix(listener: &impl AsFd) -> io::Result<()> {
    SockRef::from(listener).shutdown(std::net::Shutdown::Read)
}

/// Makes the kernel ignore new SYNs of a TCP socket, so that no connection is completed only to be
/// reset.
///
/// # Errors
/// The error of the system.
pub fn shut_tcp(listener: &impl AsFd) -> io::Result<()> {
    // Classic BPF over the TCP header: byte 13 has the flags; SYN without ACK is dropped.
    let filter = [
        SockFilter::new(0x30, 0, 0, 13),
        SockFilter::new(0x54, 0, 0, 0x12),
        SockFilter::new(0x15, 0, 1, 0x02),
        SockFilter::new(0x06, 0, 0, 0),
        SockFilter::new(0x06, 0, 0, u32::MAX),
    ];
    SockRef::from(listener).attach_filter(&filter)
}

/// Accepts a connection from the queue of a non-blocking socket, if there is one.
///
/// # Errors
/// The error of the system, such as a lack of descriptors.
pub fn take_waiting(listener: &impl AsFd) -> io::Result<Option<(Socket, SockAddr)>> {
    loop {
        match SockRef::from(listener).accept() {
            Ok((socket, peer)) => {
                socket.set_nonblocking(true)?;
                return Ok(Some((socket, peer)));
            }
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock => return Ok(None),
                // The client left while it waited.
                io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted => {}
                _ => return Err(error),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;

    #[test]
    fn a_unix_socket_that_is_shut_refuses_and_is_emptied() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        listener.set_nonblocking(true).unwrap();
        let _waiting = [(); 3].map(|()| UnixStream::connect(&path).unwrap());
        shut_unix(&listener).unwrap();
        let error = UnixStream::connect(&path).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        let mut taken = 0;
        while take_waiting(&listener).unwrap().is_some() {
            taken += 1;
        }
        assert_eq!(taken, 3);
    }
}
