//! Datagrams that came to another socket than the one whose connection they are for.
//!
//! The kernel chooses a socket by the addresses of a datagram. A client whose address changes, as
//! behind a NAT or between networks, then comes to another worker: its datagrams are passed on. So
//! are those that a socket at one address gets for connections of a socket at another, while a
//! listener moves from `127.0.0.1` to `0.0.0.0`, or back.

use std::{
    collections::VecDeque,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Waker},
};

use crate::wake;

/// A received datagram.
#[derive(Clone, Debug)]
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

/// The socket that a connection belongs to, as its IDs tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Home {
    /// Number of the address among those of its port.
    pub(crate) address: u8,
    /// The worker.
    pub(crate) worker: u8,
}

/// Addresses at which the process has spoken QUIC.
#[derive(Clone, Debug, Default)]
pub(crate) struct Neighbours(Arc<Mutex<Vec<Weak<Mailboxes>>>>);

/// The mailboxes of an address, one for each worker.
#[derive(Debug)]
pub(crate) struct Mailboxes {
    at: SocketAddr,
    /// Its number among the addresses of its port.
    number: u8,
    /// False when the listener has left the address and its connections have not ended.
    accepts: AtomicBool,
    boxes: Vec<Mutex<Mailbox>>,
    neighbours: Neighbours,
}

#[derive(Debug, Default)]
struct Mailbox {
    waiting: VecDeque<Datagram>,
    reader: Option<Waker>,
}

impl Neighbours {
    /// Adds an address, with empty mailboxes.
    pub(crate) fn add(&self, at: SocketAddr, workers: usize) -> Arc<Mailboxes> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let same_port = known.iter().filter_map(Weak::upgrade);
        let before = same_port.filter(|it| it.at.port() == at.port()).count();
        let mailboxes = Arc::new(Mailboxes {
            at,
            number: before.to_le_bytes()[0],
            accepts: AtomicBool::new(true),
            boxes: (0..workers).map(|_| Mutex::default()).collect(),
            neighbours: self.clone(),
        });
        known.push(Arc::downgrade(&mailboxes));
        mailboxes
    }

    fn find(&self, fits: impl Fn(&Mailboxes) -> bool) -> Option<Arc<Mailboxes>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().filter_map(Weak::upgrade).find(|it| fits(it))
    }
}

impl Mailboxes {
    /// The address.
    pub(crate) fn at(&self) -> SocketAddr {
        self.at
    }

    /// The home of a worker's connections.
    pub(crate) fn home(&self, worker: usize) -> Home {
        Home {
            address: self.number,
            worker: worker.to_le_bytes()[0],
        }
    }

    /// Notes whether new connections are accepted at the address.
    pub(crate) fn set_accepts(&self, accepts: bool) {
        self.accepts.store(accepts, Ordering::Relaxed);
    }

    /// Returns whether new connections are accepted at the address.
    pub(crate) fn accepts(&self) -> bool {
        self.accepts.load(Ordering::Relaxed)
    }

    /// Passes a datagram to the socket that its connection belongs to. Without room, or such a
    /// socket, it is lost, as on the network.
    pub(crate) fn pass(&self, home: Home, datagram: Datagram) {
        if home.address == self.number {
            self.put(home.worker, datagram);
        } else if let Some(other) = self.neighbour(|it| it.number == home.address) {
            other.put(home.worker, datagram.seen_at(other.at));
        }
    }

    /// Passes a datagram of no known connection to the socket that accepts new ones.
    pub(crate) fn pass_new(&self, worker: usize, datagram: Datagram) {
        let worker = self.home(worker).worker;
        if self.accepts() {
            return self.put(worker, datagram);
        }
        let (to, port) = (datagram.to, self.at.port());
        match self.neighbour(|it| it.accepts() && it.covers(to) && it.at.port() == port) {
            Some(other) => other.put(worker, datagram.seen_at(other.at)),
            None => self.put(worker, datagram),
        }
    }

    fn neighbour(&self, fits: impl Fn(&Self) -> bool) -> Option<Arc<Self>> {
        let port = self.at.port();
        self.neighbours
            .find(|it| it.at.port() == port && it.number != self.number && fits(it))
    }

    /// Returns true if datagrams to this address may come to a socket here.
    fn covers(&self, to: Option<IpAddr>) -> bool {
        let Some(to) = to.map(|to| to.to_canonical()) else {
            return true;
        };
        match self.at.ip() {
            IpAddr::V4(own) if own.is_unspecified() => to.is_ipv4(),
            IpAddr::V6(own) if own.is_unspecified() => true,
            own => own.to_canonical() == to,
        }
    }

    fn put(&self, worker: u8, datagram: Datagram) {
        let Some(mailbox) = self.boxes.get(usize::from(worker)) else {
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
        let mailbox = self.boxes.get(worker)?;
        // Others take the lock only with a datagram at hand.
        let mut mailbox = mailbox.lock().unwrap_or_else(PoisonError::into_inner);
        let datagram = mailbox.waiting.pop_front();
        if datagram.is_none() {
            wake::remember(&mut mailbox.reader, cx);
        }
        datagram
    }
}

impl Datagram {
    /// Returns it with its addresses as a socket at `at` has them: one for IPv6 has those of IPv4
    /// mapped.
    fn seen_at(mut self, at: SocketAddr) -> Self {
        let written = |ip: IpAddr| match (at, ip.to_canonical()) {
            (SocketAddr::V6(_), IpAddr::V4(v4)) => IpAddr::V6(v4.to_ipv6_mapped()),
            (_, canonical) => canonical,
        };
        let ip = written(self.from.ip());
        if ip != self.from.ip() {
            self.from = SocketAddr::new(ip, self.from.port());
        }
        self.to = self.to.map(written);
        self
    }
}

/// Datagrams that wait for a worker.
const WAITING_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn datagram(byte: u8, to: &str) -> Datagram {
        Datagram {
            bytes: vec![byte],
            from: at("192.0.2.1:1"),
            to: Some(to.parse().unwrap()),
            ecn: 0,
        }
    }

    fn taken(mailboxes: &Mailboxes, worker: usize) -> Vec<Datagram> {
        let cx = Context::from_waker(Waker::noop());
        std::iter::from_fn(|| mailboxes.take(worker, &cx)).collect()
    }

    #[test]
    fn what_is_passed_arrives_up_to_the_bound() {
        let boxes = Neighbours::default().add(at("127.0.0.1:443"), 2);
        for turn in 0..=WAITING_MAX {
            let byte = u8::try_from(turn % 256).unwrap();
            boxes.pass(boxes.home(1), datagram(byte, "127.0.0.1"));
        }
        assert!(taken(&boxes, 0).is_empty() && taken(&boxes, 2).is_empty());
        assert_eq!(taken(&boxes, 1).len(), WAITING_MAX);
    }

    #[test]
    fn addresses_of_a_port_pass_on_what_is_for_connections_of_others() {
        let all = Neighbours::default();
        let narrow = all.add(at("127.0.0.1:443"), 2);
        let _other = all.add(at("127.0.0.1:444"), 2);
        let wide = all.add(at("[::]:443"), 2);
        assert_ne!(narrow.home(0), wide.home(0));
        narrow.pass(wide.home(1), datagram(1, "127.0.0.1"));
        let passed = taken(&wide, 1);
        assert_eq!(passed[0].from, at("[::ffff:192.0.2.1]:1"));
        assert_eq!(passed[0].to, Some("::ffff:127.0.0.1".parse().unwrap()));
        wide.pass(narrow.home(0), passed[0].clone());
        let back = taken(&narrow, 0);
        assert_eq!(back[0].from, at("192.0.2.1:1"));
        assert_eq!(back[0].to, Some("127.0.0.1".parse().unwrap()));
    }

    #[test]
    fn new_connections_go_to_the_address_that_accepts() {
        let all = Neighbours::default();
        let narrow = all.add(at("127.0.0.1:443"), 1);
        let wide = all.add(at("0.0.0.0:443"), 1);
        narrow.pass_new(0, datagram(1, "127.0.0.1"));
        assert_eq!((taken(&narrow, 0).len(), taken(&wide, 0).len()), (1, 0));
        narrow.set_accepts(false);
        narrow.pass_new(0, datagram(1, "127.0.0.1"));
        assert_eq!((taken(&narrow, 0).len(), taken(&wide, 0).len()), (0, 1));
        // The narrow one has nothing to do with other addresses.
        narrow.set_accepts(true);
        wide.set_accepts(false);
        wide.pass_new(0, datagram(1, "192.0.2.9"));
        assert_eq!((taken(&narrow, 0).len(), taken(&wide, 0).len()), (0, 1));
    }
}
