//! One downstream connection: its peer, and its exchanges.

use std::{
    cell::{Cell, OnceCell, Ref, RefCell},
    net::{IpAddr, SocketAddr},
    rc::Rc,
    sync::atomic::Ordering,
};

use http::StatusCode;
use tokio::time::Instant;

use super::{Worker, ending::Ending};
use crate::{
    config::value::BindAddress,
    downstream::{Interim, StreamInterim},
    proxy_protocol::{Ends, Header},
    resilience::ClientEntry,
    semantics::{
        Headers,
        forwarded::{Hop, Scheme},
        hop_by_hop::{self, Switching},
    },
    state::{ExchangePlace, Listener, LocalListener, LocalSnapshot},
    telemetry::metrics::Gauge,
    timer,
    tls::Session,
    upstream::pinned::Pinned,
};

/// A downstream connection. One worker owns it.
#[derive(Debug)]
pub struct Connection {
    /// The worker that owns it.
    pub worker: Rc<Worker>,
    /// Its number among the connections of the worker.
    pub id: u64,
    /// Time of its acceptance.
    pub since: Instant,
    /// Requests that it has carried.
    pub requests: Cell<u64>,
    /// Requests under way.
    pub in_flight: Cell<u32>,
    /// The TLS session, after the handshake.
    pub tls: OnceCell<Rc<Session>>,
    /// Exchanges under way on its listener.
    pub exchanges: Gauge,
    /// Its protocol.
    pub protocol: Cell<&'static str>,
    /// Interim responses for a client with HTTP/1.1.
    pub interim: Interim,
    /// Upstream connections of its own, since the client has authenticated them.
    pub pinned: OnceCell<Rc<Pinned>>,
    /// Its place among those of its client, where these are limited.
    client_place: RefCell<Option<ClientEntry<()>>>,
    peer: Cell<Peer>,
    hop: RefCell<Hop>,
    listener: RefCell<LocalListener>,
    generation: Cell<u64>,
    /// State that decides when it ends.
    pub(super) ending: Ending,
}

/// Addresses of a connection's other end.
#[derive(Clone, Copy, Debug)]
struct Peer {
    source: SocketAddr,
    /// Address that it connected to, if known.
    destination: Option<SocketAddr>,
}

impl Connection {
    /// Makes the state of a newly accepted connection; `peer` is the loopback address and port 0
    /// for unix sockets.
    pub fn new(
        worker: &Rc<Worker>,
        id: u64,
        listener: LocalListener,
        peer: SocketAddr,
        local: Option<SocketAddr>,
    ) -> Self {
        Self {
            exchanges: worker.metrics().listener(&listener.name).in_flight,
            worker: Rc::clone(worker),
            id,
            since: timer::now(),
            requests: Cell::new(0),
            in_flight: Cell::new(0),
            tls: OnceCell::new(),
            protocol: Cell::new(""),
            interim: Interim::default(),
            pinned: OnceCell::new(),
            client_place: RefCell::new(None),
            peer: Cell::new(Peer {
                source: peer,
                destination: local,
            }),
            hop: RefCell::new(Hop::new(peer.ip(), scheme_of(&listener))),
            listener: RefCell::new(listener),
            generation: Cell::new(0),
            ending: Ending::new(worker.draw()),
        }
    }

    /// Notes the begin of an exchange with this generation of the configuration.
    pub(crate) fn exchange_begins(&self, generation: u64, started: Instant) -> ExchangePlace {
        self.in_flight.set(self.in_flight.get() + 1);
        self.worker.under_way.begin(self.id, generation, started)
    }

    /// Notes the end of an exchange.
    pub(crate) fn exchange_ends(&self, exchange: ExchangePlace) {
        self.in_flight.set(self.in_flight.get() - 1);
        self.worker.under_way.end(exchange);
    }

    /// Returns the newest generation of the configuration that it has used.
    pub fn generation(&self) -> u64 {
        self.generation.get()
    }

    /// Address of the peer, or the one from a PROXY protocol header.
    pub fn peer(&self) -> IpAddr {
        self.peer.get().source.ip()
    }

    /// Port of the peer; 0 for unix sockets.
    pub fn peer_port(&self) -> u16 {
        self.peer.get().source.port()
    }

    /// Takes a place among the connections of its client. False: the client has all that the
    /// listener allows it.
    pub(crate) fn take_client_place(&self, listener: &Listener) -> bool {
        let max = listener.connections_per_client;
        // The peer of a unix socket has no address unless a proxy in front says one.
        let unknown = self.peer_port() == 0 && matches!(listener.address, BindAddress::Unix(_));
        if max == 0 || unknown {
            return true;
        }
        let place = listener.clients.enter_below(self.peer(), max);
        let taken = place.is_some();
        *self.client_place.borrow_mut() = place;
        if !taken {
            self.worker.metrics().shed("client_connections");
            listener.refused.of_client.fetch_add(1, Ordering::Relaxed);
        }
        taken
    }

    /// Gives the place back: the connection has closed.
    pub(super) fn leave_client_place(&self) {
        self.client_place.borrow_mut().take();
    }

    /// The forwarding fields that it adds to its requests.
    pub fn hop(&self) -> Ref<'_, Hop> {
        self.hop.borrow()
    }

    /// Sets the ends of the original connection, from a PROXY protocol header.
    pub fn stands_for(&self, ends: &Ends) {
        let source = SocketAddr::new(ends.source.ip().to_canonical(), ends.source.port());
        self.peer.set(Peer {
            source,
            destination: Some(ends.destination),
        });
        *self.hop.borrow_mut() = Hop::new(source.ip(), scheme_of(&self.listener.borrow()));
    }

    /// Returns the PROXY protocol header for the endpoint, sent before the first byte of a request
    /// of `client`, which may be a client that the peer speaks for.
    pub fn announcement(&self, client: IpAddr) -> Header {
        let peer = self.peer.get();
        let Some(destination) = peer.destination else {
            return Header::Unknown;
        };
        let port = if client == peer.source.ip() {
            peer.source.port()
        } else {
            0
        };
        Header::Ends(Ends {
            source: SocketAddr::new(client, port),
            destination,
        })
    }

    /// Passes an interim response of an endpoint on, over HTTP/2 on its stream, or drops it if that
    /// is not possible.
    pub fn pass_interim(
        &self,
        status: StatusCode,
        mut headers: Headers,
        stream: Option<&StreamInterim>,
    ) {
        // Leave to send a body is given here, when the body is wanted.
        if status == StatusCode::CONTINUE {
            return;
        }
        hop_by_hop::strip_response(&mut headers, Switching::No);
        let forwarded = match stream {
            Some(stream) => stream.offer(status, headers),
            None => self.interim.offer(status, headers),
        };
        let outcome = if forwarded { "forwarded" } else { "dropped" };
        self.worker.metrics().interim(outcome);
    }

    /// Returns the listener from the newest snapshot; the last known one if it was removed.
    pub fn listener(&self, snapshot: &LocalSnapshot) -> LocalListener {
        let shared = &snapshot.shared;
        if self.generation.replace(shared.generation) != shared.generation {
            let address = self.listener.borrow().address.clone();
            let newest = snapshot
                .listeners
                .iter()
                .find(|listener| listener.address == address);
            match newest {
                Some(newest) => {
                    *self.listener.borrow_mut() = Rc::clone(newest);
                    // Its socket takes no new connections any more.
                    if self.protocol.get() == "HTTP/3.0" && !newest.http3 {
                        self.close();
                    }
                }
                None => self.close(),
            }
        }
        Rc::clone(&self.listener.borrow())
    }

    /// Returns the scheme of its requests.
    pub fn scheme(&self) -> Scheme {
        if self.tls.get().is_some() {
            Scheme::Https
        } else {
            Scheme::Http
        }
    }

    /// Returns the listener as last known.
    pub fn known_listener(&self) -> LocalListener {
        Rc::clone(&self.listener.borrow())
    }
}

fn scheme_of(listener: &Listener) -> Scheme {
    match listener.tls {
        Some(_) => Scheme::Https,
        None => Scheme::Http,
    }
}
