//! The load: one thread, many connections, prepared bytes.

mod connection;
mod http1;
mod http2;
mod http3;
pub(crate) mod idle;
mod pace;
mod transport;

use std::{
    collections::{BTreeSet, VecDeque},
    fmt, io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use mio::{Events, Poll};
use rustls::ClientConfig;

use crate::message::Request;
use connection::Connection;
use pace::Pace;
pub(crate) use transport::tls_config;

/// What to send, and how.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    /// Sent in turn.
    pub(crate) requests: Vec<Request>,
    pub(crate) connections: usize,
    pub(crate) version: Version,
    /// A connection for each request.
    pub(crate) close: bool,
    /// Requests a second, whatever the answers do; else the next follows an answer.
    pub(crate) rate: Option<u32>,
}

/// The version of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    Http1,
    /// With this many requests at once on a connection.
    Http2 {
        streams: usize,
    },
    /// The same over QUIC.
    Http3 {
        streams: usize,
    },
}

/// Where the proxy is.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) tls: Option<Arc<ClientConfig>>,
}

/// When it is enough.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    After(Duration),
    Requests(u64),
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) done: u64,
    pub(crate) failed: u64,
    /// Both ways, those of exchanges that were not over at the end as well.
    pub(crate) bytes: u64,
    /// The first reason of a failure.
    pub(crate) fault: Option<Fault>,
    pub(crate) took: Duration,
    /// With a rate: from when each request was due to its answer, in microseconds, sorted.
    pub(crate) latencies_us: Vec<u32>,
}

/// Why an exchange failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault(pub(crate) &'static str);

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0)
    }
}

/// How long nothing may happen before the proxy counts as stuck.
const STUCK: Duration = Duration::from_secs(20);
/// Bytes read or written at once.
const PIECE: usize = 256 * 1024;

/// Loads the proxy until it is enough. With a time to warm up, what is done in it does not
/// count, nor before each connection has had an answer on average; then `warm` is told.
///
/// # Errors
/// If the system has not what it takes, or nothing comes for [`STUCK`].
pub(crate) fn run(
    load: &Load,
    target: &Target,
    warm_up: Duration,
    end: End,
    mut warm: impl FnMut(&Outcome) -> io::Result<()>,
) -> io::Result<Outcome> {
    if let Version::Http3 { streams } = load.version {
        return http3::run(load, streams, target, warm_up, end, warm);
    }
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(1024);
    let mut work = Work::new(load, target, end);
    let mut connections = (0..load.connections)
        .map(|at| Connection::open(at, &work, poll.registry()))
        .collect::<io::Result<Vec<_>>>()?;
    let mut pace = load
        .rate
        .map(|rate| Pace::start(rate, poll.registry()))
        .transpose()?;
    let mut begun = Instant::now();
    let mut counts = warm_up.is_zero();
    loop {
        let left = match end {
            _ if !counts => warm_up.saturating_sub(begun.elapsed()),
            End::After(time) => time.saturating_sub(begun.elapsed()),
            End::Requests(_) => STUCK,
        };
        let wait = left.clamp(Duration::from_millis(1), STUCK);
        self::wait(&mut poll, &mut events, Some(wait))?;
        if events.is_empty() && wait == STUCK {
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the proxy is stuck",
            ));
        }
        for event in &events {
            match connections.get_mut(event.token().0) {
                Some(connection) => connection.go_on(&mut work, poll.registry())?,
                None => {
                    let Some(pace) = &mut pace else { continue };
                    pace.tick(|due| work.due.push_back(due))?;
                }
            }
        }
        // What is due goes to whoever has nothing to do.
        while !work.due.is_empty()
            && let Some(at) = work.free.pop_first()
        {
            connections[at].go_on(&mut work, poll.registry())?;
        }
        if !counts && begun.elapsed() >= warm_up {
            let done = work.outcome.done + work.outcome.failed;
            if done < load.connections as u64 && begun.elapsed() < warm_up + STUCK {
                continue;
            }
            warm(&work.outcome)?;
            counts = true;
            work.outcome = Outcome::default();
            begun = Instant::now();
        }
        let over = counts
            && match end {
                End::After(time) => begun.elapsed() >= time,
                End::Requests(count) => work.outcome.done + work.outcome.failed >= count,
            };
        if over {
            let mut outcome = work.outcome;
            outcome.took = begun.elapsed();
            outcome.latencies_us.sort_unstable();
            return Ok(outcome);
        }
    }
}

/// Waits for events; a signal that comes to nothing, as after a stop, is not one.
pub(crate) fn wait(poll: &mut Poll, events: &mut Events, time: Option<Duration>) -> io::Result<()> {
    loop {
        match poll.poll(events, time) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            polled => return polled,
        }
    }
}

/// What the connections share.
struct Work<'a> {
    load: &'a Load,
    target: &'a Target,
    /// The heads of the requests in HTTP/1.1, and which is next.
    heads: Vec<String>,
    next: usize,
    /// Requests that may still begin.
    left: u64,
    /// With a rate: when requests were due that nobody has begun, and who could.
    due: VecDeque<Instant>,
    free: BTreeSet<usize>,
    outcome: Outcome,
    buffer: Vec<u8>,
    filling: Vec<u8>,
}

impl<'a> Work<'a> {
    fn new(load: &'a Load, target: &'a Target, end: End) -> Self {
        let heads = load
            .requests
            .iter()
            .map(|request| request.http1_head(load.close));
        Self {
            load,
            target,
            heads: heads.collect(),
            next: 0,
            left: match end {
                End::After(_) => u64::MAX,
                End::Requests(count) => count,
            },
            due: VecDeque::new(),
            free: BTreeSet::new(),
            outcome: Outcome::default(),
            buffer: vec![0; PIECE],
            filling: vec![b'x'; PIECE],
        }
    }

    /// Gives the number of the request to begin and when it was due, if one may.
    fn begin(&mut self, connection: usize) -> Option<(usize, Instant)> {
        if self.left == 0 {
            return None;
        }
        let due = if self.load.rate.is_some() {
            let Some(due) = self.due.pop_front() else {
                self.free.insert(connection);
                return None;
            };
            due
        } else {
            Instant::now()
        };
        self.left -= 1;
        let request = self.next;
        self.next = (request + 1) % self.heads.len();
        Some((request, due))
    }

    fn done(&mut self, due: Option<Instant>) {
        self.outcome.done += 1;
        if let (Some(due), Some(_)) = (due, self.load.rate) {
            let took = due.elapsed().as_micros();
            self.outcome
                .latencies_us
                .push(u32::try_from(took).unwrap_or(u32::MAX));
        }
    }

    fn failed(&mut self, count: usize, fault: Fault) {
        self.outcome.failed += count as u64;
        self.outcome.fault.get_or_insert(fault);
    }
}
