//! Host names of endpoints: resolved beside the request path, cached, and connected to the first of
//! their addresses that answers.
//!
//! The system's own resolver (`getaddrinfo`) is used: it knows `/etc/hosts`, `/etc/resolv.conf`
//! with its search list, and other sources of the machine, and reads them again when they change.
//! It has two faults, which are kept from requests here. It blocks, up to half a minute for one
//! name, and cannot be cancelled: so it runs on threads of its own, at most
//! [`lookup::THREADS_MAX`], never more than one for a name, and nothing waits for them at the end
//! of the process. It tells no time to live: so an answer counts as fresh for [`cache::FRESH`], and
//! is used further, up to [`cache::STALE_MAX`], while the resolver fails or is late.
//!
//! [`cache`] decides, [`lookup`] resolves, [`race`] connects (RFC 8305).

mod cache;
mod lookup;
mod race;

use std::{
    net::SocketAddr,
    sync::{Arc, LazyLock},
    time::Duration,
};

use socket2::{Domain, Socket, Type};
use tokio::{
    net::TcpStream,
    time::{Instant, timeout_at},
};

use cache::Step;
use lookup::Lookups;

use super::{ConnectFault, is_shortage};

/// Connects to one of the addresses of a name.
///
/// # Errors
/// The [`ConnectFault`]. Cancel safe: a look-up continues for later requests.
pub(super) async fn connect(
    name: &Arc<str>,
    port: u16,
    deadline: Instant,
) -> Result<TcpStream, ConnectFault> {
    NAMES.connect(name, port, deadline).await
}

/// Names of the process.
static NAMES: LazyLock<Names> = LazyLock::new(|| Names(Lookups::new(lookup::system)));

/// Resolved names, and the threads that resolve them.
#[derive(Debug)]
struct Names(Arc<Lookups>);

impl Names {
    async fn connect(
        &self,
        name: &Arc<str>,
        port: u16,
        deadline: Instant,
    ) -> Result<TcpStream, ConnectFault> {
        let mut addresses = self.addresses(name, deadline).await?;
        for address in &mut addresses {
            address.set_port(port);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let mut race = race::Race::new(&addresses, left);
        let Ok(won) = timeout_at(deadline, race.run()).await else {
            self.0.cache(|cache| cache.doubt(name, Instant::now()));
            return Err(ConnectFault::ConnectLate);
        };
        let passed_over = race.passed_over();
        self.0.cache(|cache| match &won {
            Ok(_) => cache.avoid(name, passed_over, Instant::now()),
            Err(_) => cache.doubt(name, Instant::now()),
        });
        won.map_err(ConnectFault::from)
    }

    /// Returns the addresses of a name, in the order in which they should be tried.
    async fn addresses(
        &self,
        name: &Arc<str>,
        deadline: Instant,
    ) -> Result<Vec<SocketAddr>, ConnectFault> {
        let now = Instant::now();
        let (told, stale) = match self.0.ask(name, now) {
            Step::Use(addresses) => return Ok(addresses),
            Step::Failed => return Err(unknown()),
            Step::Wait { told, stale } => (told, stale),
        };
        let until = match &stale {
            Some(_) => now + PATIENCE.min(deadline.saturating_duration_since(now) / 2),
            None => deadline,
        };
        let in_time = timeout_at(until, told).await.is_ok();
        match (in_time, stale) {
            (true, stale) => {
                let found = self.0.cache(|cache| cache.found(name, Instant::now()));
                found.or(stale).ok_or_else(unknown)
            }
            (false, Some(stale)) => Ok(stale),
            (false, None) => Err(ConnectFault::Late),
        }
    }
}

/// Distinguishes a name that does not resolve from a process without descriptors: the resolver's
/// errors are the same for both.
fn unknown() -> ConnectFault {
    match Socket::new(Domain::IPV4, Type::DGRAM, None) {
        Err(error) if is_shortage(&error) => ConnectFault::Shortage,
        _ => ConnectFault::Unknown,
    }
}

/// Maximum wait for the resolver when an old answer is at hand.
const PATIENCE: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests;
