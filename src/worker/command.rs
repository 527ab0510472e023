//! Commands of control and of other workers to a worker.

use std::sync::Arc;

use socket2::Socket;
use tokio::sync::oneshot;

use super::{Accepted, ConnectionView};
#[cfg(feature = "http3")]
use crate::socket::mailbox::Mailboxes;
use crate::{
    config::value::BindAddress,
    state::{HolderFilter, Listener},
    upstream::room::RoomRequest,
};

/// Commands of control and of other workers to a worker.
#[derive(Debug)]
pub(crate) enum Command {
    /// Accept connections from this socket.
    Listen(Arc<Listener>, Socket),
    /// Stop accepting for the listener at that address; answers when the socket is closed.
    Unlisten(BindAddress, oneshot::Sender<()>),
    /// Accept QUIC connections on this UDP socket.
    #[cfg(feature = "http3")]
    ListenQuic(Arc<Listener>, Socket, Arc<Mailboxes>),
    /// Accept no more QUIC connections for the listener at that address.
    #[cfg(feature = "http3")]
    UnlistenQuic(BindAddress),
    /// Serve a connection that another worker accepted.
    Adopt(Arc<Listener>, Accepted),
    /// Close an idle connection to a pool that has no room for another worker's.
    MakeRoom(RoomRequest),
    /// Use the newest snapshot now, not only with the next exchange.
    Refresh,
    /// Use the newest endpoints of a pool now, not only with the next request for it.
    FollowEndpoints(Arc<str>),
    /// Close what is idle: memory is short.
    Relieve,
    /// Tell clients with HTTP/2 connections to open no more streams on them (GOAWAY).
    CloseShared,
    /// Close every connection when its exchange is over.
    CloseConnections,
    /// Cut all remaining connections; answers with their number.
    Cut(oneshot::Sender<usize>),
    /// Return views of the open connections that hold what is asked for.
    Connections(Arc<HolderFilter>, oneshot::Sender<Vec<ConnectionView>>),
    /// Report the requests in flight at the endpoints of a pool.
    InFlight(Arc<str>, oneshot::Sender<InFlight>),
    /// Report the requests in flight at all endpoints, by pool.
    AllInFlight(oneshot::Sender<Vec<(Arc<str>, InFlight)>>),
    /// Use the newest access log.
    ReopenLog,
    /// End the thread.
    End,
}

/// Requests in flight, tunnels included, by the address of the endpoint.
pub(crate) type InFlight = Vec<(Arc<str>, u32)>;
