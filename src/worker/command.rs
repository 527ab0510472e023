//! Commands of control and of other workers to a worker.

use std::{net::SocketAddr, sync::Arc};

use socket2::Socket;
use tokio::sync::oneshot;

use super::{Accepted, Connection, Worker};
use crate::{config::value::BindAddress, state::Listener, upstream::room::RoomRequest};

/// Commands of control and of other workers to a worker.
#[derive(Debug)]
pub(crate) enum Command {
    /// Accept connections from this socket.
    Listen(Arc<Listener>, Socket),
    /// Stop accepting for the listener at that address; answers when the socket is closed.
    Unlisten(BindAddress, oneshot::Sender<()>),
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
    /// Return views of the open connections.
    Connections(oneshot::Sender<Vec<ConnectionView>>),
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

/// An open connection as other threads see it.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionView {
    pub(crate) id: String,
    pub(crate) listener: String,
    pub(crate) client: String,
    pub(crate) protocol: &'static str,
    /// The subject of the client's verified certificate.
    pub(crate) tls_subject: Option<String>,
    pub(crate) age_ms: u64,
    pub(crate) requests: u64,
    pub(crate) in_flight: u32,
    pub(crate) closing: bool,
    /// Generation of the configuration that it uses.
    pub(crate) generation: u64,
}

impl Worker {
    /// Returns the view of a connection for the admin API.
    pub(crate) fn view(&self, connection: &Connection) -> ConnectionView {
        let age = connection.since.elapsed().as_millis();
        ConnectionView {
            id: format!("{}-{}", self.index, connection.id),
            listener: connection.known_listener().name.to_string(),
            client: SocketAddr::new(connection.peer(), connection.peer_port()).to_string(),
            protocol: connection.protocol.get(),
            tls_subject: connection
                .tls
                .get()
                .and_then(|session| session.client.as_ref())
                .map(|client| client.subject.to_string()),
            age_ms: u64::try_from(age).unwrap_or(u64::MAX),
            requests: connection.requests.get(),
            in_flight: connection.in_flight.get(),
            closing: connection.is_closing(),
            generation: connection.held_generation(),
        }
    }
}
