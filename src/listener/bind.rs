//! Making listening sockets.
//!
//! TCP sockets are made once per worker, with `SO_REUSEPORT`, so that the kernel
//! spreads connections and no accept queue is shared. A unix socket has one queue,
//! which all workers take from.

use std::{
    io,
    os::unix::fs::FileTypeExt,
    path::{Path, PathBuf},
};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::state::BindAddress;

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another program has it.
    #[error("address {0} is in use; stop what listens there or choose another")]
    InUse(BindAddress),
    /// The process may not have it.
    #[error("no permission to listen on {0}; ports below 1024 need CAP_NET_BIND_SERVICE")]
    Forbidden(BindAddress),
    /// This machine does not have it.
    #[error("address {0} is not one of this machine")]
    NotLocal(BindAddress),
    /// The path of a unix socket is taken by a file of another kind.
    #[error("{} exists and is not a socket", .0.display())]
    NotASocket(PathBuf),
    /// Anything else.
    #[error("cannot listen on {address}: {source}")]
    Other {
        /// Where.
        address: BindAddress,
        /// Why.
        source: io::Error,
    },
}

/// Makes one listening socket per worker.
///
/// # Errors
/// Why the address cannot be listened on; nothing is left open then.
pub fn bind(address: &BindAddress, workers: usize) -> Result<Vec<Socket>, BindError> {
    match address {
        BindAddress::Tcp(socket) => {
            let name = SockAddr::from(*socket);
            let domain = Domain::for_address(*socket);
            // The first without SO_REUSEPORT's company tells whether another program is there:
            // a second proxy of the same user must not silently take half of the traffic.
            probe(&name, domain).map_err(|error| explain(address, error))?;
            (0..workers)
                .map(|_| listen_tcp(&name, domain))
                .collect::<io::Result<_>>()
                .map_err(|error| explain(address, error))
        }
        BindAddress::Unix(path) => {
            remove_stale(path)?;
            let open = || -> io::Result<Vec<Socket>> {
                let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
                socket.set_nonblocking(true)?;
                socket.bind(&SockAddr::unix(path)?)?;
                socket.listen(BACKLOG)?;
                (0..workers).map(|_| socket.try_clone()).collect()
            };
            open().map_err(|error| explain(address, error))
        }
    }
}

fn probe(name: &SockAddr, domain: Domain) -> io::Result<()> {
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if domain == Domain::IPV6 {
        socket.set_only_v6(true)?;
    }
    socket.bind(name)?;
    // With SO_REUSEADDR only listen() tells of another listener.
    socket.listen(1)
}

fn listen_tcp(name: &SockAddr, domain: Domain) -> io::Result<Socket> {
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    if domain == Domain::IPV6 {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    // Accepted sockets inherit it: no call of its own for each.
    socket.set_tcp_nodelay(true)?;
    socket.bind(name)?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

/// Removes a socket file that nobody listens on any more.
fn remove_stale(path: &Path) -> Result<(), BindError> {
    let Ok(kind) = std::fs::symlink_metadata(path) else {
        return Ok(());
    };
    if !kind.file_type().is_socket() {
        return Err(BindError::NotASocket(path.to_owned()));
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Err(BindError::InUse(BindAddress::Unix(path.to_owned()))),
        Err(_) => {
            // If it cannot be removed, bind says why.
            let _ = std::fs::remove_file(path);
            Ok(())
        }
    }
}

fn explain(address: &BindAddress, error: io::Error) -> BindError {
    let address = address.clone();
    match error.kind() {
        io::ErrorKind::AddrInUse => BindError::InUse(address),
        io::ErrorKind::PermissionDenied => BindError::Forbidden(address),
        io::ErrorKind::AddrNotAvailable => BindError::NotLocal(address),
        _ => BindError::Other {
            address,
            source: error,
        },
    }
}

/// Connections that the kernel keeps ready for each socket.
const BACKLOG: i32 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_in_use_is_told() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = BindAddress::Tcp(taken.local_addr().unwrap());
        let error = bind(&address, 2).unwrap_err();
        assert!(error.to_string().contains("is in use"), "{error}");
    }

    #[test]
    fn every_worker_gets_a_socket() {
        let address = BindAddress::Tcp("127.0.0.1:0".parse().unwrap());
        assert_eq!(bind(&address, 3).unwrap().len(), 3);
    }

    #[test]
    fn a_stale_unix_socket_is_replaced_and_a_file_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let address = BindAddress::Unix(path.clone());
        drop(bind(&address, 1).unwrap());
        let live = bind(&address, 1).unwrap();
        assert!(matches!(bind(&address, 1), Err(BindError::InUse(_))));
        drop(live);
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "").unwrap();
        assert!(matches!(bind(&address, 1), Err(BindError::NotASocket(_))));
    }
}
