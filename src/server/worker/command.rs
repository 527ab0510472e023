//! What control and other workers ask of a worker, and how it obeys.

use std::{net::SocketAddr, rc::Rc, sync::Arc};

use socket2::Socket;
use tokio::sync::oneshot;

use super::{Accepting, Worker};
use crate::{
    listener::{
        Connection,
        accept::{self, Accepted, Acceptor},
    },
    socket::BindAddress,
    state::Listener,
    task,
    upstream::room::RoomRequest,
};

/// What control and other workers ask of a worker.
#[derive(Debug)]
pub(crate) enum Command {
    /// Accept connections from this socket.
    Listen(Arc<Listener>, Socket),
    /// Stop accepting for the listener at that address; answers when the socket is closed.
    Unlisten(BindAddress, oneshot::Sender<()>),
    /// Serve a connection that another worker accepted.
    Adopt(Arc<Listener>, Accepted),
    /// Give up an idle connection to a pool that has no room for another worker's.
    MakeRoom(RoomRequest),
    /// Take up the newest snapshot now, not with the next exchange.
    Refresh,
    /// Tell clients that share connections between requests to open no more of them (GOAWAY).
    CloseShared,
    /// Close every connection when its exchange is over.
    CloseConnections,
    /// Cut what is left; answers with how many connections that were.
    Cut(oneshot::Sender<usize>),
    /// Tell about the open connections.
    Connections(oneshot::Sender<Vec<ConnectionView>>),
    /// Take up the newest access log.
    ReopenLog,
    /// End the thread.
    End,
}

/// An open connection as the admin API shows it.
#[derive(Clone, Debug, serde::Serialize)]
pub(crate) struct ConnectionView {
    pub(crate) id: String,
    pub(crate) listener: String,
    pub(crate) client: String,
    pub(crate) protocol: &'static str,
    /// The subject of the client's verified certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tls_subject: Option<String>,
    pub(crate) age_ms: u64,
    pub(crate) requests: u64,
    pub(crate) in_flight: u32,
    pub(crate) closing: bool,
    /// Generation of the configuration that it holds on to.
    pub(crate) generation: u64,
}

impl Worker {
    pub(super) fn obey(self: &Rc<Self>, command: Command) {
        match command {
            Command::Listen(listener, socket) => self.listen(listener, socket),
            Command::Unlisten(address, done) => self.unlisten(&address, done),
            Command::Adopt(listener, accepted) => accept::adopt(self, &listener, accepted),
            Command::MakeRoom(request) => {
                let snapshot = self.snapshot();
                let pool = snapshot.pool(&request.pool.name);
                // One that has left and come back is another.
                let same = pool.filter(|it| Arc::ptr_eq(&it.pool.shared, &request.pool));
                if let Some(pool) = same {
                    pool.make_room(request);
                }
            }
            Command::Refresh => {
                let snapshot = self.snapshot();
                for connection in self.connections.borrow().values() {
                    // Closes the connections of listeners that have left.
                    let _ = connection.listener(&snapshot);
                }
            }
            Command::CloseShared => {
                for connection in self.connections.borrow().values() {
                    if connection.protocol.get() == "HTTP/2.0" {
                        connection.close();
                    }
                }
            }
            Command::CloseConnections => {
                for connection in self.connections.borrow().values() {
                    connection.close();
                }
            }
            Command::Cut(done) => {
                self.cutting.set(true);
                let connections = self.connections.borrow();
                for connection in connections.values() {
                    connection.cut();
                }
                let _ = done.send(connections.len());
            }
            Command::Connections(answer) => {
                let connections = self.connections.borrow();
                let views = connections.values().map(|it| self.view(it)).collect();
                let _ = answer.send(views);
            }
            Command::ReopenLog => self.take_up_log(),
            // Ends the loop that calls this.
            Command::End => {}
        }
    }

    fn listen(self: &Rc<Self>, listener: Arc<Listener>, socket: Socket) {
        let acceptor = match Acceptor::new(socket, &listener) {
            Ok(acceptor) => acceptor,
            Err(error) => {
                tracing::error!(listener = %listener.name, %error, "cannot listen");
                return;
            }
        };
        let address = listener.address.clone();
        let (stop, stopped) = oneshot::channel();
        let accepting = accept::run(Rc::clone(self), listener, acceptor, stopped);
        let task = task::spawn_local("accept", accepting);
        self.accepting
            .borrow_mut()
            .insert(address, Accepting { stop, task });
    }

    fn unlisten(&self, address: &BindAddress, done: oneshot::Sender<()>) {
        let Some(accepting) = self.accepting.borrow_mut().remove(address) else {
            let _ = done.send(());
            return;
        };
        let _ = accepting.stop.send(());
        task::spawn_local("unlisten", async move {
            let _ = accepting.task.await;
            let _ = done.send(());
        });
    }

    fn view(&self, connection: &Connection) -> ConnectionView {
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
