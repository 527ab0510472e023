//! Accepts QUIC connections on the UDP socket of a worker, within limits, and shakes hands.

use std::{cell::Cell, collections::HashMap, io, net::SocketAddr, rc::Rc, sync::Arc};

use quinn::{ConnectionError, Endpoint, EndpointConfig, Incoming, Runtime as _};
use socket2::Socket;
use tokio::{sync::Notify, task::JoinHandle};

use super::{
    super::{
        accept::{Entry, canonical},
        refused,
    },
    Server,
    connection_id::SocketIds,
    runtime::{LocalTasks, Refusals},
    socket::WorkerSocket,
    transport,
};
use crate::{
    config::value::BindAddress,
    downstream::http3::session::number,
    http3::Code,
    memory,
    socket::mailbox::Mailboxes,
    state::Listener,
    task, timer,
    tls::{Session, quic},
    worker::{Connection, Worker},
};

/// The UDP sockets of a worker, by the address of their listener.
#[derive(Debug, Default)]
pub(crate) struct QuicAcceptors(HashMap<BindAddress, QuicAcceptor>);

/// The UDP socket of a listener on one worker.
#[derive(Debug)]
struct QuicAcceptor {
    switch: Rc<Switch>,
    /// Accepts, and after that waits for the last connection.
    task: JoinHandle<()>,
}

/// State of accepting.
#[derive(Debug)]
struct Switch {
    accepts: Cell<bool>,
    changed: Notify,
}

impl QuicAcceptors {
    /// Accepts connections from a socket. Where connections of the same address have not ended, their
    /// socket accepts again instead: of two, each would get datagrams for the other.
    pub(crate) fn listen(
        &mut self,
        worker: &Rc<Worker>,
        listener: &Arc<Listener>,
        socket: Socket,
        mailboxes: Arc<Mailboxes>,
    ) {
        self.0.retain(|_, acceptor| !acceptor.task.is_finished());
        if let Some(acceptor) = self.0.get(&listener.address) {
            acceptor.switch.set(true);
            return;
        }
        let endpoint = match open(worker, socket, listener, mailboxes) {
            Ok(endpoint) => endpoint,
            Err(error) => {
                tracing::error!(listener = %listener.name, %error, "cannot listen for HTTP/3");
                return;
            }
        };
        let switch = Rc::new(Switch {
            accepts: Cell::new(true),
            changed: Notify::new(),
        });
        let accepting = run(
            Rc::clone(worker),
            Arc::clone(listener),
            endpoint,
            Rc::clone(&switch),
        );
        let task = task::spawn_local("accept quic", accepting);
        let acceptor = QuicAcceptor { switch, task };
        self.0.insert(listener.address.clone(), acceptor);
    }

    /// Accepts no more connections; the socket closes with the last of them.
    pub(crate) fn unlisten(&self, address: &BindAddress) {
        if let Some(acceptor) = self.0.get(address) {
            acceptor.switch.set(false);
        }
    }
}

impl Switch {
    fn set(&self, accepts: bool) {
        self.accepts.set(accepts);
        self.changed.notify_one();
    }
}

fn open(
    worker: &Worker,
    socket: Socket,
    listener: &Listener,
    mailboxes: Arc<Mailboxes>,
) -> io::Result<Endpoint> {
    let config = transport::config(listener)
        .ok_or_else(|| io::Error::other("the listener has no TLS for QUIC"))?;
    let index = worker.index();
    let mut endpoint = EndpointConfig::default();
    let home = mailboxes.home(index);
    endpoint.cid_generator(move || Box::new(SocketIds(home)));
    endpoint.supported_versions(vec![quic::VERSION]);
    let socket = LocalTasks.wrap_udp_socket(socket.into())?;
    let socket = WorkerSocket::new(socket, index, mailboxes);
    Endpoint::new_with_abstract_socket(
        endpoint,
        Some(config),
        Arc::new(socket),
        Arc::new(LocalTasks),
    )
}

/// Accepts connections, and ends with the last one after it was told to stop.
async fn run(worker: Rc<Worker>, listener: Arc<Listener>, endpoint: Endpoint, switch: Rc<Switch>) {
    let handshakes = Rc::new(Cell::new(0));
    loop {
        if switch.accepts.get() {
            // Of the newest generation, should it have been told to stop in between.
            let newest = worker.newest(&listener);
            endpoint.set_server_config(transport::config(&newest));
            tokio::select! {
                biased;
                () = switch.changed.notified() => {}
                () = accept(&worker, &listener, &endpoint, &handshakes) => return,
            }
        } else {
            endpoint.set_server_config(None);
            tokio::select! {
                biased;
                () = switch.changed.notified() => {}
                () = endpoint.wait_idle() => return,
            }
        }
    }
}

async fn accept(
    worker: &Rc<Worker>,
    listener: &Arc<Listener>,
    endpoint: &Endpoint,
    handshakes: &Rc<Cell<usize>>,
) {
    while let Some(incoming) = endpoint.accept().await {
        take(worker, listener, incoming, handshakes, endpoint);
    }
}

/// A handshake under way on a worker, counted until it is dropped.
struct Handshake(Rc<Cell<usize>>);

impl Handshake {
    fn begin(handshakes: &Rc<Cell<usize>>) -> Self {
        handshakes.set(handshakes.get() + 1);
        Self(Rc::clone(handshakes))
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

fn take(
    worker: &Rc<Worker>,
    listener: &Arc<Listener>,
    incoming: Incoming,
    handshakes: &Rc<Cell<usize>>,
    endpoint: &Endpoint,
) {
    let listener = &worker.newest(listener);
    if !listener.http3 {
        return incoming.refuse();
    }
    // A client that may not be where it says must show that it is, once there are many.
    if handshakes.get() >= RETRY_FROM && !incoming.remote_address_validated() {
        worker.metrics().handshake(&listener.name, "retry");
        let _ = incoming.retry();
        return;
    }
    if handshakes.get() >= HANDSHAKES_MAX {
        worker.metrics().shed("handshakes");
        return incoming.refuse();
    }
    let Some(guard) = worker.admit(listener) else {
        return incoming.refuse();
    };
    let Some(config) = transport::config(listener) else {
        return incoming.refuse();
    };
    let peer = canonical(incoming.remote_address());
    let local = endpoint.local_addr().ok().map(|bound| {
        let ip = incoming.local_ip().unwrap_or_else(|| bound.ip());
        canonical(SocketAddr::new(ip, bound.port()))
    });
    let connection = worker.open(listener, peer, local);
    connection.protocol.set("HTTP/3.0");
    let entry = Entry::new(&connection, guard);
    let handshake = Handshake::begin(handshakes);
    let serving = memory::pinned(|| async move {
        serve(entry.connection(), incoming, config, handshake).await;
    });
    let task = task::spawn_local("connection", serving);
    connection.served_by(task.abort_handle());
}

async fn serve(
    connection: &Rc<Connection>,
    incoming: Incoming,
    config: quinn::ServerConfig,
    handshake: Handshake,
) {
    let listener = connection.known_listener();
    let metrics = connection.worker.metrics();
    let deadline = connection.since + listener.timeouts.handshake;
    let refusals = Refusals::default();
    let begun = Box::pin(timer::until(deadline, async {
        let begun = refusals.watch(|| incoming.accept_with(Arc::new(config)))?;
        let quic = begun.await?;
        let session = session_of(&quic);
        let result = if session.as_ref().is_some_and(|it| it.resumed) {
            "resumed"
        } else {
            "full"
        };
        if let Some(session) = session {
            // Set once: this task is the only one that shakes hands on it.
            let _ = connection.tls.set(Rc::from(session));
        }
        let server = if connection.take_client_place(&listener) {
            Server::begin(connection, quic).await
        } else {
            quic.close(number(Code::ExcessiveLoad), b"");
            None
        };
        Ok::<_, ConnectionError>((result, server))
    }))
    .await;
    drop(handshake);
    match begun {
        Err(timer::Elapsed) => metrics.handshake(&listener.name, "late"),
        Ok(Err(error)) => {
            metrics.handshake(&listener.name, "failed");
            let refusal = refusals.take();
            refused::tell_quic(connection, &listener.name, &error, refusal.as_ref());
        }
        Ok(Ok((result, server))) => {
            metrics.handshake(&listener.name, result);
            drop(refusals);
            if let Some(mut server) = server {
                server.serve().await;
            }
        }
    }
}

/// Takes the result of a complete handshake.
fn session_of(quic: &quinn::Connection) -> Option<Box<Session>> {
    quic.handshake_data()?.downcast().ok()
}

/// Handshakes under way on a worker from which clients must show that they are where they say they
/// are: an answer to someone else costs more than the question.
const RETRY_FROM: usize = 64;
/// Maximum number of handshakes under way on a worker.
const HANDSHAKES_MAX: usize = 1024;
