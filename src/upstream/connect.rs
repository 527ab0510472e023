//! Opens connections to endpoints, and counts them while they live.

use std::{
    io,
    net::SocketAddr,
    path::Path,
    rc::Rc,
    sync::{Arc, atomic::Ordering},
};

use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpStream, UnixStream},
    time::Instant,
};

use super::{
    freed::Limit,
    name::{self, NameFailure},
    room::Place,
    shared::PoolShared,
};
use crate::{
    config::value::EndpointAddress, failure::Failure, socket::Stream, telemetry::metrics::Gauge,
    timer,
};

/// Metrics of one worker about the upstream connections of a pool.
#[derive(Debug)]
pub struct Connections {
    pool: Arc<PoolShared>,
    gauge: Gauge,
}

/// Counts one upstream connection of a pool; undone on drop.
#[derive(Debug)]
pub struct ConnectionGuard(Rc<Connections>);

impl Connections {
    /// Counts in the pool, and in the worker's own gauge.
    pub fn new(pool: &Arc<PoolShared>, gauge: &Gauge) -> Rc<Self> {
        Rc::new(Self {
            pool: Arc::clone(pool),
            gauge: gauge.clone(),
        })
    }

    /// Takes one of the pool's connections; none if `max` are open. 0 means no limit.
    ///
    /// The count is one padded atomic for all workers, exact, and touched only when
    /// connections open and close.
    pub fn take(self: &Rc<Self>, max: usize) -> Option<ConnectionGuard> {
        let open = self.pool.connections.fetch_add(1, Ordering::AcqRel);
        if max > 0 && open >= max {
            self.pool.connections.fetch_sub(1, Ordering::AcqRel);
            return None;
        }
        self.gauge.add(1);
        Some(ConnectionGuard(Rc::clone(self)))
    }

    /// Takes a place that another worker has given up.
    pub(super) fn take_up(self: &Rc<Self>, place: Place) -> ConnectionGuard {
        place.hand_over();
        self.gauge.add(1);
        ConnectionGuard(Rc::clone(self))
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        let Connections { pool, gauge } = &*self.0;
        gauge.add(-1);
        pool.connections.fetch_sub(1, Ordering::AcqRel);
        pool.tell_freed(Limit::Connections);
    }
}

/// Opens a stream to `address`, whose name is resolved first if it has one.
///
/// # Errors
/// The [`Failure`], a timeout included.
pub async fn connect(address: &EndpointAddress, deadline: Instant) -> Result<Stream, Failure> {
    match address {
        EndpointAddress::Socket(address) => connect_tcp(*address, deadline).await,
        EndpointAddress::Unix(path) => connect_unix(path, deadline).await,
        EndpointAddress::Name(name, port) => {
            // In memory of its own: most endpoints are given by address.
            let connected = Box::pin(name::connect(name, *port, deadline)).await;
            at_once(connected.map_err(|failure| match failure {
                NameFailure::Unknown => Failure::DnsFailed,
                NameFailure::Shortage => Failure::LimitReached,
                NameFailure::Late => Failure::DnsTimeout,
                NameFailure::Connect(error) => failure_of(&error),
                NameFailure::ConnectLate => Failure::ConnectTimeout,
            })?)
        }
    }
}

/// Sends a PROXY protocol header, before anything else is written to a new stream.
///
/// # Errors
/// The [`Failure`]; nothing of a request has been sent then.
pub async fn announce(
    stream: &mut Stream,
    header: &[u8],
    deadline: Instant,
) -> Result<(), Failure> {
    timer::until(deadline, stream.write_all(header))
        .await
        .map_err(|_| Failure::ConnectTimeout)?
        .map_err(|error| failure_of(&error))
}

async fn connect_tcp(address: SocketAddr, deadline: Instant) -> Result<Stream, Failure> {
    let stream = timer::until(deadline, TcpStream::connect(address))
        .await
        .map_err(|_| Failure::ConnectTimeout)?
        .map_err(|error| failure_of(&error))?;
    at_once(stream)
}

/// Sets `TCP_NODELAY`: without it, a small last piece of a request waits for the endpoint's delayed
/// ACK.
fn at_once(stream: TcpStream) -> Result<Stream, Failure> {
    stream
        .set_nodelay(true)
        .map_err(|error| failure_of(&error))?;
    Ok(Stream::Tcp(stream))
}

async fn connect_unix(path: &Path, deadline: Instant) -> Result<Stream, Failure> {
    let stream = timer::until(deadline, UnixStream::connect(path))
        .await
        .map_err(|_| Failure::ConnectTimeout)?
        .map_err(|error| failure_of(&error))?;
    Ok(Stream::Unix(stream))
}

/// Returns true if the proxy itself lacks a descriptor, port or memory for a socket: not a fault of
/// the endpoint.
pub(super) fn is_shortage(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let kind = error.kind();
    let code = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(
        kind,
        io::ErrorKind::AddrNotAvailable | io::ErrorKind::AddrInUse
    ) || matches!(
        code,
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM)
    )
}

fn failure_of(error: &io::Error) -> Failure {
    if is_shortage(error) {
        return Failure::LimitReached;
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => Failure::ConnectRefused,
        io::ErrorKind::TimedOut => Failure::ConnectTimeout,
        io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::NetworkDown => Failure::Unroutable,
        _ => Failure::ConnectionClosed,
    }
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn a_shortage_of_the_proxys_own_is_no_failure_of_an_endpoint() {
        let own = [
            Errno::MFILE,
            Errno::NFILE,
            Errno::NOBUFS,
            Errno::NOMEM,
            Errno::ADDRNOTAVAIL,
        ];
        for code in own {
            let failure = failure_of(&io::Error::from(code));
            assert_eq!(failure.side(), crate::failure::Side::Proxy, "{code}");
        }
        let refused = failure_of(&io::Error::from(Errno::CONNREFUSED));
        assert_eq!(refused, Failure::ConnectRefused);
    }
}
