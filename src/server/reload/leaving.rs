//! Close of listening sockets: with their listener, or as the process drains.
//!
//! No connection is lost. The file of a unix socket is removed first, so that no new client
//! connects. Each worker then stops accepting; a TCP socket is emptied by the worker that owns it,
//! the queue of a unix socket, which all of them share, from here when the last has stopped.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};

use super::steps::{COMMAND_PATIENCE, give};
use crate::{
    config::value::BindAddress,
    socket::closing,
    worker::{
        Accepted, Command, LeavingSocket, SharedState,
        shortage::{self, Step},
    },
};

/// Closes listening sockets, once all connections in their queues are served.
pub(crate) async fn unlisten(shared: &SharedState, addresses: &[BindAddress]) {
    let deadline = Instant::now() + COMMAND_PATIENCE;
    let mut closed = Vec::new();
    let mut leaving = Vec::new();
    let mut all = true;
    for address in addresses {
        leaving.extend(shared.sockets.forget(address));
        for worker in 0..shared.workers.len() {
            let (done, answer) = oneshot::channel();
            let command = Command::Unlisten(address.clone(), done);
            if give(shared, worker, command, deadline).await {
                closed.push(answer);
            } else {
                all = false;
            }
        }
    }
    let deadline = Instant::now() + UNLISTEN_PATIENCE;
    for answer in closed {
        all &= matches!(timeout_at(deadline, answer).await, Ok(Ok(())));
    }
    for socket in leaving {
        empty(shared, &socket, all).await;
    }
}

/// Makes workers serve the connections in the queue of a unix socket.
///
/// `alone` tells that no worker accepts from it any more. Only then is it shut: the runtime of a
/// worker that did would poll it for connections again and again.
async fn empty(shared: &SharedState, leaving: &LeavingSocket, alone: bool) {
    if alone && let Err(error) = closing::shut_unix(&leaving.socket) {
        tracing::debug!(%error, "a closing socket cannot be shut at once");
    }
    let deadline = Instant::now() + COMMAND_PATIENCE;
    let workers = shared.workers.len();
    for worker in (0..workers).cycle() {
        let stream = match closing::take_waiting(&leaving.socket) {
            Ok(Some((stream, _))) => stream,
            Ok(None) => return,
            // Out of descriptors or memory, most likely.
            Err(error) if Instant::now() < deadline => {
                shortage::tell(&leaving.listener.name, Step::Accept, &error);
                tokio::time::sleep(AGAIN).await;
                continue;
            }
            Err(_) => return,
        };
        let accepted = Accepted::Unix(stream.into());
        let command = Command::Adopt(Arc::clone(&leaving.listener), accepted);
        give(shared, worker, command, deadline).await;
    }
}

/// Maximum wait of control for workers to serve the connections that wait in a socket that closes.
const UNLISTEN_PATIENCE: Duration = Duration::from_secs(10);
/// Delay before the next try to accept a connection.
const AGAIN: Duration = Duration::from_millis(50);
