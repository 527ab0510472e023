//! One downstream connection: who is on the other end, and how it is told to close.

use std::{
    cell::{Cell, OnceCell, Ref, RefCell},
    net::{IpAddr, SocketAddr},
    rc::Rc,
    task::{Context, Waker},
    time::Duration,
};

use ::http::StatusCode;
use tokio::{
    sync::{Notify, futures::Notified},
    task::AbortHandle,
    time::Instant,
};

use super::Worker;
use crate::{
    downstream::{Interim, StreamInterim},
    http::{
        Headers,
        forwarded::{Hop, Scheme},
        hop_by_hop::{self, Switching},
    },
    proxy_protocol::{Ends, Header},
    state::{Listener, LocalListener, LocalSnapshot},
    telemetry::metrics::Gauge,
    timer,
    tls::Session,
    upstream::pinned::Pinned,
    wake,
};

/// What is known of a downstream connection. One worker owns it.
#[derive(Debug)]
pub struct Connection {
    /// The worker that owns it.
    pub worker: Rc<Worker>,
    /// Counts the connections of the worker.
    pub id: u64,
    /// When it was accepted.
    pub since: Instant,
    /// Requests that it has carried.
    pub requests: Cell<u64>,
    /// Requests under way.
    pub in_flight: Cell<u32>,
    /// The TLS session, once the hands are shaken.
    pub tls: OnceCell<Rc<Session>>,
    /// Exchanges under way on its listener.
    pub exchanges: Gauge,
    /// What is spoken on it.
    pub protocol: Cell<&'static str>,
    /// Interim responses for a client that speaks HTTP/1.1.
    pub interim: Interim,
    /// Connections to endpoints that are its own, since it has authenticated them.
    pub pinned: OnceCell<Rc<Pinned>>,
    peer: Cell<Peer>,
    hop: RefCell<Hop>,
    listener: RefCell<LocalListener>,
    generation: Cell<u64>,
    /// That of the first exchange since it last carried none.
    held_generation: Cell<u64>,
    /// How its own life differs from the configured one: 0 is the shortest.
    luck: u64,
    /// Since when it shall take no more requests.
    closing: Cell<Option<Instant>>,
    cut: Cell<bool>,
    /// Tunnels on it: one of HTTP/1.1, or streams of HTTP/2.
    tunnels: Cell<u32>,
    /// Told to the tunnels when they are cut.
    last_call: Notify,
    waker: RefCell<Option<Waker>>,
    task: RefCell<Option<AbortHandle>>,
}

/// Who is on the other end.
#[derive(Clone, Copy, Debug)]
struct Peer {
    source: SocketAddr,
    /// What it connected to, as far as that is known.
    destination: Option<SocketAddr>,
}

impl Connection {
    /// A connection that has just been accepted; `peer` is the loopback address and port 0
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
            peer: Cell::new(Peer {
                source: peer,
                destination: local,
            }),
            hop: RefCell::new(Hop::new(peer.ip(), scheme_of(&listener))),
            listener: RefCell::new(listener),
            generation: Cell::new(0),
            held_generation: Cell::new(0),
            luck: worker.draw(),
            closing: Cell::new(None),
            cut: Cell::new(false),
            tunnels: Cell::new(0),
            last_call: Notify::new(),
            waker: RefCell::new(None),
            task: RefCell::new(None),
        }
    }

    /// An exchange begins on it under this generation of the configuration.
    pub fn exchange_begins(&self, generation: u64) {
        let in_flight = self.in_flight.get();
        if in_flight == 0 {
            self.held_generation.set(generation);
        }
        self.in_flight.set(in_flight + 1);
    }

    /// The generation of the configuration that it holds on to: that of its oldest exchange
    /// under way, or an older one while it was never without; else the newest it has met.
    pub fn held_generation(&self) -> u64 {
        match self.in_flight.get() {
            0 => self.generation.get(),
            _ => self.held_generation.get(),
        }
    }

    /// The address on the other end, or what a PROXY protocol header said it is.
    pub fn peer(&self) -> IpAddr {
        self.peer.get().source.ip()
    }

    /// The port on the other end; 0 for unix sockets.
    pub fn peer_port(&self) -> u16 {
        self.peer.get().source.port()
    }

    /// What it adds to the forwarding fields of its requests.
    pub fn hop(&self) -> Ref<'_, Hop> {
        self.hop.borrow()
    }

    /// The connection is one that a proxy in front carries on: these are its ends.
    pub fn stands_for(&self, ends: &Ends) {
        let source = SocketAddr::new(ends.source.ip().to_canonical(), ends.source.port());
        self.peer.set(Peer {
            source,
            destination: Some(ends.destination),
        });
        *self.hop.borrow_mut() = Hop::new(source.ip(), scheme_of(&self.listener.borrow()));
    }

    /// What an endpoint is told of the connection before the first byte of a request of
    /// `client`, who may be somebody that the peer speaks for.
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

    /// Passes an interim response of an endpoint on, over HTTP/2 on its stream, or drops it
    /// where that cannot be.
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

    /// The listener as the newest snapshot has it; as it last was if it has left.
    pub fn listener(&self, snapshot: &LocalSnapshot) -> LocalListener {
        let shared = &snapshot.shared;
        if self.generation.replace(shared.generation) != shared.generation {
            let address = self.listener.borrow().address.clone();
            let newest = snapshot
                .listeners
                .iter()
                .find(|listener| listener.address == address);
            match newest {
                Some(newest) => *self.listener.borrow_mut() = Rc::clone(newest),
                None => self.close(),
            }
        }
        Rc::clone(&self.listener.borrow())
    }

    /// What its requests are sent by.
    pub fn scheme(&self) -> Scheme {
        if self.tls.get().is_some() {
            Scheme::Https
        } else {
            Scheme::Http
        }
    }

    /// The listener as it was last seen.
    pub fn known_listener(&self) -> LocalListener {
        Rc::clone(&self.listener.borrow())
    }

    /// Asks the connection to close after the request it carries; at once if it carries none.
    pub fn close(&self) {
        if !self.is_closing() {
            self.closing.set(Some(Instant::now()));
            self.wake();
        }
    }

    /// Whether it shall take no more requests.
    pub fn is_closing(&self) -> bool {
        self.closing.get().is_some()
    }

    /// Until when the first request of a client that has been waiting since then is still
    /// taken, if the connection is closing: the client cannot know, and may have sent it already.
    pub fn last_chance(&self, since: Instant) -> Option<Instant> {
        let closing = self.closing.get()?;
        Some(closing.max(since) + LAST_CHANCE)
    }

    /// When it has lived long enough; never if the lifetime is zero.
    ///
    /// Each connection's life is up to a tenth shorter or longer than the configured one, so
    /// that clients that came together do not all come back together.
    pub fn end_of_life(&self, lifetime: Duration) -> Option<Instant> {
        const STEPS: u32 = 1000;
        if lifetime.is_zero() {
            return None;
        }
        let step = u32::try_from(self.luck % u64::from(STEPS)).unwrap_or(0);
        let life = lifetime / 10 * 9 + lifetime / 5 / STEPS * step;
        Some(self.since + life)
    }

    /// Ends whatever the connection carries, now.
    pub fn cut(&self) {
        self.closing
            .set(self.closing.get().or_else(|| Some(Instant::now())));
        self.cut.set(true);
        if self.tunnels.get() > 0 {
            // It ends when they have said goodbye, as far as what they carry has a word for that.
            self.last_call.notify_waiters();
            self.wake();
        } else if let Some(task) = &*self.task.borrow() {
            task.abort();
        }
    }

    /// Counts a tunnel on it until the guard is dropped.
    pub(crate) fn count_tunnel(&self) -> TunnelGuard<'_> {
        self.tunnels.set(self.tunnels.get() + 1);
        TunnelGuard(self)
    }

    /// Whether a tunnel is left on it.
    pub(crate) fn has_tunnels(&self) -> bool {
        self.tunnels.get() > 0
    }

    /// Is ready when the tunnels on it are told that they are cut.
    pub(crate) fn last_call(&self) -> Notified<'_> {
        self.last_call.notified()
    }

    /// Remembers the task that serves the connection.
    pub fn served_by(&self, task: AbortHandle) {
        *self.task.borrow_mut() = Some(task);
    }

    /// Whether whatever it carries shall end now.
    pub fn is_cut(&self) -> bool {
        self.cut.get()
    }

    fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }

    /// Remembers whom [`Self::close`] has to wake.
    pub fn watch(&self, cx: &Context<'_>) {
        wake::remember(&mut self.waker.borrow_mut(), cx);
    }
}

/// Counts a tunnel on a connection.
#[derive(Debug)]
pub(crate) struct TunnelGuard<'a>(&'a Connection);

impl Drop for TunnelGuard<'_> {
    fn drop(&mut self) {
        let tunnels = &self.0.tunnels;
        tunnels.set(tunnels.get() - 1);
        if self.0.is_cut() {
            self.0.wake();
        }
    }
}

/// How long a connection that has carried no request waits for one when it shall close.
const LAST_CHANCE: Duration = Duration::from_secs(1);

fn scheme_of(listener: &Listener) -> Scheme {
    match listener.tls {
        Some(_) => Scheme::Https,
        None => Scheme::Http,
    }
}
