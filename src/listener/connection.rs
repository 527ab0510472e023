//! One downstream connection: who is on the other end, and how it is told to close.

use std::{
    cell::{Cell, OnceCell, RefCell},
    net::IpAddr,
    rc::Rc,
    sync::Arc,
    task::{Context, Waker},
};

use tokio::{task::AbortHandle, time::Instant};

use crate::{
    http::forwarded::{Hop, Scheme},
    server::Worker,
    state::{Listener, LocalSnapshot},
    telemetry::metrics::Gauge,
    tls::Session,
};

/// What is known of a downstream connection. One worker owns it.
#[derive(Debug)]
pub struct Connection {
    /// The worker that owns it.
    pub worker: Rc<Worker>,
    /// Counts the connections of the worker.
    pub id: u64,
    /// The address on the other end; the loopback address for unix sockets.
    pub peer: IpAddr,
    /// The port on the other end; 0 for unix sockets.
    pub peer_port: u16,
    /// When it was accepted.
    pub since: Instant,
    /// Requests that it has carried.
    pub requests: Cell<u64>,
    /// Requests under way.
    pub in_flight: Cell<u32>,
    /// What it adds to the forwarding fields of its requests.
    pub hop: Hop,
    /// The TLS session, once the hands are shaken.
    pub tls: OnceCell<Rc<Session>>,
    /// Exchanges under way on its listener.
    pub exchanges: Gauge,
    /// What is spoken on it.
    pub protocol: Cell<&'static str>,
    listener: RefCell<Arc<Listener>>,
    generation: Cell<u64>,
    closing: Cell<bool>,
    cut: Cell<bool>,
    waker: RefCell<Option<Waker>>,
    task: RefCell<Option<AbortHandle>>,
}

impl Connection {
    /// A connection that has just been accepted.
    pub fn new(
        worker: &Rc<Worker>,
        id: u64,
        listener: Arc<Listener>,
        peer: IpAddr,
        peer_port: u16,
    ) -> Self {
        Self {
            exchanges: worker.metrics().listener(&listener.name).in_flight,
            worker: Rc::clone(worker),
            id,
            peer,
            peer_port,
            since: Instant::now(),
            requests: Cell::new(0),
            in_flight: Cell::new(0),
            hop: Hop::new(peer, scheme_of(&listener)),
            tls: OnceCell::new(),
            protocol: Cell::new(""),
            listener: RefCell::new(listener),
            generation: Cell::new(0),
            closing: Cell::new(false),
            cut: Cell::new(false),
            waker: RefCell::new(None),
            task: RefCell::new(None),
        }
    }

    /// The listener as the newest snapshot has it; as it last was if it has left.
    pub fn listener(&self, snapshot: &LocalSnapshot) -> Arc<Listener> {
        let shared = &snapshot.shared;
        if self.generation.replace(shared.generation) != shared.generation {
            let address = self.listener.borrow().address.clone();
            let newest = shared
                .listeners
                .iter()
                .find(|listener| listener.address == address);
            match newest {
                Some(newest) => *self.listener.borrow_mut() = Arc::clone(newest),
                None => self.close(),
            }
        }
        Arc::clone(&self.listener.borrow())
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
    pub fn known_listener(&self) -> Arc<Listener> {
        Arc::clone(&self.listener.borrow())
    }

    /// Asks the connection to close after the request it carries; at once if it carries none.
    pub fn close(&self) {
        if !self.closing.replace(true)
            && let Some(waker) = &*self.waker.borrow()
        {
            waker.wake_by_ref();
        }
    }

    /// Whether it shall take no more requests.
    pub fn is_closing(&self) -> bool {
        self.closing.get()
    }

    /// Ends whatever the connection carries, now.
    pub fn cut(&self) {
        self.closing.set(true);
        self.cut.set(true);
        if let Some(task) = &*self.task.borrow() {
            task.abort();
        }
    }

    /// Remembers the task that serves the connection.
    pub fn served_by(&self, task: AbortHandle) {
        *self.task.borrow_mut() = Some(task);
    }

    /// Whether whatever it carries shall end now.
    pub fn is_cut(&self) -> bool {
        self.cut.get()
    }

    /// Remembers whom [`Self::close`] has to wake.
    pub fn watch(&self, cx: &Context<'_>) {
        let mut waker = self.waker.borrow_mut();
        if !waker
            .as_ref()
            .is_some_and(|known| known.will_wake(cx.waker()))
        {
            *waker = Some(cx.waker().clone());
        }
    }
}

fn scheme_of(listener: &Listener) -> Scheme {
    match listener.tls {
        Some(_) => Scheme::Https,
        None => Scheme::Http,
    }
}
