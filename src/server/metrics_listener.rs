//! The listener that serves metrics and probes alone, with `metrics.address`.
//!
//! Its socket is bound while a reload is prepared, beside the one in use; the swap replaces the
//! server, and the old socket is closed.

use std::{
    cell::{Cell, RefCell},
    io,
    rc::Rc,
    sync::Arc,
};

use tokio::sync::Notify;

use super::{admin::CONNECTIONS_MAX, service::Services};
use crate::{
    admin::{
        AdminListener, AdminOffer, AdminServer, AdminSettings, AdminSocket, Operations, Scope,
        Tokens,
    },
    config::value::{BindAddress, FileMode},
    socket::{bind::BindOptions, inherited::Inherited, passed::Passed},
    telemetry::events::Events,
};

/// A bound socket, and the address as it is written.
#[derive(Debug)]
pub(super) struct MetricsSocket {
    pub(super) written: BindAddress,
    pub(super) socket: AdminSocket,
}

/// The running listener, if there is one.
#[derive(Clone, Default)]
pub(super) struct MetricsListener(Rc<Slot>);

#[derive(Default)]
struct Slot {
    server: RefCell<Option<Rc<tokio::sync::Mutex<AdminServer>>>>,
    offer: RefCell<Option<Offer>>,
    /// Number of servers so far.
    number: Cell<u64>,
    /// Notified when another server is to run.
    changed: Notify,
}

/// The address as written, and the socket for another process.
pub(super) type Offer = (BindAddress, Arc<AdminOffer>);

impl MetricsListener {
    /// Serves from this socket from now on; without one, the listener closes.
    pub(super) fn take_up(
        &self,
        socket: Option<MetricsSocket>,
        operations: Arc<dyn Operations>,
        events: &Arc<Events>,
    ) -> io::Result<()> {
        let made = socket.map(|it| open(it, operations, events)).transpose()?;
        let (server, offer) = made.unzip();
        *self.0.offer.borrow_mut() = offer.flatten();
        self.0.replace(server);
        Ok(())
    }

    /// Socket to pass on to another process.
    pub(super) fn offer(&self) -> Option<Offer> {
        self.0.offer.borrow().clone()
    }

    /// Stops serving.
    pub(super) fn close(&self) {
        self.0.replace(None);
    }

    /// Runs the server, and each one that replaces it.
    pub(super) fn start(&self, services: &mut Services) {
        let listener = self.clone();
        services.start("metrics listener", move |stop| {
            let slot = Rc::clone(&listener.0);
            async move {
                loop {
                    let (server, number) = (slot.server.borrow().clone(), slot.number.get());
                    let told = async {
                        tokio::select! {
                            () = stop.told() => true,
                            () = slot.follows(number) => false,
                        }
                    };
                    let mut told = std::pin::pin!(told);
                    let mut ends = false;
                    let end = async { ends = told.as_mut().await };
                    match server {
                        None => end.await,
                        Some(server) => server.lock().await.run(end).await,
                    }
                    if ends {
                        return Ok(());
                    }
                }
            }
        });
    }
}

impl Slot {
    fn replace(&self, server: Option<AdminServer>) {
        *self.server.borrow_mut() = server.map(|it| Rc::new(tokio::sync::Mutex::new(it)));
        self.number.set(self.number.get() + 1);
        self.changed.notify_one();
    }

    /// Waits until another server is to run than the one of this number.
    async fn follows(&self, number: u64) {
        while self.number.get() == number {
            self.changed.notified().await;
        }
    }
}

fn open(
    socket: MetricsSocket,
    operations: Arc<dyn Operations>,
    events: &Arc<Events>,
) -> io::Result<(AdminServer, Option<Offer>)> {
    let listener = AdminListener::new(socket.socket)?;
    let offer = listener.offer()?;
    let settings = AdminSettings {
        tokens: Tokens::default(),
        scope: Scope::Metrics,
        connections_max: CONNECTIONS_MAX,
    };
    let server = AdminServer::new(listener, settings, operations, Arc::clone(events));
    let server = server.map_err(io::Error::other)?;
    tracing::info!(address = %server.address(), "metrics listener");
    let offer = offer.map(|offer| (socket.written, Arc::new(offer)));
    Ok((server, offer))
}

/// Returns the inherited or passed socket for this address, else a new one.
pub(super) fn admin_socket(
    address: &BindAddress,
    mode: Option<FileMode>,
    inherited: &Inherited,
    passed: Option<&Passed>,
) -> io::Result<AdminSocket> {
    let given = inherited.take(address, 1).transpose()?;
    if let Some(socket) = given.and_then(|mut sockets| sockets.pop()) {
        return Ok(AdminSocket::inherit(address, socket));
    }
    let options = BindOptions::default();
    let passed = passed.map(|passed| passed.take(address, options, 1));
    if let Some(mut bound) = passed.transpose()?.flatten()
        && let Some(socket) = bound.sockets.pop()
    {
        return Ok(AdminSocket::adopt(address, socket, bound.file));
    }
    AdminSocket::bind(address, mode)
}
