//! The runtime of a worker, as QUIC uses it: its tasks are counted and reported like all others.

use std::{cell::RefCell, future::poll_fn, io, net, pin::Pin, rc::Rc, sync::Arc, time::Instant};

use quinn::{AsyncTimer, AsyncUdpSocket, Runtime, TokioRuntime};

use crate::{
    task,
    tls::{self, Refusal},
};

/// The local runtime of the thread.
#[derive(Debug)]
pub(super) struct LocalTasks;

impl Runtime for LocalTasks {
    fn new_timer(&self, at: Instant) -> Pin<Box<dyn AsyncTimer>> {
        TokioRuntime.new_timer(at)
    }

    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) {
        let refusals = WATCHED.with(|watched| watched.borrow().clone());
        match refusals {
            None => task::spawn_local("quic", future),
            Some(refusals) => task::spawn_local("quic", refusals.note(future)),
        };
    }

    fn wrap_udp_socket(&self, socket: net::UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        TokioRuntime.wrap_udp_socket(socket)
    }

    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }
}

/// The certificate of a client that the handshake of one connection refused.
#[derive(Clone, Debug, Default)]
pub(super) struct Refusals(Rc<RefCell<Option<Refusal>>>);

impl Refusals {
    /// Accepts a connection, which spawns the task that shakes hands on it.
    pub(super) fn watch<T>(&self, accept: impl FnOnce() -> T) -> T {
        WATCHED.set(Some(self.clone()));
        let accepted = accept();
        WATCHED.set(None);
        accepted
    }

    /// Takes what was refused.
    pub(super) fn take(&self) -> Option<Refusal> {
        self.0.borrow_mut().take()
    }

    async fn note(self, mut connection: Pin<Box<dyn Future<Output = ()> + Send>>) {
        poll_fn(|context| {
            // The handshake is over, and nobody asks any more.
            if Rc::strong_count(&self.0) == 1 {
                return connection.as_mut().poll(context);
            }
            let (polled, noted) = tls::noting(|| connection.as_mut().poll(context));
            if noted.is_some() {
                *self.0.borrow_mut() = noted;
            }
            polled
        })
        .await;
    }
}

thread_local! {
    /// Place where the task that is spawned now notes what it refuses.
    static WATCHED: RefCell<Option<Refusals>> = const { RefCell::new(None) };
}
