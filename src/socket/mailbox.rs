//! Datagrams that came to the socket of another worker than the one whose connection they are for.
//!
//! The kernel chooses a socket by the addresses of a datagram. A client whose address changes, as
//! behind a NAT or between networks, then comes to another worker: its datagrams are passed on.

use std::{
    collections::VecDeque,
    net::{IpAddr, SocketAddr},
    sync::{Mutex, PoisonError},
    task::{Context, Waker},
};

use crate::wake;

/// A received datagram.
#[derive(Debug)]
pub(crate) struct Datagram {
    /// Its bytes.
    pub(crate) bytes: Vec<u8>,
    /// The address that it came from.
    pub(crate) from: SocketAddr,
    /// The address that it came to, if known.
    pub(crate) to: Option<IpAddr>,
    /// Bits of congestion notification.
    pub(crate) ecn: u8,
}

/// One mailbox for each worker.
#[derive(Debug)]
pub(crate) struct Mailboxes(Vec<Mutex<Mailbox>>);

#[derive(Debug, Default)]
struct Mailbox {
    waiting: VecDeque<Datagram>,
    reader: Option<Waker>,
}

impl Mailboxes {
    /// Makes empty ones.
    pub(crate) fn new(workers: usize) -> Self {
        Self((0..workers).map(|_| Mutex::default()).collect())
    }

    /// Passes a datagram to a worker. Without room, or such a worker, it is lost, as on the network.
    pub(crate) fn pass(&self, worker: usize, datagram: Datagram) {
        let Some(mailbox) = self.0.get(worker) else {
            return;
        };
        let mut mailbox = mailbox.lock().unwrap_or_else(PoisonError::into_inner);
        if mailbox.waiting.len() < WAITING_MAX {
            mailbox.waiting.push_back(datagram);
            if let Some(reader) = mailbox.reader.take() {
                reader.wake();
            }
        }
    }

    /// Takes the next datagram for a worker; without one, remembers the task that reads.
    pub(crate) fn take(&self, worker: usize, cx: &Context<'_>) -> Option<Datagram> {
        let mailbox = self.0.get(worker)?;
        // Others take the lock only with a datagram at hand.
        let mut mailbox = mailbox.lock().unwrap_or_else(PoisonError::into_inner);
        let datagram = mailbox.waiting.pop_front();
        if datagram.is_none() {
            wake::remember(&mut mailbox.reader, cx);
        }
        datagram
    }
}

/// Datagrams that wait for a worker.
const WAITING_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_passed_arrives_up_to_the_bound() {
        let boxes = Mailboxes::new(2);
        let cx = Context::from_waker(Waker::noop());
        assert!(boxes.take(1, &cx).is_none());
        for turn in 0..=WAITING_MAX {
            boxes.pass(
                1,
                Datagram {
                    bytes: vec![u8::try_from(turn % 256).unwrap()],
                    from: "192.0.2.1:1".parse().unwrap(),
                    to: None,
                    ecn: 0,
                },
            );
        }
        assert!(boxes.take(0, &cx).is_none() && boxes.take(2, &cx).is_none());
        let mut taken = 0;
        while boxes.take(1, &cx).is_some() {
            taken += 1;
        }
        assert_eq!(taken, WAITING_MAX);
    }
}
