//! Creation of listening sockets.
//!
//! TCP sockets are made once per worker, with `SO_REUSEPORT`, so that the kernel spreads
//! connections and no accept queue is shared. A unix socket has one queue, which all workers use.

use std::{
    io,
    net::{Ipv6Addr, SocketAddr},
    path::PathBuf,
};

use socket2::{Domain, Protocol, Socket, Type};

use super::file::{self, SocketFile};
use crate::config::value::{BindAddress, FileMode};

/// Reasons why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another program uses it.
    #[error("address {0} is in use; stop what listens there or choose another")]
    InUse(BindAddress),
    /// Another program uses the UDP port that HTTP/3 needs.
    #[error(
        "UDP {0} is in use, and HTTP/3 needs it; stop what listens there, choose another address, or take \"h3\" out of protocols"
    )]
    UdpInUse(SocketAddr),
    /// Another program uses its port, for IPv4 only.
    #[error("port {} is in use for IPv4; stop what listens there, or leave IPv4 to it with ipv6_only = true", .0.port())]
    Ipv4InUse(SocketAddr),
    /// The process has no permission for it.
    #[error("no permission to listen on {0}; ports below 1024 need CAP_NET_BIND_SERVICE")]
    Forbidden(BindAddress),
    /// It is not an address of this machine.
    #[error("address {0} is not one of this machine")]
    NotLocal(BindAddress),
    /// The path of a unix socket is taken by a file of another kind.
    #[error("{} exists and is not a socket", .0.display())]
    NotASocket(PathBuf),
    /// A socket file exists, and it is unknown whether a process listens on it.
    #[error("{} is a socket that cannot be connected to ({source}); if nobody listens there, remove it", path.display())]
    Unknown {
        /// The path.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Any other error.
    #[error("cannot listen on {address}: {source}")]
    Other {
        /// The address.
        address: BindAddress,
        /// The cause.
        source: io::Error,
    },
}

impl From<BindError> for io::Error {
    fn from(error: BindError) -> Self {
        let kind = match error {
            BindError::InUse(_) | BindError::UdpInUse(_) | BindError::Ipv4InUse(_) => {
                io::ErrorKind::AddrInUse
            }
            BindError::NotASocket(_) => io::ErrorKind::AlreadyExists,
            BindError::Forbidden(_) => io::ErrorKind::PermissionDenied,
            BindError::NotLocal(_) => io::ErrorKind::AddrNotAvailable,
            BindError::Unknown { ref source, .. } | BindError::Other { ref source, .. } => {
                source.kind()
            }
        };
        Self::new(kind, error)
    }
}

/// Options of a listening socket.
#[derive(Clone, Copy, Debug, Default)]
pub struct BindOptions {
    /// True if `[::]` does not accept IPv4.
    pub ipv6_only: bool,
    /// Access mode of a unix socket; none: set by the umask.
    pub mode: Option<FileMode>,
}

/// Listening sockets of one address.
#[derive(Debug)]
pub struct Bound {
    /// One for each worker, or more if they were passed on.
    pub sockets: Vec<Socket>,
    /// Address that they listen on; for port 0, with the port assigned.
    pub address: BindAddress,
    /// File of a unix socket, if this process made it. Removed on drop.
    pub file: Option<SocketFile>,
}

/// Makes one listening socket per worker. `ours` are addresses that this process already listens
/// on.
///
/// # Errors
/// The reason why the address cannot be listened on; no socket is left open.
pub fn bind(
    address: &BindAddress,
    options: BindOptions,
    ours: &[&BindAddress],
    workers: usize,
) -> Result<Bound, BindError> {
    match address {
        BindAddress::Tcp(tcp) => {
            let shared = ours.iter().any(|other| other.overlaps(address));
            bind_tcp(*tcp, options, shared, workers).map_err(|error| {
                let in_use = error.kind() == io::ErrorKind::AddrInUse;
                let alone = BindOptions {
                    ipv6_only: true,
                    ..options
                };
                if in_use && takes_both(*tcp, options) && try_alone(*tcp, alone).is_ok() {
                    return BindError::Ipv4InUse(*tcp);
                }
                explain(address, error)
            })
        }
        BindAddress::Unix(path) => {
            file::clear(path)?;
            let open = || -> io::Result<Bound> {
                let (socket, file) = SocketFile::listen(path, options.mode, BACKLOG)?;
                Ok(Bound {
                    sockets: (0..workers)
                        .map(|_| socket.try_clone())
                        .collect::<io::Result<_>>()?,
                    address: address.clone(),
                    file: Some(file),
                })
            };
            open().map_err(|error| explain(address, error))
        }
    }
}

/// Makes one UDP socket per worker, at an address that a listener has for TCP. With `shared` other
/// sockets of the proxy may be in the way: those of connections that have not ended, or of another
/// address with this port.
///
/// # Errors
/// The reason why the address cannot be used; no socket is left open.
pub fn bind_udp(
    address: SocketAddr,
    options: BindOptions,
    shared: bool,
    workers: usize,
) -> Result<Vec<Socket>, BindError> {
    let open = || -> io::Result<Vec<Socket>> {
        // As over TCP: a second proxy must not silently take half of the datagrams.
        if !shared {
            open_udp(address, options)?.bind(&address.into())?;
        }
        let sockets = (0..workers).map(|_| {
            let socket = open_udp(address, options)?;
            socket.set_reuse_port(true)?;
            socket.bind(&address.into())?;
            Ok(socket)
        });
        sockets.collect()
    };
    open().map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => BindError::UdpInUse(address),
        _ => explain(&BindAddress::Tcp(address), error),
    })
}

fn open_udp(address: SocketAddr, options: BindOptions) -> io::Result<Socket> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    if domain == Domain::IPV6 {
        socket.set_only_v6(!takes_both(address, options))?;
    }
    socket.set_nonblocking(true)?;
    // As much as the system allows: a burst of many clients must fit.
    let _ = socket.set_recv_buffer_size(UDP_BUFFER);
    let _ = socket.set_send_buffer_size(UDP_BUFFER);
    Ok(socket)
}

fn bind_tcp(
    wanted: SocketAddr,
    options: BindOptions,
    shared: bool,
    workers: usize,
) -> io::Result<Bound> {
    // A socket without SO_REUSEPORT tells whether another program is there: a second proxy of
    // the same user must not silently take half of the traffic. Where sockets of this process
    // are in the way, theirs has told.
    if wanted.port() != 0 && !shared {
        try_alone(wanted, options)?;
    }
    let mut at = wanted;
    let mut sockets = Vec::with_capacity(workers);
    for _ in 0..workers {
        let socket = listen_tcp(at, options)?;
        // The port that the first was given is that of all.
        if at.port() == 0
            && let Some(given) = socket.local_addr()?.as_socket()
        {
            at.set_port(given.port());
        }
        sockets.push(socket);
    }
    Ok(Bound {
        sockets,
        address: BindAddress::Tcp(at),
        file: None,
    })
}

fn try_alone(address: SocketAddr, options: BindOptions) -> io::Result<()> {
    let socket = open_tcp(address, options)?;
    socket.bind(&address.into())?;
    // With SO_REUSEADDR only listen() tells of another listener.
    socket.listen(1)
}

pub(super) fn listen_tcp(address: SocketAddr, options: BindOptions) -> io::Result<Socket> {
    let socket = open_tcp(address, options)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    // Accepted sockets inherit it: no call of its own for each.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

fn open_tcp(address: SocketAddr, options: BindOptions) -> io::Result<Socket> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if domain == Domain::IPV6 {
        // Said in any case: the system's default differs from machine to machine.
        socket.set_only_v6(!takes_both(address, options))?;
    }
    Ok(socket)
}

/// Returns true if clients of both families are accepted.
fn takes_both(address: SocketAddr, options: BindOptions) -> bool {
    address.ip() == Ipv6Addr::UNSPECIFIED && !options.ipv6_only
}

pub(super) fn explain(address: &BindAddress, error: io::Error) -> BindError {
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

/// Bytes of datagrams that wait in the kernel, in either direction.
const UDP_BUFFER: usize = 2 * 1024 * 1024;
/// Length of the accept queue of each socket.
const BACKLOG: i32 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(text: &str) -> BindAddress {
        BindAddress::Tcp(text.parse().unwrap())
    }

    fn bound(address: &BindAddress, ours: &[&BindAddress]) -> Result<Bound, BindError> {
        bind(address, BindOptions::default(), ours, 2)
    }

    #[test]
    fn an_address_in_use_is_told() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = bound(&tcp(&format!("127.0.0.1:{port}")), &[]).unwrap_err();
        assert!(error.to_string().contains("is in use"), "{error}");
        let error = bound(&tcp(&format!("0.0.0.0:{port}")), &[]).unwrap_err();
        assert!(error.to_string().contains("is in use"), "{error}");
        let error = bound(&tcp(&format!("[::]:{port}")), &[]).unwrap_err();
        assert!(error.to_string().contains("ipv6_only = true"), "{error}");
    }

    #[test]
    fn another_proxy_of_the_same_user_is_told() {
        let first = bound(&tcp("127.0.0.1:0"), &[]).unwrap();
        assert!(matches!(
            bound(&first.address, &[]),
            Err(BindError::InUse(_))
        ));
    }

    #[test]
    fn all_workers_share_the_port_that_was_given() {
        let bound = bound(&tcp("127.0.0.1:0"), &[]).unwrap();
        let ports: Vec<_> = bound
            .sockets
            .iter()
            .map(|socket| BindAddress::Tcp(socket.local_addr().unwrap().as_socket().unwrap()))
            .collect();
        assert_eq!(ports, [bound.address.clone(), bound.address]);
    }

    #[test]
    fn addresses_of_this_process_are_no_hindrance() {
        let narrow = bound(&tcp("127.0.0.1:0"), &[]).unwrap();
        let BindAddress::Tcp(address) = narrow.address else {
            unreachable!()
        };
        let port = address.port();
        let wide = tcp(&format!("0.0.0.0:{port}"));
        let dual = tcp(&format!("[::]:{port}"));
        assert!(matches!(bound(&wide, &[]), Err(BindError::InUse(_))));
        let ours = [&narrow.address];
        let _wide = bound(&wide, &ours).unwrap();
        bound(&dual, &ours).unwrap();
    }

    #[test]
    fn udp_in_use_is_told_as_such_and_addresses_of_this_process_are_no_hindrance() {
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let narrow = bind_udp(any, BindOptions::default(), true, 1).unwrap();
        let at = narrow[0].local_addr().unwrap().as_socket().unwrap();
        for wide in ["0.0.0.0", "[::]"] {
            let wide: SocketAddr = format!("{wide}:{}", at.port()).parse().unwrap();
            let error = bind_udp(wide, BindOptions::default(), false, 2).unwrap_err();
            assert!(
                error
                    .to_string()
                    .starts_with(&format!("UDP {wide} is in use")),
                "{error}"
            );
            bind_udp(wide, BindOptions::default(), true, 2).unwrap();
        }
    }

    #[test]
    fn a_stale_unix_socket_is_replaced_and_a_file_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let address = BindAddress::Unix(path.clone());
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let live = bound(&address, &[]).unwrap();
        assert!(matches!(bound(&address, &[]), Err(BindError::InUse(_))));
        drop(live);
        assert!(!path.exists());
        std::fs::write(&path, "").unwrap();
        assert!(matches!(
            bound(&address, &[]),
            Err(BindError::NotASocket(_))
        ));
    }
}
