//! Admission of a new connection: the limits it counts against and the worker that serves it.

use std::{
    rc::Rc,
    sync::{Arc, atomic::Ordering},
};

use super::{
    Worker,
    command::Command,
    shortage::{self, Step},
};
use crate::{socket::Stream, state::Listener, telemetry::metrics::Gauge, upstream::shared::Padded};

/// A connection that no worker serves yet.
#[derive(Debug)]
pub(crate) enum Accepted {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

/// Counts a downstream connection; undone on drop.
#[derive(Debug)]
pub(crate) struct Admission {
    worker: Rc<Worker>,
    open: Gauge,
    limits: Arc<Padded>,
}

/// A connection that is being refused because there is no room.
#[derive(Debug)]
pub(crate) struct Refusal(Rc<Worker>);

impl Worker {
    /// Counts a connection against the limits of its listener and of the process.
    pub(crate) fn admit(self: &Rc<Self>, listener: &Listener) -> Option<Admission> {
        if self.refuses_connections() {
            self.counters.shed("memory");
            return None;
        }
        let snapshot = self.snapshot();
        let all = match snapshot.shared.connections_max {
            0 => self.shared.connections_max,
            written => written.min(self.shared.connections_max),
        };
        if !take(&self.shared.connections, all) {
            self.counters.shed("connections");
            return None;
        }
        if !take(&listener.open, listener.connections_max) {
            self.shared.connections.give_back();
            self.counters.shed("listener_connections");
            listener.refused.of_all.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        self.place().fetch_add(1, Ordering::Relaxed);
        let metrics = self.counters.listener(&listener.name);
        metrics.connections.inc();
        metrics.connections_total.inc();
        Some(Admission {
            worker: Rc::clone(self),
            open: metrics.connections,
            limits: Arc::clone(&listener.open),
        })
    }

    /// Returns a place among the connections that are being refused.
    pub(crate) fn refusal(self: &Rc<Self>) -> Option<Refusal> {
        let refusing = self.refusing.get();
        (refusing < REFUSALS_MAX).then(|| {
            self.refusing.set(refusing + 1);
            Refusal(Rc::clone(self))
        })
    }

    /// Passes a new connection to the least busy worker if this one has many more than its share;
    /// otherwise returns it.
    pub(crate) fn hand_on(&self, listener: &Arc<Listener>, stream: Stream) -> Option<Stream> {
        let workers = &self.shared.workers;
        if workers.len() < 2 {
            return Some(stream);
        }
        let count = |index: usize| workers[index].connections.load(Ordering::Relaxed);
        let mean = self.shared.open_connections() / workers.len();
        if count(self.index) <= mean + mean / 4 + 8 {
            return Some(stream);
        }
        let least = (0..workers.len()).min_by_key(|index| count(*index));
        let Some(least) = least.filter(|least| *least != self.index) else {
            return Some(stream);
        };
        // The place is reserved first: once the stream has left this runtime it must arrive.
        let Ok(permit) = workers[least].commands.try_reserve() else {
            return Some(stream);
        };
        let accepted = match stream {
            // Nothing is handed on once its handshake has begun.
            stream @ (Stream::Tls(_) | Stream::Upgraded(_)) => return Some(stream),
            Stream::Tcp(stream) => stream.into_std().map(Accepted::Tcp),
            Stream::Unix(stream) => stream.into_std().map(Accepted::Unix),
        };
        match accepted {
            Ok(accepted) => permit.send(Command::Adopt(Arc::clone(listener), accepted)),
            Err(error) => shortage::tell(&listener.name, Step::HandOn, &error),
        }
        None
    }

    fn place(&self) -> &Padded {
        &self.shared.workers[self.index].connections
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let worker = &self.worker;
        self.open.dec();
        worker.place().fetch_sub(1, Ordering::Relaxed);
        worker.shared.connections.give_back();
        self.limits.give_back();
    }
}

impl Drop for Refusal {
    fn drop(&mut self) {
        self.0.refusing.set(self.0.refusing.get() - 1);
    }
}

fn take(count: &Padded, max: usize) -> bool {
    count.try_take(if max == 0 { usize::MAX } else { max })
}

/// Maximum number of connections refused with an answer at once; more are closed without one.
const REFUSALS_MAX: usize = 256;
