//! What drives a connection to an endpoint, and what it knows of the endpoint's settings.

use std::{
    cell::{Cell, RefCell},
    fmt,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    rc::Weak,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
};

use hyper::client::conn::http2;
use hyper_util::rt::TokioIo;

use super::shared_upload::SharedUpload;
use crate::{exchange::Failure, server::task, socket::Stream, upstream::shared::PoolShared, wake};

/// hyper's side of a connection, which its task drives and everyone may ask.
pub(super) struct Driven {
    /// Streams that exchanges have on it.
    pub(super) streams: Cell<usize>,
    pub(super) pool: Arc<PoolShared>,
    connection: RefCell<Option<Pin<Box<Driver>>>>,
    /// Who waits for the settings.
    waiting: RefCell<Option<Waker>>,
    ended: Cell<bool>,
}

impl fmt::Debug for Driven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driven").finish_non_exhaustive()
    }
}

type Driver = http2::Connection<TokioIo<Stream>, SharedUpload, Watched>;

impl Driven {
    pub(super) fn new(pool: Arc<PoolShared>) -> Self {
        Self {
            streams: Cell::new(0),
            pool,
            connection: RefCell::default(),
            waiting: RefCell::default(),
            ended: Cell::new(false),
        }
    }

    /// Takes the connection over; somebody has to poll it.
    pub(super) fn begin(&self, connection: Driver) {
        *self.connection.borrow_mut() = Some(Box::pin(connection));
    }

    /// Drives the connection to its end.
    pub(super) fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut connection = self.connection.borrow_mut();
        if let Some(driver) = &mut *connection {
            let _ = ready!(driver.as_mut().poll(cx));
        }
        let driver = connection.take();
        drop(connection);
        drop(driver);
        self.ended.set(true);
        self.look();
        Poll::Ready(())
    }

    /// How many streams the endpoint allows at once, as it last said; none before it has.
    fn allowed(&self) -> usize {
        let connection = self.connection.try_borrow();
        let streams = connection.map(|connection| {
            let driver = connection.as_ref();
            driver.map_or(0, |driver| driver.current_max_send_streams())
        });
        streams.unwrap_or(0)
    }

    /// Whether one more stream fits, by what the endpoint says now: it may change its mind at
    /// any time (RFC 9113 section 6.5.3).
    pub(super) fn has_room(&self) -> bool {
        self.streams.get() < self.allowed().min(STREAMS_MAX)
    }

    /// Whether the endpoint takes extended CONNECT, as its settings say.
    pub(super) fn takes_websockets(&self) -> bool {
        self.connection.try_borrow().is_ok_and(|connection| {
            let driver = connection.as_ref();
            driver.is_some_and(|driver| driver.is_extended_connect_protocol_enabled())
        })
    }

    pub(super) fn poll_settled(&self, cx: &Context<'_>) -> Poll<Result<(), Failure>> {
        if self.ended.get() {
            return Poll::Ready(Err(Failure::ConnectionClosed));
        }
        if self.allowed() > 0 {
            return Poll::Ready(Ok(()));
        }
        wake::remember(&mut self.waiting.borrow_mut(), cx);
        Poll::Pending
    }

    /// Something may have changed for those who wait.
    fn look(&self) {
        if self.pool.has_queue() && self.has_room() {
            self.pool.tell_room();
        }
        if self.waiting.borrow().is_some()
            && (self.ended.get() || self.allowed() > 0)
            && let Some(waker) = self.waiting.borrow_mut().take()
        {
            waker.wake();
        }
    }
}

/// Runs hyper's tasks of a connection to an endpoint, and looks at it after each step: frames
/// are read in one of them, and hyper tells nobody of the settings.
#[derive(Clone)]
pub(super) struct Watched(pub(super) Weak<Driven>);

impl<F> hyper::rt::Executor<F> for Watched
where
    F: Future<Output = ()> + 'static,
{
    fn execute(&self, future: F) {
        let driven = Weak::clone(&self.0);
        task::spawn_local("upstream http/2 stream", async move {
            let mut future = pin!(future);
            poll_fn(|cx| {
                let polled = future.as_mut().poll(cx);
                if let Some(driven) = driven.upgrade() {
                    driven.look();
                }
                polled
            })
            .await;
        });
    }
}

/// Streams on one connection, however many the endpoint would allow.
const STREAMS_MAX: usize = 256;
