//! Opens connections to endpoints, and counts them while they live.

use std::{
    io,
    rc::Rc,
    sync::{Arc, atomic::Ordering},
};

use tokio::{io::AsyncWriteExt as _, time::Instant};

use super::{endpoint_metrics::EndpointMetrics, freed::Limit, room::Place, shared::PoolShared};
use crate::{
    config::value::EndpointAddress,
    dial::{ConnectFault, dial, is_shortage},
    failure::Failure,
    socket::Stream,
    telemetry::metrics::Gauge,
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
pub struct ConnectionGuard {
    pool: Rc<Connections>,
    /// Endpoint that it leads to, once it is open.
    endpoint: Option<Rc<EndpointMetrics>>,
}

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
        Some(ConnectionGuard::new(self))
    }

    /// Takes a place that another worker has given up.
    pub(super) fn take_up(self: &Rc<Self>, place: Place) -> ConnectionGuard {
        place.hand_over();
        self.gauge.add(1);
        ConnectionGuard::new(self)
    }
}

impl ConnectionGuard {
    fn new(pool: &Rc<Connections>) -> Self {
        Self {
            pool: Rc::clone(pool),
            endpoint: None,
        }
    }

    /// The connection is open; it is counted for its endpoint from now on.
    pub(super) fn opened(&mut self, endpoint: &Rc<EndpointMetrics>) {
        endpoint.connections.inc();
        self.endpoint = Some(Rc::clone(endpoint));
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        if let Some(endpoint) = &self.endpoint {
            endpoint.connections.dec();
        }
        let Connections { pool, gauge } = &*self.pool;
        gauge.add(-1);
        pool.connections.fetch_sub(1, Ordering::AcqRel);
        pool.tell_freed(Limit::Connections);
    }
}

/// Opens a stream to `address`; resolves its name first if it has one.
///
/// # Errors
/// The [`Failure`], a timeout included.
pub async fn connect(address: &EndpointAddress, deadline: Instant) -> Result<Stream, Failure> {
    let opened = match address {
        // Limits itself, so that it can tell who was late.
        EndpointAddress::Name(..) => dial(address, deadline).await,
        EndpointAddress::Socket(_) | EndpointAddress::Unix(_) => {
            let dialled = timer::until(deadline, dial(address, deadline)).await;
            dialled.map_err(|_| Failure::ConnectTimeout)?
        }
    };
    opened.map(Stream::from).map_err(|fault| match fault {
        ConnectFault::Unknown => Failure::DnsFailed,
        ConnectFault::Shortage => Failure::LimitReached,
        ConnectFault::Late => Failure::DnsTimeout,
        ConnectFault::Connect(error) => failure_of(&error),
        ConnectFault::ConnectLate => Failure::ConnectTimeout,
    })
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
