//! UDP sockets of listeners that speak HTTP/3: bound beside those of TCP, and closed with their last
//! connection.
//!
//! They are not passed to the process of an upgrade: what comes for connections of the old process
//! would come to either. The new one waits until the old has closed its sockets.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use socket2::Socket;
use tokio::time::Instant;

use super::{
    bound::BoundListener,
    prepared::Beside,
    steps::{COMMAND_PATIENCE, give, tell},
};
use crate::{
    config::value::BindAddress,
    socket::bind::{BindError, bind_udp},
    state::{Listener, Snapshot},
    task,
    worker::{Command, SharedState},
};

/// A listener that begins to speak HTTP/3.
#[derive(Debug)]
pub(crate) struct BoundQuic {
    listener: Arc<Listener>,
    sockets: Sockets,
}

#[derive(Debug)]
enum Sockets {
    /// One per worker.
    Bound(Vec<Socket>),
    /// To be bound at this address, when the process before this one has left it.
    Later(SocketAddr),
}

/// Binds the UDP sockets of listeners that speak HTTP/3 and did not before, each at the address that
/// its TCP sockets have.
pub(super) fn bind_new(
    snapshot: &Snapshot,
    last: Option<&Snapshot>,
    bound: &[BoundListener],
    process: &Beside<'_>,
) -> Result<Vec<BoundQuic>, (Arc<str>, BindError)> {
    let mut begun = Vec::new();
    for listener in snapshot.listeners.iter().filter(|it| it.http3) {
        let address = &listener.address;
        let new = bound.iter().find(|(new, _)| new.address == *address);
        let at = match (new, process.open) {
            (Some((_, bound)), _) => bound.address.clone(),
            (None, Some(open)) => open.address(address),
            (None, None) => address.clone(),
        };
        let BindAddress::Tcp(udp) = at else {
            continue;
        };
        let spoken = process.open.is_some_and(|it| it.has_spoken_quic(address));
        let mut before = last.iter().flat_map(|last| &last.listeners);
        if before.any(|it| it.http3 && it.address == *address) {
            if spoken {
                announce(listener, udp);
            }
            continue;
        }
        let sockets = if process.passed.is_some() {
            Sockets::Later(udp)
        } else {
            let sockets = bind_udp(udp, listener.socket, spoken, process.workers)
                .map_err(|error| (Arc::clone(&listener.name), error))?;
            announce(listener, udp);
            Sockets::Bound(sockets)
        };
        begun.push(BoundQuic {
            listener: Arc::clone(listener),
            sockets,
        });
    }
    Ok(begun)
}

/// Gives new UDP sockets to the workers, now or when they can be bound.
pub(crate) async fn listen(shared: &Arc<SharedState>, begun: Vec<BoundQuic>) {
    for BoundQuic { listener, sockets } in begun {
        match sockets {
            Sockets::Bound(sockets) => open(shared, &listener, sockets).await,
            Sockets::Later(address) => {
                let shared = Arc::clone(shared);
                task::spawn_local("quic after an upgrade", async move {
                    wait(&shared, &listener, address).await;
                });
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
        tell(shared, |_| Some(Command::UnlistenQuic(address.clone()))).await;
    }
}

async fn open(shared: &SharedState, listener: &Arc<Listener>, sockets: Vec<Socket>) {
    tracing::info!(listener = %listener.name, "listening for HTTP/3");
    let deadline = Instant::now() + COMMAND_PATIENCE;
    let workers = shared.workers.len();
    let mailboxes = shared.sockets.opened_quic(&listener.address, workers);
    for (worker, socket) in sockets.into_iter().enumerate() {
        let command = Command::ListenQuic(Arc::clone(listener), socket, Arc::clone(&mailboxes));
        give(shared, worker, command, deadline).await;
    }
}

/// Waits until the process before this one has closed its sockets, and binds them.
async fn wait(shared: &SharedState, listener: &Listener, address: SocketAddr) {
    tracing::info!(
        listener = %listener.name,
        "HTTP/3 waits until the old process has closed its connections"
    );
    let mut told = false;
    while !shared.is_draining() {
        let snapshot = shared.snapshot();
        let mut newest = snapshot.listeners.iter();
        let newest = newest.find(|it| it.http3 && it.address == listener.address);
        let Some(newest) = newest else {
            return;
        };
        match bind_udp(address, newest.socket, false, shared.workers.len()) {
            Ok(sockets) => {
                open(shared, newest, sockets).await;
                announce(newest, address);
                return;
            }
            Err(BindError::InUse(_)) => {}
            Err(error) if !told => {
                told = true;
                tracing::error!(listener = %listener.name, %error, "cannot listen for HTTP/3 yet");
            }
            Err(_) => {}
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Has clients of other protocols told of the port.
fn announce(listener: &Listener, address: SocketAddr) {
    if let Some(service) = &listener.alt_svc {
        service.settle(address.port());
    }
}

/// Delay before the next try to bind.
const AGAIN: Duration = Duration::from_millis(250);
