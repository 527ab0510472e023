//! The gates of clients, by address.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::resilience::{
    ClientEntry, ClientTable,
    concurrency::{Gate, GateView},
};

/// The gates of all clients of a route. A client has one while a request of it holds or waits for
/// a place.
#[derive(Debug, Default)]
pub struct ClientGates {
    gates: Arc<ClientTable<Gate>>,
    refused: AtomicU64,
}

impl ClientGates {
    /// Finds the gate of a client, or makes one.
    pub(super) fn enter(&self, client: IpAddr) -> ClientEntry<Gate> {
        self.gates.enter(client)
    }

    /// Places in use, and waiters, of all clients.
    pub(super) fn view(&self) -> GateView {
        let mut sum = GateView::default();
        self.gates.for_each(|gate| {
            let view = gate.view();
            sum.in_use += view.in_use;
            sum.waiting += view.waiting;
        });
        sum
    }

    /// Counts a request that got no place.
    pub(super) fn count_refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Requests that got no place.
    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_has_places_of_its_own_and_leaves_no_trace() {
        let clients = ClientGates::default();
        let enter = |text: &str| clients.enter(text.parse().unwrap());
        let first = enter("2001:db8::1");
        let place = first.state().try_take(1).unwrap();
        let neighbour = enter("2001:db8::ffff:1");
        assert!(neighbour.state().try_take(1).is_none());
        let other = enter("2001:db8:0:1::1");
        assert!(other.state().try_take(1).is_some());
        let mapped = enter("::ffff:10.0.0.1");
        let plain = enter("10.0.0.1");
        assert!(Arc::ptr_eq(mapped.state(), plain.state()));
        let entries = || {
            let mut count = 0;
            clients.gates.for_each(|_| count += 1);
            count
        };
        assert_eq!(entries(), 3);
        assert_eq!(clients.view().in_use, 1);
        drop(place);
        drop((first, other, mapped, plain));
        assert_eq!(entries(), 1);
        drop(neighbour);
        assert_eq!(entries(), 0);
    }
}
