//! Rate of requests to the admin API, by address of the client.
//!
//! A client that asks in a loop must not keep control busy. The figures are far above what people,
//! scrapers and dashboards need. Bounded: addresses beyond the maximum share one bucket.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

use super::auth::Peer;

/// The buckets of all clients.
#[derive(Default)]
pub(super) struct Rates {
    buckets: Mutex<HashMap<Client, Bucket>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Client {
    Unix,
    Address(IpAddr),
    /// Those for whom there is no room.
    Others,
}

struct Bucket {
    /// Requests that may still come at once.
    left: f64,
    at: Instant,
}

impl Rates {
    /// Returns true if the client may ask now, and counts its request.
    pub(super) fn admit(&self, peer: Peer, now: Instant) -> bool {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let mut client = match peer {
            Peer::Unix => Client::Unix,
            Peer::Tcp(address) => Client::Address(address.ip().to_canonical()),
        };
        if buckets.len() >= CLIENTS_MAX && !buckets.contains_key(&client) {
            // A full bucket is as good as none.
            buckets.retain(|_, bucket| bucket.filled(now) < BURST);
            if buckets.len() >= CLIENTS_MAX {
                client = Client::Others;
            }
        }
        let bucket = buckets.entry(client).or_insert(Bucket {
            left: BURST,
            at: now,
        });
        bucket.left = bucket.filled(now);
        bucket.at = now;
        let may = bucket.left >= 1.0;
        if may {
            bucket.left -= 1.0;
        }
        may
    }
}

impl Bucket {
    fn filled(&self, now: Instant) -> f64 {
        let seconds = now.saturating_duration_since(self.at).as_secs_f64();
        (self.left + seconds * PER_SECOND).min(BURST)
    }
}

/// Requests a second of one address.
const PER_SECOND: f64 = 500.0;

/// Requests at once of one address.
const BURST: f64 = 1000.0;

/// Maximum number of addresses with a bucket of their own.
const CLIENTS_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn peer(last: u32) -> Peer {
        Peer::Tcp((std::net::Ipv4Addr::from(last), 1).into())
    }

    #[test]
    fn one_client_that_asks_in_a_loop_is_refused_and_others_are_not() {
        let (rates, now) = (Rates::default(), Instant::now());
        let admitted = (0..5000).filter(|_| rates.admit(peer(1), now)).count();
        assert_eq!(admitted, 1000);
        assert!(rates.admit(peer(2), now));
        assert!(rates.admit(Peer::Unix, now));
        let later = now + Duration::from_secs(1);
        let admitted = (0..5000).filter(|_| rates.admit(peer(1), later)).count();
        assert_eq!(admitted, 500);
    }

    #[test]
    fn many_addresses_take_no_more_memory() {
        let (rates, now) = (Rates::default(), Instant::now());
        for address in 0..100_000 {
            rates.admit(peer(address), now);
        }
        assert!(rates.buckets.lock().unwrap().len() <= CLIENTS_MAX + 1);
        let later = now + Duration::from_secs(60);
        assert!(rates.admit(peer(7_000_000), later));
        assert!(rates.buckets.lock().unwrap().len() < 10);
    }
}
