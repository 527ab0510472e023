//! UDP sockets of listeners that speak HTTP/3: bound beside those of TCP, and closed with their last
//! connection.
//!
//! They are not passed to the process of an upgrade: what comes for connections of the old process
//! would come to either. The new one waits until the old has closed its sockets.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde_json::json;
use socket2::Socket;
use tokio::time::Instant;

use super::{
    bound::BoundListener,
    prepared::Beside,
    steps::{COMMAND_PATIENCE, give, tell},
};
use crate::{
    config::value::BindAddress,
    server::{board::Board, control::Control},
    socket::bind::{BindError, bind_udp},
    state::{Listener, Snapshot},
    task,
    telemetry::events::Events,
    worker::{Command, OpenSockets, SharedState},
};

/// A listener that begins to speak HTTP/3.
#[derive(Debug)]
pub(crate) struct BoundQuic {
    listener: Arc<Listener>,
    /// Actual address.
    at: SocketAddr,
    /// One per worker; none: to be bound when the process before this one has left the address.
    sockets: Option<Vec<Socket>>,
}

/// Binds the UDP sockets of listeners that speak HTTP/3 and did not before, each at the address that
/// its TCP sockets have.
pub(super) fn bind_new(
    snapshot: &Snapshot,
    last: Option<&Snapshot>,
    bound: &[BoundListener],
    process: &Beside<'_>,
) -> Result<Vec<BoundQuic>, (Arc<str>, BindError)> {
    let mut begun: Vec<BoundQuic> = Vec::new();
    for listener in snapshot.listeners.iter().filter(|it| it.http3) {
        let address = &listener.address;
        let new = bound.iter().find(|(new, _)| new.address == *address);
        let at = match (new, process.open) {
            (Some((_, bound)), _) => bound.address.clone(),
            (None, Some(open)) => open.address(address),
            (None, None) => address.clone(),
        };
        let BindAddress::Tcp(at) = at else {
            continue;
        };
        let mut before = last.iter().flat_map(|last| &last.listeners);
        if before.any(|it| it.http3 && it.address == *address) {
            if process.open.is_some_and(|it| it.has_spoken_quic(address)) {
                announce(listener, at);
            }
            continue;
        }
        let sockets = if process.passed.is_some() || is_awaited(at, last, process.open) {
            None
        } else {
            let beside = process.open.is_some_and(|it| it.has_quic_beside(at));
            let mut others = begun.iter();
            let shared = beside || others.any(|it| overlap(it.at, at));
            let sockets = bind_udp(at, listener.socket, shared, process.workers)
                .map_err(|error| (Arc::clone(&listener.name), error))?;
            announce(listener, at);
            Some(sockets)
        };
        begun.push(BoundQuic {
            listener: Arc::clone(listener),
            at,
            sockets,
        });
    }
    Ok(begun)
}

/// Returns true if the process before this one may have the port: a listener still waits for it.
fn is_awaited(at: SocketAddr, last: Option<&Snapshot>, open: Option<&OpenSockets>) -> bool {
    let (Some(last), Some(open)) = (last, open) else {
        return false;
    };
    let mut spoken = last.listeners.iter().filter(|it| it.http3);
    spoken.any(|it| {
        let overlaps = it.address.overlaps(&BindAddress::Tcp(at));
        overlaps && !open.has_spoken_quic(&it.address)
    })
}

fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    BindAddress::Tcp(one).overlaps(&BindAddress::Tcp(other))
}

/// Gives new UDP sockets to the workers, now or when they can be bound.
pub(super) async fn listen(control: &Control, begun: Vec<BoundQuic>) {
    for it in begun {
        match it.sockets {
            Some(sockets) => open(&control.shared, &it.listener, it.at, sockets).await,
            None => {
                let waiting = Waiting {
                    shared: Arc::clone(&control.shared),
                    board: Arc::clone(&control.board),
                    events: Arc::clone(&control.events),
                    listener: it.listener,
                    at: it.at,
                    since: SystemTime::now(),
                    told: None,
                };
                task::spawn_local("quic after an upgrade", waiting.run());
            }
        }
    }
}

/// Stops accepting QUIC connections for listeners that stay and do not speak HTTP/3 any more.
pub(crate) async fn unlisten(shared: &SharedState, old: &Snapshot, new: &Snapshot) {
    let spoke = old.listeners.iter().filter(|it| it.http3);
    let left = spoke.filter(|it| {
        let mut same = new.listeners.iter();
        same.any(|new| new.address == it.address && !new.http3)
    });
    for listener in left {
        let address = &listener.address;
        shared.sockets.closed_quic(address);
        tell(shared, |_| Some(Command::UnlistenQuic(address.clone()))).await;
    }
}

async fn open(
    shared: &SharedState,
    listener: &Arc<Listener>,
    at: SocketAddr,
    sockets: Vec<Socket>,
) {
    tracing::info!(listener = %listener.name, "listening for HTTP/3");
    let deadline = Instant::now() + COMMAND_PATIENCE;
    let workers = shared.workers.len();
    let mailboxes = shared.sockets.opened_quic(&listener.address, at, workers);
    for (worker, socket) in sockets.into_iter().enumerate() {
        let command = Command::ListenQuic(Arc::clone(listener), socket, Arc::clone(&mailboxes));
        give(shared, worker, command, deadline).await;
    }
}

/// A listener of a process that has taken over, whose UDP port is not free yet.
struct Waiting {
    shared: Arc<SharedState>,
    board: Arc<Board>,
    events: Arc<Events>,
    listener: Arc<Listener>,
    at: SocketAddr,
    since: SystemTime,
    /// The last reason that was told.
    told: Option<String>,
}

impl Waiting {
    /// Waits until the process before this one has closed its sockets, and binds them.
    async fn run(mut self) {
        tracing::info!(
            listener = %self.listener.name,
            "HTTP/3 waits until the old process has closed its connections"
        );
        let begun = Instant::now();
        let mut alone_since = None;
        while let Some(newest) = self.newest() {
            let bound = bind_udp(self.at, newest.socket, false, self.shared.workers.len());
            match bound {
                Ok(sockets) => {
                    open(&self.shared, &newest, self.at, sockets).await;
                    announce(&newest, self.at);
                    if self.told.is_some() {
                        self.publish("open", None);
                    }
                    break;
                }
                Err(BindError::UdpInUse(at)) => {
                    let before = self.board.predecessor().map(|it| it.pid);
                    let patience = match before {
                        Some(_) => begun + GAP,
                        None => *alone_since.get_or_insert_with(Instant::now) + DOUBT,
                    };
                    if Instant::now() >= patience {
                        self.tell(in_use(at, before));
                    }
                }
                Err(error) => self.tell(error.to_string()),
            }
            tokio::time::sleep(AGAIN).await;
        }
        self.board.outages.over(self.line());
    }

    /// Returns the listener as it is now; none if it need not wait any more.
    fn newest(&self) -> Option<Arc<Listener>> {
        let snapshot = self.shared.snapshot();
        let mut all = snapshot.listeners.iter();
        let newest = all.find(|it| it.http3 && it.address == self.listener.address)?;
        let sockets = &self.shared.sockets;
        let is_over = self.shared.is_draining() || sockets.accepts_quic(&newest.address);
        (!is_over).then(|| Arc::clone(newest))
    }

    fn line(&self) -> String {
        format!("listener \"{}\": HTTP/3 is off", self.listener.name)
    }

    fn tell(&mut self, why: String) {
        if self.told.as_ref() == Some(&why) {
            return;
        }
        self.board.outages.begun(self.line(), self.since, &why);
        if self.told.is_none() {
            tracing::warn!(listener = %self.listener.name, %why, "HTTP/3 is off");
            self.publish("waiting", Some(&why));
        }
        self.told = Some(why);
    }

    fn publish(&self, to: &str, why: Option<&str>) {
        let mut what = json!({ "listener": &*self.listener.name, "to": to });
        if let Some(why) = why {
            what["cause"] = why.into();
        }
        self.events.publish("http3", "proxy", what);
    }
}

/// Explains who has the port, and how to mend it.
fn in_use(at: SocketAddr, before: Option<u32>) -> String {
    match before {
        None => {
            format!("another program has taken UDP {at}; stop it, and HTTP/3 opens within a second")
        }
        Some(pid) => format!(
            "UDP {at} is in use, by connections of the old process ({pid}) or by another program; HTTP/3 opens when it is free"
        ),
    }
}

/// Has clients of other protocols told of the port.
fn announce(listener: &Listener, at: SocketAddr) {
    if let Some(service) = &listener.alt_svc {
        service.settle(at.port());
    }
}

/// Delay before the next try to bind.
const AGAIN: Duration = Duration::from_millis(250);
/// Time for which HTTP/3 may be off after an upgrade before it is reported, while the old process
/// drains.
const GAP: Duration = Duration::from_secs(60);
/// The same from the end of the old process on: its sockets close a moment before or after that is
/// known.
const DOUBT: Duration = Duration::from_secs(1);
